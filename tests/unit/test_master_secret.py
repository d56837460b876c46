"""Which master secrets are refused, and where previous ones are found."""

import secrets
from pathlib import Path

import pytest

from happy.adapters.light import secret as secret_file
from happy.adapters.secrets import MAX_PREVIOUS, read_secrets
from happy.domain.errors import StartupError
from happy.domain.master_secret import EXAMPLES, weakness
from happy.services.master_secret import require_strong
from happy.settings import Light, load

EXAMPLE = "is an example that everybody knows"
SHORT = "is shorter than 16 bytes"


@pytest.mark.parametrize("secret", sorted(EXAMPLES))
def test_examples_of_documents_are_refused(secret: str) -> None:
    assert EXAMPLE == weakness(secret) == weakness(f" {secret.upper()}\n") == weakness(f'"{secret}"')


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        ("<your-secret>", EXAMPLE),
        ("<use-openssl-rand-base64-32>", EXAMPLE),
        ("change-me", EXAMPLE),
        ("changeme", EXAMPLE),
        ("CHANGE_THIS_TO_SOMETHING", EXAMPLE),
        ("replace-with-a-high-entropy-secret", EXAMPLE),
        ("your-super-secret-key-here", EXAMPLE),
        ("${HANDY_MASTER_SECRET}", EXAMPLE),
        ("xxxxxxxxxxxxxxxxxxxxxxxx", EXAMPLE),
        ("................", EXAMPLE),
        ("s", SHORT),
        ("fifteen letters", SHORT),
        ("aaaaaaaabbbbbbbbcccccccc", "has fewer than 5 different characters"),
        ("sixteen letters!", None),
        ("changing horses in midstream", None),
        ("ünïcödéünï", None),
        ("0123456789abcdef", None),
        ("3f2a90c1e8d74b65" * 4, None),
        ("not utf-8 at all: \udcff", None),
    ],
)
def test_secrets_that_can_be_guessed_are_refused(secret: str, expected: str | None) -> None:
    assert expected == weakness(secret)


def test_the_refusal_says_how_to_go_on_and_shows_no_secret() -> None:
    with pytest.raises(StartupError) as refused:
        require_strong("hunter2", "HANDY_MASTER_SECRET", allowed=False)

    assert "HANDY_MASTER_SECRET is shorter than 16 bytes" in str(refused.value)
    for part in ("openssl rand -base64 32", "HANDY_MASTER_SECRET_PREVIOUS", "HAPPY_ALLOW_WEAK_SECRET=true"):
        assert part in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_weak_secret_that_is_allowed_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    require_strong("hunter2", "HANDY_MASTER_SECRET", allowed=True)

    (warning,) = caplog.messages
    assert "whoever guesses it can sign in as anybody" in warning
    assert "hunter2" not in warning


# -- where they come from ----------------------------------------------------------------------------------


def light(folder: Path, **variables: str) -> Light:
    settings = load({"HAPPY_SERVER_LIGHT_DATA_DIR": str(folder), "HOME": str(folder), **variables})
    assert isinstance(settings, Light)
    return settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" \n ", ()),
        (" spaces count ", (" spaces count ",)),
        ("ends with a line\n", ("ends with a line\n",)),
        ("first\nsecond \n\n", ("first", "second ")),
        ("first\r\nsecond\r\n", ("first", "second")),
        ("current\nfirst\nfirst", ("first",)),
    ],
)
def test_previous_secrets_are_one_verbatim_or_one_a_line(
    tmp_path: Path, text: str, expected: tuple[str, ...]
) -> None:
    found = read_secrets(light(tmp_path, HANDY_MASTER_SECRET="current", HANDY_MASTER_SECRET_PREVIOUS=text))

    assert found is not None
    assert expected == found.previous


def test_previous_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "listed").write_text("of the file\n\n with a space\n")
    (tmp_path / secret_file.PREVIOUS_NAME).write_text("beside the secret\n")
    settings = light(
        tmp_path,
        HANDY_MASTER_SECRET="current",
        HANDY_MASTER_SECRET_PREVIOUS="of the variable",
        HANDY_MASTER_SECRET_PREVIOUS_FILE=str(tmp_path / "listed"),
    )
    found = read_secrets(settings)

    assert found is not None
    assert ("of the variable", "of the file", " with a space", "beside the secret") == found.previous
    assert "of the" not in repr(settings)


def test_a_file_that_cannot_be_read_keeps_the_server_from_starting(tmp_path: Path) -> None:
    settings = light(
        tmp_path, HANDY_MASTER_SECRET="current", HANDY_MASTER_SECRET_PREVIOUS_FILE=str(tmp_path / "none")
    )

    with pytest.raises(StartupError, match=r"HANDY_MASTER_SECRET_PREVIOUS_FILE: cannot read .*none: No such"):
        read_secrets(settings)


def test_more_previous_secrets_than_a_request_may_try_are_refused(tmp_path: Path) -> None:
    lines = "\n".join(f"secret {number}" for number in range(MAX_PREVIOUS + 1))
    settings = light(tmp_path, HANDY_MASTER_SECRET="current", HANDY_MASTER_SECRET_PREVIOUS=lines)

    with pytest.raises(StartupError, match="there are 9 previous master secrets, and at most 8 are accepted"):
        read_secrets(settings)


# -- the files of a light server ---------------------------------------------------------------------------


def test_a_secret_file_is_replaced_and_the_one_before_is_kept(tmp_path: Path) -> None:
    assert None is secret_file.replace(tmp_path)
    first = secret_file.master_secret(tmp_path)
    second = secret_file.replace(tmp_path)
    third = secret_file.replace(tmp_path)

    assert third == secret_file.read(tmp_path)
    assert 3 == len({first, second, third})
    assert [second, first] == secret_file.read_previous(tmp_path)
    assert {"-rw-------"} == {mode(file) for file in tmp_path.iterdir()}
    assert secret_file.forget_previous(tmp_path)
    assert not secret_file.forget_previous(tmp_path)
    assert [] == secret_file.read_previous(tmp_path)


def test_a_crash_between_the_two_files_loses_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = secret_file.master_secret(tmp_path)
    with monkeypatch.context() as crash:
        crash.setattr(secrets, "token_urlsafe", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            secret_file.replace(tmp_path)
    found = read_secrets(light(tmp_path))

    assert found is not None
    assert (first, ()) == (found.current, found.previous)


def mode(file: Path) -> str:
    import stat

    return stat.filemode(file.stat().st_mode)
