"""Where the master secret and the previous ones come from: variables, files, the light data directory."""

from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from happy.domain.errors import StartupError
from happy.limits import limit
from happy.settings import Full, Light

VARIABLE = "HANDY_MASTER_SECRET"
MAX_PREVIOUS = limit(
    8, "previous master secrets that are accepted", per="replica", then="the server does not start"
)


class Secrets(Struct, frozen=True):
    """`source` says where the current one comes from. None of them is ever shown."""

    current: str
    source: str
    previous: tuple[str, ...] = ()


def read_secrets(settings: Light | Full) -> Secrets | None:
    """None for a light server without a secret, which makes one at its start. Raises StartupError."""
    current, source = settings.secret, VARIABLE
    if current is None:
        assert isinstance(settings, Light), "settings of the full flavor always have a secret"
        from happy.adapters.light import secret as secret_file

        found = secret_file.read(settings.data_dir)
        if not found:
            return None
        return Secrets(
            found, str(settings.data_dir / secret_file.FILE_NAME), _distinct(_previous(settings), found)
        )
    return Secrets(current, source, _distinct(_previous(settings), current))


def _previous(settings: Light | Full) -> list[str]:
    """Of variables first, then of files."""
    found: list[str] = list(settings.previous_secrets)
    if settings.previous_secrets_file is not None:
        found += _lines_of(settings.previous_secrets_file)
    if isinstance(settings, Light):
        from happy.adapters.light import secret as secret_file

        found += secret_file.read_previous(settings.data_dir)
    return found


def _lines_of(file: Path) -> list[str]:
    """One secret a line, with the spaces in it."""
    try:
        return [line for line in file.read_text("utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise StartupError(f"HANDY_MASTER_SECRET_PREVIOUS_FILE: cannot read {file}: {reason}") from error


def _distinct(previous: Iterable[str], current: str) -> tuple[str, ...]:
    found = tuple(secret for secret in dict.fromkeys(previous) if secret != current)
    if len(found) > MAX_PREVIOUS:
        raise StartupError(
            f"there are {len(found)} previous master secrets, and at most {MAX_PREVIOUS} are accepted:"
            " run `happy-server secret rotate` with them in turns"
        )
    return found
