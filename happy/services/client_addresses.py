"""Knows which proxies are trusted, and notices when they are set up wrong."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from happy.domain.client_address import (
    ClientAddress,
    Forwarding,
    Headers,
    Network,
    find_client,
    is_trusted,
    read_forwarding,
)
from happy.limits import limit

MAX_CACHED = limit(
    4096, "addresses whose proxy settings are cached", per="replica", then="the cache begins anew"
)
"""Addresses whose meaning is kept, so that it need not be found for every request."""

MAX_NAMED = limit(
    3, "peers named in the log for a kind of wrong proxy setting", per="replica", then="no more log lines"
)
"""Peers that are named in the log for each kind of wrong setting, once each."""

ADVICE = "see docs/reverse-proxies.md, the client's address"

log = logging.getLogger(__name__)


class ClientAddresses:
    """The clients of requests and websocket handshakes, and the URL that they used.

    `public_url` is the configured URL. If that is https, which this server does not speak, requests that were
    sent there have passed a proxy, also if no header says so.
    """

    def __init__(self, trusted: Sequence[Network] = (), public_url: str | None = None) -> None:
        self._trusted = tuple(trusted)
        self.public_url = public_url
        parts = urlsplit(public_url or "")
        self._behind_proxy = parts.netloc.lower().encode() if parts.scheme == "https" else None
        self._is_trusted = lru_cache(MAX_CACHED)(self._trusts)
        self._client = lru_cache(MAX_CACHED)(self._find)
        self._untrusted: set[str] = set()
        self._silent: set[str] = set()

    def of(self, peer: str, headers: Headers) -> ClientAddress:
        """The client of a request, from the IP address of the connection's peer and the request's headers."""
        forwarding = self._read(peer, headers)
        client = self._client(peer, forwarding)
        if forwarding.present and not self._is_trusted(peer):
            self._name_untrusted(peer)
        elif client.shared:
            self._name_silent(client.text)
        elif self._behind_proxy is not None and not self._is_trusted(peer) and self._is_public(headers):
            self._name_silent(peer)
        return client

    def counted(self, peer: str, client: ClientAddress | None = None) -> str:
        """By what connections are counted: empty for a proxy, and for a client whose proxy hides it.

        Without `client`, for a connection of which no header has arrived.
        """
        if client is None:
            return "" if self._is_trusted(peer) else self.of(peer, ()).network
        is_hidden = client.shared or (client.local and self._is_trusted(peer))
        return "" if is_hidden else client.network

    def origin(self, peer: str, headers: Headers, port: int = 3005) -> str:
        """The URL under which the client of a request reaches this server.

        protocol: http#post-attachmentsrequest-upload
        """
        if self.public_url is not None:
            return self.public_url
        forwarding = self._read(peer, headers)
        if not self._is_trusted(peer):
            if forwarding.present:
                self._name_untrusted(peer)
            forwarding = Forwarding()
        host = forwarding.host or _host(headers)
        return f"{forwarding.scheme or 'http'}://{host}" if host else f"http://localhost:{port}"

    def _read(self, peer: str, headers: Headers) -> Forwarding:
        forwarding = read_forwarding(headers)
        if self._behind_proxy is None or forwarding.present or not self._is_trusted(peer):
            return forwarding
        return Forwarding(present=self._is_public(headers))

    def _is_public(self, headers: Headers) -> bool:
        """Whether the request was sent to the configured https URL, and so has passed a proxy."""
        return _host(headers).lower().encode() == self._behind_proxy

    def _find(self, peer: str, forwarding: Forwarding) -> ClientAddress:
        return find_client(peer, forwarding, self._trusted)

    def _trusts(self, peer: str) -> bool:
        return is_trusted(peer, self._trusted)

    def _name_untrusted(self, peer: str) -> None:
        if peer in self._untrusted or len(self._untrusted) >= MAX_NAMED:
            return
        self._untrusted.add(peer)
        log.warning(
            "%s sends X-Forwarded-* headers but is not among the trusted proxies, so they are ignored and its"
            " clients have its address; if it is your reverse proxy, add it to HAPPY_TRUSTED_PROXIES (%s)",
            peer,
            ADVICE,
        )

    def _name_silent(self, peer: str) -> None:
        if peer in self._silent or len(self._silent) >= MAX_NAMED:
            return
        self._silent.add(peer)
        log.warning(
            "the reverse proxy at %s does not say whose requests it passes on, so all its clients share one"
            " address; let it set X-Forwarded-For (%s)",
            peer,
            ADVICE,
        )


def _host(headers: Headers) -> str:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == b"host"), "")
