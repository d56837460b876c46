"""The file `.env` with settings of a light server."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from happy.settings.model import SettingsError

if TYPE_CHECKING:
    from dotenv.parser import Binding

SECRET_NAME: Final = "HANDY_MASTER_SECRET"  # noqa: S105 - the name of a variable

_QUOTED: Final = re.compile(r"=\s*[\"'`]")
_BACKTICKS: Final = re.compile(r"=\s*`([^`]*)`\s*(?:#.*)?$")
"""A third kind of quotes that other servers of this protocol know, and the library does not."""


def read_dotenv(file: Path | None) -> tuple[dict[str, str], list[str]]:
    """The variables of the file and warnings about its lines; none of either where there is no file.

    No message repeats anything of a line but its number: it may hold a secret.
    """
    if file is None or not file.exists():
        return {}, []
    if file.is_dir():
        return {}, [f"{file} is a folder and not read: expected a text file"]
    from dotenv.parser import parse_stream  # import time is paid only if there is such a file

    lines = [*parse_stream(io.StringIO(_text(file)))]
    values = {line.key: _value(file, line) for line in lines if line.key and line.value is not None}
    return values, _warnings(file, lines)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{file}: expected a readable text file ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(
            f"{file}: expected a readable text file in UTF-8: save it in that encoding"
        ) from None


def _value(file: Path, line: "Binding") -> str:
    """Raises SettingsError for a master secret with an unquoted `#`: parsers differ in where it ends."""
    text, value = line.original.string, line.value or ""
    if line.key == SECRET_NAME and "#" in value and not _QUOTED.search(text):
        raise SettingsError(
            f"{file} line {_number(line)}: {SECRET_NAME} holds a #: put quotes around what belongs to it"
        )
    backticks = _BACKTICKS.search(text)
    return backticks[1] if backticks else value


def _warnings(file: Path, lines: list["Binding"]) -> list[str]:
    numbers = [_number(line) for line in lines if line.error or (line.key and line.value is None)]
    if not numbers:
        return []
    where = f"line {numbers[0]}" if len(numbers) == 1 else f"lines {', '.join(map(str, numbers))}"
    return [f"{file}: {where} not understood and ignored: expected NAME=value, with closed quotes if any"]


def _number(line: "Binding") -> int:
    """Blank lines in front belong to a line, as the library counts."""
    text = line.original.string
    return line.original.line + len(text[: len(text) - len(text.lstrip())].splitlines())
