"""Match a raw path to an endpoint, with rules that differ from those of Litestar's router.

protocol: http#routing-details
"""

import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from litestar.routes import HTTPRoute

from happy.http.framework.endpoint import Endpoint
from happy.limits import limit

MAX_PARAMETER = limit(100, "UTF-16 code units of a parameter in a path", per="request", then="404")
"""In UTF-16 code units."""

_MALFORMED_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Match(NamedTuple):
    route: HTTPRoute
    endpoint: Endpoint
    parameters: dict[str, str]


class Target(NamedTuple):
    route: HTTPRoute
    endpoint: Endpoint
    names: tuple[str, ...]


class Node:
    """A node of the route tree. Fixed segments take precedence over a parameter, a parameter over `:path`."""

    __slots__ = ("any_text", "fixed", "parameter", "rest", "target")

    def __init__(self) -> None:
        self.any_text = False
        self.fixed: dict[str, Node] = {}
        self.parameter: Node | None = None
        self.rest: Target | None = None
        self.target: Target | None = None


class Segment(NamedTuple):
    """A part of the path between slashes; `text` is as sent where an escape is malformed."""

    raw: bytes
    text: str
    valid: bool


class MalformedPath(Exception):
    """A percent escape outside a parameter is malformed."""


class Router:
    def __init__(self, routes: Iterable[HTTPRoute]) -> None:
        self._roots: dict[str, Node] = {}
        self._plain: dict[tuple[str, bytes], Match] = {}
        self._depth = 0  # segments of the longest route
        for route in routes:
            for endpoint in route.route_handlers:
                if isinstance(endpoint, Endpoint):
                    self._add(route, endpoint)

    def _add(self, route: HTTPRoute, endpoint: Endpoint) -> None:
        (method,) = endpoint.http_methods
        target = Target(route, endpoint, tuple(route.path_parameters))
        self._depth = max(self._depth, len(route.path_components))
        node = self._roots.setdefault(method, Node())
        for component in route.path_components or [""]:
            if isinstance(component, str):
                node = node.fixed.setdefault(component, Node())
            elif component.full.endswith(":path"):
                node.rest = target
                return
            else:
                node.parameter = node = node.parameter or Node()
                node.any_text = node.any_text or endpoint.any_text
        node.target = target
        if not target.names:
            self._plain[method, route.path.encode()] = Match(route, endpoint, {})

    def find(self, method: str, raw_path: bytes) -> Match | None:
        """The endpoint for this request, if there is one. Raises MalformedPath."""
        match = self._plain.get((method, raw_path))
        if match is not None:
            return match
        # What is deeper than all routes fits one that takes any path, or none: it remains one segment.
        segments = [_segment(raw) for raw in raw_path.split(b"/", self._depth + 1)[1:]]
        root = self._roots.get(method)
        found = _walk(root, segments, 0, ()) if root else None
        if found is None:
            if all(segment.valid for segment in segments):
                return None
            raise MalformedPath
        target, values = found
        return Match(target.route, target.endpoint, dict(zip(target.names, values, strict=True)))


def _walk(
    node: Node, segments: list[Segment], depth: int, values: tuple[str, ...]
) -> tuple[Target, tuple[str, ...]] | None:
    if depth == len(segments):
        return (node.target, values) if node.target else None
    segment = segments[depth]
    if segment.valid and segment.text in node.fixed:
        found = _walk(node.fixed[segment.text], segments, depth + 1, values)
        if found:
            return found
    if node.parameter and (node.parameter.any_text or _fits(segment.text)):
        found = _walk(node.parameter, segments, depth + 1, (*values, segment.text))
        if found:
            return found
    if node.rest:
        return node.rest, (*values, _segment(b"/".join(part.raw for part in segments[depth:])).text)
    return None


def _segment(raw: bytes) -> Segment:
    text = raw.decode("latin-1")
    if "%" not in text:
        return Segment(raw, text, valid=True)
    try:
        return Segment(raw, _unquote(raw), valid=True)
    except ValueError:
        return Segment(raw, text, valid=False)


def _unquote(raw: bytes) -> str:
    """Raises ValueError where an escape has no two digits, or the bytes are not UTF-8."""
    if _MALFORMED_ESCAPE.search(raw):
        raise ValueError
    return unquote_to_bytes(raw).decode()


def _fits(text: str) -> bool:
    return len(text) > 0 and (
        len(text) <= MAX_PARAMETER // 2 or len(text.encode("utf-16-le")) <= 2 * MAX_PARAMETER
    )
