"""The text of a SQL dump, read in pieces: tokens, and the lines of COPY."""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import IO, Final, Literal, NamedTuple

from happy.adapters.imports.errors import SourceRefused

CHUNK: Final = 1_000_000
MARGIN: Final = 100
"""How many characters behind a token are read before it is believed: the longest is that of a string."""

END_OF_COPY: Final = r"\."

Kind = Literal["string", "name", "word", "number", "other"]


class Token(NamedTuple):
    """A word is in capitals; names and strings are without their quotes."""

    kind: Kind
    value: str


# Possessive, so that a string of any length is matched without going back.
_TOKEN: Final = re.compile(
    r"""
      (?P<blank>\s+)
    | (?P<remark>--[^\n]*)
    | (?P<string>'(?:[^']+|'')*+')
    | (?P<escaped>[eE]'(?:[^'\\]+|''|\\.)*+')
    | (?P<name>"(?:[^"]+|"")*+")
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>(?![eE]')[^\W\d][\w$]*)
    | (?P<number>\d[\d.]*(?:[eE][-+]?\d+)?)
    | (?P<comment>/\*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_QUOTES: Final = "'\"eE"
"""What begins a token whose end has not been read yet."""

_COMMENT_ENDS: Final = re.compile(r"/\*|\*/")
_ESCAPE: Final = re.compile(
    r"''|\\(?:x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|[0-7]{1,3}|.)", re.DOTALL
)
_TOKENS: Final[dict[str, Callable[[str], Token]]] = {
    "string": lambda text: Token("string", text[1:-1].replace("''", "'")),
    "escaped": lambda text: Token("string", _ESCAPE.sub(unescaped, text[2:-1])),
    "name": lambda text: Token("name", text[1:-1].replace('""', '"')),
    "word": lambda text: Token("word", text.upper()),
    "number": lambda text: Token("number", text),
    "other": lambda text: Token("other", text),
}
_LETTERS: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class SqlText:
    """`remarks` is called with every comment of one line, in which dumps say whether they are complete."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._ended = False
        self.read_bytes = 0
        self.is_complete = False
        """Whether the remark was met that pg_dump ends with."""

        self.began_dump = False

    def token(self) -> Token | None:
        """The next one after spaces and comments; None at the end. Raises SourceRefused."""
        while (found := self._match()) is not None:
            kind, text = str(found.lastgroup), found.group()
            if kind == "remark":
                self._note(text)
            elif kind == "comment":
                self._skip_comment()
            elif kind == "dollar":
                return Token("string", self._dollar_quoted(text))
            elif kind != "blank":
                return _TOKENS[kind](text)
        return None

    def rest_of_line(self) -> str:
        """What stands before the next line break, which is passed. Raises SourceRefused at the end."""
        while (end := self._text.find("\n", self._at)) < 0:
            if not self._more():
                end = len(self._text)
                if end == self._at:
                    raise SourceRefused("it is cut short: rows of COPY have no end")
                break
        line = self._text[self._at : end]
        self._at = min(end + 1, len(self._text))
        return line.removesuffix("\r")

    def copied_lines(self) -> Iterator[str]:
        """The rows of COPY up to its end, each as it stands."""
        self.rest_of_line()
        while (line := self.rest_of_line()) != END_OF_COPY:
            yield line

    def _match(self) -> "re.Match[str] | None":
        while True:
            found = _TOKEN.match(self._text, self._at)
            if found is None or found.end() + MARGIN > len(self._text) or self._is_open(found):
                if self._more():
                    continue
                if found is not None and self._is_open(found):
                    raise SourceRefused("it is cut short: a string has no end")
            if found is not None:
                self._at = found.end()
            return found

    @staticmethod
    def _is_open(found: "re.Match[str]") -> bool:
        return found.lastgroup == "other" and found.group() in _QUOTES

    def _more(self) -> bool:
        """Read as much again as is waiting, so that long values are not searched often. False at the end."""
        if self._ended:
            return False
        data = self._stream.read(max(CHUNK, len(self._text) - self._at))
        self.read_bytes += len(data)
        self._ended = not data
        try:
            self._text = self._text[self._at :] + self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise SourceRefused("it is no UTF-8 text: dump with `pg_dump --encoding=UTF8`") from None
        self._at = 0
        return True

    def _note(self, remark: str) -> None:
        self.began_dump |= "PostgreSQL database dump" in remark
        self.is_complete |= "dump complete" in remark

    def _skip_comment(self) -> None:
        depth = 1
        while depth:
            found = _COMMENT_ENDS.search(self._text, self._at)
            if found is None or found.end() == len(self._text):
                if found is None:
                    self._at = max(self._at, len(self._text) - 1)
                if self._more():
                    continue
                if found is None:
                    raise SourceRefused("it is cut short: a comment has no end")
            assert found is not None
            depth += 1 if found.group() == "/*" else -1
            self._at = found.end()

    def _dollar_quoted(self, tag: str) -> str:
        while (end := self._text.find(tag, self._at)) < 0:
            if not self._more():
                raise SourceRefused("it is cut short: a string has no end")
        text = self._text[self._at : end]
        self._at = end + len(tag)
        return text


def unescaped(found: "re.Match[str]") -> str:
    """What an escape of PostgreSQL stands for, of `E'...'` and of rows of COPY."""
    text = found.group()
    if text == "''":
        return "'"
    body = text[1:]
    if body[0] in "xuU" and len(body) > 1:
        return chr(int(body[1:], 16))
    if body[0] in "01234567":
        return chr(int(body, 8))
    return _LETTERS.get(body, body)
