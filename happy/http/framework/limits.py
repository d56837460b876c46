"""The largest bodies that endpoints take, by what clients send (protocol: http#sizes-of-bodies)."""

from happy.limits import limit

MAX_SMALL_BODY = limit(64 * 1024, "bytes of the body of most requests", per="request", then="413")
"""Sign-in, linking, keys, ids, push events: clients send less than 4 KiB."""

MAX_KEYS_BODY = limit(
    256 * 1024,
    "bytes of a body with up to a hundred keys, or credentials of a vendor",
    per="request",
    then="413",
)

MAX_DOCUMENT_BODY = limit(4 * 1024 * 1024, "bytes of a body with a document", per="request", then="413")
"""Metadata of a session or machine, an artifact, settings, key-value entries. Other servers drop realtime
events of more than 1 MB, so clients keep what they store below that."""

MAX_MESSAGES_BODY = limit(
    16 * 1024 * 1024,
    "bytes of a body with messages that are stored together, and of one message",
    per="request",
    then="longer ones are stored in groups; 413 for a message",
)
"""Clients send up to 50 messages at once."""

MAX_LONG_MESSAGES_BODY = limit(
    100 * 1024 * 1024, "bytes of a body with messages, if it says its length", per="request", then="413"
)
"""As other servers: clients repeat what is refused for ever."""

MAX_WEBHOOK_BODY = limit(1024 * 1024, "bytes of an event of GitHub", per="request", then="413")
"""It is only logged, and its sender is known after it was read."""

MAX_HELD_BODIES = limit(
    16 * 1024 * 1024,
    "bytes of bodies in memory at once",
    per="replica",
    then="the others wait, slow ones are closed; 503 after 20 s",
)
"""Each byte costs some six while it is stored and sent to others."""

MAX_HELD_SMALL_BODIES = limit(
    8 * 1024 * 1024,
    "bytes of small bodies (up to 64 KiB) in memory at once",
    per="replica",
    then="the others wait, slow ones are closed; 503 after 20 s",
)
"""Of their own, so that these need not wait for large ones."""
