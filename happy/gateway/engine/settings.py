"""The limits and timeouts of the engine."""

import msgspec

from happy.gateway.engine.path_prefix import PathPrefix
from happy.limits import limit
from happy.services.rate_limit import AddressLimit


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds and bytes. The defaults are those of Socket.IO, but for larger payloads."""

    path: str = "/v1/updates/"
    prefix: PathPrefix = PathPrefix()
    connects: AddressLimit | None = None
    """How often an address may open a connection."""

    ping_interval: float = 15.0
    ping_timeout: float = limit(
        45.0, "s without an answer to a ping", per="connection", then="closed; a client may recover"
    )
    upgrade_timeout: float = limit(
        10.0,
        "s that an upgrade to a websocket may take",
        per="connection",
        then="it remains with long polling",
    )
    connect_timeout: float = limit(
        20.0, "s until the client is authenticated", per="connection", then="the transport is closed"
    )
    max_payload: int = limit(
        16_000_000, "bytes of a packet or body", per="connection", then="the transport is closed"
    )
    max_payload_untrusted: int = limit(
        16_384,
        "bytes of a packet or body before the client is authenticated",
        per="connection",
        then="the transport is closed",
    )
    max_attachments: int = limit(
        10, "binary attachments of a packet", per="packet", then="the transport is closed: `parse error`"
    )
    queue_bytes: int = limit(
        4_000_000,  # a single larger packet may still wait behind smaller ones
        "bytes that wait to be sent",
        per="connection",
        then="the connection is closed: the client reads too slowly, and recovers",
    )
    queue_packets: int = limit(
        4_096,
        "packets that wait to be sent",
        per="connection",
        then="the connection is closed: the client reads too slowly, and recovers",
    )
