"""The file `.env`: settings of a light server, for whoever starts it by hand."""

import re
from pathlib import Path
from typing import Final

from happy.settings.model import SettingsError

# One assignment of a `.env` file, as the dotenv libraries read it: quoted values may span lines.
_ASSIGNMENT: Final = re.compile(
    r"""^\s*(?:export\s+)?([\w.-]+)\s*=[^\S\n]*("(?:\\.|[^"\\])*"|'[^']*'|`[^`]*`|[^#\n]*)[^\S\n]*(?:\#.*)?$""",
    re.MULTILINE,
)


def read_dotenv(file: Path | None) -> dict[str, str]:
    if file is None or not file.is_file():
        return {}
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: expected a readable text file in UTF-8 ({error})") from None
    return {name: _unquote(value.strip()) for name, value in _ASSIGNMENT.findall(text)}


def _unquote(value: str) -> str:
    if len(value) < len('""') or value[0] != value[-1] or value[0] not in "\"'`":
        return value
    inner = value[1:-1]
    return inner.replace("\\n", "\n").replace("\\r", "\r") if value[0] == '"' else inner
