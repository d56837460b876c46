"""The limits and timeouts of the engine."""

import msgspec

from happy.gateway.engine.path_prefix import PathPrefix


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """In seconds and bytes. The defaults are what clients expect, but for larger payloads."""

    path: str = "/v1/updates/"
    prefix: PathPrefix = PathPrefix()
    ping_interval: float = 15.0
    ping_timeout: float = 45.0
    upgrade_timeout: float = 10.0
    connect_timeout: float = 20.0
    max_payload: int = 16_000_000
    max_payload_untrusted: int = 100_000  # until the client is authenticated
    max_attachments: int = 10
    queue_bytes: int = 4_000_000  # a single larger packet may still wait behind smaller ones
    queue_packets: int = 4_096
