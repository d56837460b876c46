"""What a client that is back is sent of the events it missed."""

READS_MESSAGES = "cli-coding-session/"
"""How clients call themselves that read messages over HTTP at every connect, recovered or not."""

NEW_MESSAGE = b'"body":{"t":"new-message"'
HEAD = 160
"""The kind of an update follows its id and number, which are short."""


def reads_messages(client: str) -> bool:
    """Whether a client reads the messages it missed by itself: replayed too, it would have them twice."""
    return client.startswith(READS_MESSAGES)


def is_message(event: bytes) -> bool:
    """Whether an encoded `update`, or the packet around it, announces a message."""
    return event.find(NEW_MESSAGE, 0, HEAD) >= 0
