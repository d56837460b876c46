"""Normalizes request paths: one leading slash, without the path prefix of the public address."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec


class PathPrefix(msgspec.Struct, frozen=True):
    """`value` is the path of the public address, such as `/happy`, or empty.

    A reverse proxy may pass the prefix on or strip it, so paths are taken with and without it. Clients that
    were given an address with a trailing slash request `//v1/auth`: leading slashes mean one.

        PathPrefix("/happy").strip("/happy/v1/auth") == "/v1/auth"
        PathPrefix("/happy").strip("//v1/auth") == "/v1/auth"
    """

    value: str = ""

    @classmethod
    def of(cls, public_url: str | None) -> PathPrefix:
        """The prefix of a public address, such as `https://example.org/happy`."""
        return cls(urlsplit(public_url).path.rstrip("/") if public_url else "")

    def strip(self, path: str) -> str:
        prefix = self.value
        if path.startswith("//"):
            path = "/" + path.lstrip("/")
        if prefix and path.startswith(prefix) and path[len(prefix) :][:1] in {"", "/"}:
            return "/" + path[len(prefix) :].lstrip("/")
        return path

    def is_root(self, namespace: str) -> bool:
        """Whether a Socket.IO namespace is the path of a client's server address, hence means `/`.

        `io("https://example.org/happy")` joins the namespace `/happy`.
        """
        path = namespace.strip("/")
        return not path or f"/{path}" == self.value
