"""The manual page says what `--help` says, and formats without a warning."""

import shutil
import subprocess

import pytest

from tests.support.man_page import PAGE, described, escaped, page


def test_the_manual_page_is_what_the_commands_say() -> None:
    """`make man` writes it."""
    assert PAGE.read_text("utf-8") == page()


def test_every_command_is_in_the_manual_page() -> None:
    text = PAGE.read_text("utf-8")
    assert [] == [words for words, _ in described() if f'.SS "{escaped(f"happy-server {words}")}' not in text]


@pytest.mark.parametrize(
    "command",
    [
        ["mandoc", "-Tlint", "-W", "warning"],
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"],
    ],
    ids=["mandoc", "man"],
)
def test_the_manual_page_formats_without_a_warning(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]}")
    done = subprocess.run([*command, str(PAGE)], check=False, capture_output=True, text=True)
    reported = done.stdout if command[0] == "mandoc" else ""
    assert (0, "", "") == (done.returncode, reported, done.stderr)


def test_text_is_literal_in_roff() -> None:
    assert "\\&.env \\e \\-\\-yes" == escaped(".env \\ --yes")
