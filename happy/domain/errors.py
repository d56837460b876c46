"""Expected errors, one class per way in which a caller has to react."""


class HappyError(Exception):
    """Base of the errors a caller is expected to handle. The docstring is the default message."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip().rstrip("."))


class Invalid(HappyError):
    """Invalid input."""


class Unauthenticated(HappyError):
    """Invalid token."""


class Forbidden(HappyError):
    """This is not allowed."""


class NotFound(HappyError):
    """Not found."""


class Conflict(HappyError):
    """The stored state does not allow this."""


class TooLarge(HappyError):
    """Too large."""


class OverQuota(HappyError):
    """The account stores as much as it may."""


class TooMany(HappyError):
    """Too many requests."""

    def __init__(self, message: str | None = None, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # in s


class Unavailable(HappyError):
    """A backing service did not answer."""


class CommitInDoubt(Unavailable):
    """A backing service did not answer; the request may have taken effect."""


class Stopping(Unavailable):
    """The server is stopping."""


class StartupError(Exception):
    """The server cannot start; the message is one line that says what to do."""
