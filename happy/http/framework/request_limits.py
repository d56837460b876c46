"""What a peer may send besides the content of its requests, and how slowly."""

from happy.limits import limit

HEAD_SECONDS = limit(20.0, "s until a request's head has arrived", per="request", then="closed")
"""From its first byte to its last."""

HEAD_BYTES = limit(65_536, "bytes of a request's head", per="request", then="431")
"""With what of the body arrived in the same packets."""

MAX_HEADERS = limit(1_000, "headers of a request", per="request", then="431")
"""Each costs 2 us to read; clients and proxies send some twenty."""

MAX_TARGET = limit(16_384, "bytes of a request's path and query", per="request", then="414")
"""The longest that clients send is a key of 500 characters."""

FIRST_BYTE_SECONDS = limit(30.0, "s until the first byte of a request", per="new connection", then="closed")

BODY_SECONDS = limit(60.0, "s without a byte of a request's body", per="request", then="closed")
"""A phone may lose its network that long."""

SLOW_BODY_SECONDS = limit(
    90.0,
    "s that a request's body may take, and one more for each KiB",
    per="request",
    then="closed",
)
"""The slowest network of phones (GPRS) is several times as fast; the time covers what BODY_SECONDS allows."""

BODY_BYTES_A_SECOND = 1024
"""Bytes of a body that are worth a second."""

WHOLE_BODY_SECONDS = limit(3600.0, "s until a request's body has arrived", per="request", then="closed")
"""The largest attachment at 3 KB/s."""

MAX_FRAMING = limit(
    65_536, "bytes of a chunked body that are not content, more than content", per="request", then="400"
)
"""Sizes of chunks and their extensions. Chunks of one byte cost far more than they bring."""

MAX_TRAILERS = limit(
    16_384, "bytes of trailers, or of one size line, in a chunked body", per="request", then="400"
)
"""Trailers are read and dropped."""

MAX_UNWANTED = limit(
    262_144,
    "bytes of a body still to come when its request was answered",
    per="request",
    then="closed",
)
"""So much is read and dropped, to keep the connection."""

HEAD_PIECE, CHUNKED_PIECE = 2048, 4096
"""Bytes that are parsed at once where a request may begin, and of a chunked body: what is behind may wait."""

CHUNKS_AT_ONCE = 1_000
"""Chunks of a body that are parsed before others have their turn: 256 KB in tiny ones take 25 ms."""

MAX_HELD = limit(
    16_777_216,
    "bytes of pipelined requests that wait",
    per="replica",
    then="closed",
)
"""They wait while an earlier request of their connection is handled; meanwhile it is not read."""

DISCARD_SECONDS = 2.0
"""How long input is discarded after a refusal, so that the peer can read the response."""
