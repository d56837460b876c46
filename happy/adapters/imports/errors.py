"""Why a source is not imported."""

from happy.domain.errors import HappyError


class SourceRefused(HappyError):
    """The source cannot be read; the message says why, and the commands, if there are any, help."""

    def __init__(self, message: str, commands: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.commands = commands
