"""The command line: help, usage errors (exit code 2), and failures to start (one line, exit code 1)."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import click
import pytest

from happy import __version__
from happy.cli.main import COMMANDS, commands, run
from schema.revisions import HEAD

ROOT = Path(__file__).parents[2]
FOR_ALL = {"--flavor", "--json", "--yes"}
"""Described once, at the beginning of the documentation."""


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def environ(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / "data"), **more}


def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "happy-server-light.sqlite"


def every_command() -> dict[tuple[str, ...], click.Command]:
    """Commands and groups by their words."""
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in commands.commands.items():
        found[name,] = command
        if isinstance(command, click.Group):
            found |= {(name, part): inner for part, inner in command.commands.items()}
    return found


WITHOUT_SETTINGS = {("verify",)}


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run([option], {})
    shown = capsys.readouterr()
    assert [
        "serve",
        "migrate",
        "backup",
        "verify",
        "restore",
        "import",
        "export",
        "schema-check",
        "new-secret",
        "secret",
        "accounts",
        "tokens",
        "sessions",
        "machines",
        "invites",
        "purge",
        "stats",
        "audit",
        "service",
        "version",
    ] == list(commands.commands)
    assert [] == [name for name in commands.commands if f"\n  {name} " not in shown.out]
    assert ("docs/operating.md" in shown.out, "") == (True, shown.err)


@pytest.mark.parametrize(
    "group", [[], *([name] for name, each in commands.commands.items() if isinstance(each, click.Group))]
)
def test_the_help_of_commands_was_cut_short_in_lists(
    group: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Keep the first line of a command short; more can be said below it."""
    assert 0 == run([*group, "--help"], {})
    assert [] == [line for line in capsys.readouterr().out.splitlines()[1:] if line.endswith("...")]


TAKING = {"delete", "disable", "forget", "purge", "revoke", "sign-out", "uninstall"}


def test_whatever_takes_something_shows_it_first_and_has_yes() -> None:
    """Give the command `yes_option` and call `output.confirm` with what it would do."""
    assert [] == [
        " ".join(words)
        for words, command in every_command().items()
        if words[-1] in TAKING and not any("--yes" in each.opts for each in command.params)
    ]


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_every_command_has_help(
    words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = every_command()[words]
    assert 0 == run([*words, option], {"PORT": "many"})
    shown = capsys.readouterr()
    assert shown.out.startswith(f"Usage: happy-server {' '.join(words)} [OPTIONS]")
    assert command.help is not None
    assert f"\n\n  {command.help.splitlines()[0]}\n" in shown.out
    has_settings = not isinstance(command, click.Group) and words not in WITHOUT_SETTINGS
    assert not has_settings or "--flavor [light|full]" in shown.out
    assert "" == shown.err


def test_every_command_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    assert [] == [
        " ".join(words)
        for words, command in every_command().items()
        if not isinstance(command, click.Group) and f"`happy-server {' '.join(words)}" not in text
    ]


def documented(words: tuple[str, ...]) -> set[str]:
    """What stands behind the command where docs/commands.md shows it: options and names of arguments."""
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    shown = re.findall(rf"`happy-server {' '.join(words)}( [^`]*)?`", text)
    return {part for each in shown for part in re.findall(r"(?<!\S)\[?(--[a-z-]+|[A-Z]+)", each)}


@pytest.mark.parametrize("words", list(every_command()), ids=" ".join)
def test_the_documentation_shows_the_options_and_arguments_of_every_command(words: tuple[str, ...]) -> None:
    command = every_command()[words]
    if isinstance(command, click.Group):
        return
    options = {
        name
        for each in command.params
        if isinstance(each, click.Option)
        for name in each.opts
        if name[1] == "-"
    }
    context = click.Context(command)
    arguments = {
        each.make_metavar(context).strip("[]") for each in command.params if isinstance(each, click.Argument)
    }
    # Values of options, such as N, are documented with them.
    values = {part for part in documented(words) if part[0] != "-"} - arguments
    assert options - FOR_ALL | arguments <= documented(words)
    assert documented(words) - values <= options | arguments


@pytest.mark.parametrize(
    ("shell", "words", "completed"),
    [
        ("bash", "happy-server acc", "accounts"),
        ("bash", "happy-server accounts show --js", "--json"),
        ("bash", "happy-server sessions de", "delete"),
        ("zsh", "happy-server accounts sh", "show"),
        ("zsh", "happy-server purge --in", "--inactive-days"),
        ("fish", "happy-server machines li", "list"),
        ("fish", "happy-server serve --fl", "--flavor"),
    ],
)
def test_shells_complete_commands_and_options(shell: str, words: str, completed: str) -> None:
    last = words.rpartition(" ")[2]
    variables = {
        **os.environ,
        "_HAPPY_SERVER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": last if shell == "fish" else str(words.count(" ")),
    }
    command = [sys.executable, "-m", "happy"]
    shown = subprocess.run(command, env=variables, cwd=ROOT, check=True, capture_output=True, text=True)
    assert completed in re.split(r"[\s,]+", shown.stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_understand_their_completion_scripts(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    variables = {**os.environ, "_HAPPY_SERVER_COMPLETE": f"{shell}_source"}
    command = [sys.executable, "-m", "happy"]
    script = subprocess.run(command, env=variables, cwd=ROOT, check=True, capture_output=True)
    (tmp_path / "script").write_bytes(script.stdout)
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["migrations"], "No such command 'migrations'. Did you mean 'migrate'?"),
        (["accouns"], "No such command 'accouns'. Did you mean 'accounts'?"),
        (["frobnicate"], "No such command 'frobnicate'."),
        (["serve", "now"], "Got unexpected extra argument (now)"),
        (["serve", "migrate"], "Got unexpected extra argument (migrate)"),
        (["serve", "--flavor"], "Option '--flavor' requires an argument."),
        (
            ["serve", "--flavor", "huge"],
            "Invalid value for '--flavor': 'huge' is not one of 'light', 'full'.",
        ),
        (["migrate", "--flavor=huge"], "Invalid value for '--flavor': 'huge' is not one of 'light', 'full'."),
        (["serve", "--port", "1"], "No such option '--port'."),
        (["serve", "--sign-everybody-out"], "No such option '--sign-everybody-out'."),
    ],
)
def test_a_usage_error_names_the_mistake_and_exits_with_2(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run(arguments, {})
    shown = capsys.readouterr()
    assert ("", f"Error: {error}") == (shown.out, shown.err.splitlines()[-1])


def test_no_command_shows_the_help_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run([], {})
    assert "\n  serve " in capsys.readouterr().err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["--version"], {})
    assert f"happy-server {__version__}\n" == capsys.readouterr().out


def test_a_new_secret_needs_consent(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run(["new-secret"], {})
    shown = capsys.readouterr()
    assert "happy-server: nothing was done: add --yes to do it without a prompt\n" == shown.err
    assert "Every device has to sign in again." in shown.out


@pytest.mark.parametrize("arguments", [["--flavor", "full", "serve"], ["serve", "--flavor", "full"]])
def test_the_flavor_may_stand_before_or_after_the_command(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(arguments, environ(tmp_path))
    assert "happy-server: HANDY_MASTER_SECRET is required\n" == capsys.readouterr().err


def test_an_interrupt_before_the_server_is_ready_exits_with_130(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("happy.adapters.light.schema.prepare", interrupt)

    assert 130 == run(["migrate"], environ(tmp_path))
    assert ("", "") == capsys.readouterr()


def test_migrate_makes_a_database_that_the_check_accepts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run(["migrate"], environ(tmp_path))
    assert f"{database(tmp_path)} has schema {HEAD} now (it had none)" in capsys.readouterr().out
    for command in ("migrate", "schema-check"):
        assert 0 == run([command], environ(tmp_path))
        assert f"{database(tmp_path)} is up to date.\n" == capsys.readouterr().out
    assert 0o700 == database(tmp_path).parent.stat().st_mode & 0o777


def test_the_launcher_of_the_embedded_server_can_migrate(tmp_path: Path) -> None:
    launcher = {
        "DB_PROVIDER": "pglite",
        "DATA_DIR": str(tmp_path / "data"),
        "HANDY_MASTER_SECRET": "a secret for tests",
    }

    assert 0 == run(["migrate"], launcher)
    assert database(tmp_path).exists()


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


def test_the_check_finds_a_schema_that_is_not_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["migrate"], environ(tmp_path))
    alter(database(tmp_path), 'ALTER TABLE "Session" ADD COLUMN "surprise" TEXT')
    before = database(tmp_path).read_bytes()

    assert 1 == run(["schema-check"], environ(tmp_path))
    assert "differs from schema" in capsys.readouterr().err
    assert before == database(tmp_path).read_bytes()


def test_the_check_makes_no_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run(["schema-check"], environ(tmp_path))
    assert "there is no database" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [["serve"], ["migrate"], ["schema-check"], ["serve", "--flavor=light"]])
def test_a_malformed_variable_is_named_before_anything_is_made(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(arguments, environ(tmp_path, PORT="many"))
    assert "happy-server: PORT: expected a port from 1 to 65535, got 'many'\n" == capsys.readouterr().err
    assert [] == list(tmp_path.iterdir())


def test_a_dotenv_file_in_the_working_directory_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("PORT=many\n")

    assert 1 == run(["serve"], environ(tmp_path))
    assert "PORT" in capsys.readouterr().err


def test_a_flavor_variable_with_another_value_is_a_failure_to_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert 1 == run(["serve"], {"HAPPY_FLAVOR": "huge"})
    assert "happy-server: HAPPY_FLAVOR: expected light or full, got 'huge'\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "migrate", "schema-check"])
def test_a_database_out_of_reach_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    full = {
        "DATABASE_URL": "postgresql://me:hidden@127.0.0.1:1/happy",
        "HANDY_MASTER_SECRET": "a secret for tests",
    }

    assert 1 == run([command], full)
    error = capsys.readouterr().err
    assert error.startswith("happy-server: cannot use the database 127.0.0.1:1/happy: ")
    assert (1, False) == (error.count("\n"), "hidden" in error)


def test_a_data_directory_that_cannot_be_made_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").write_text("a file")

    assert 1 == run(
        ["migrate"], environ(tmp_path, HAPPY_SERVER_LIGHT_DATA_DIR=str(tmp_path / "data" / "deeper"))
    )
    shown = capsys.readouterr().err
    assert shown.startswith("happy-server: ")
    assert 1 == shown.count("\n")


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database(tmp_path).parent.mkdir()
    database(tmp_path).write_text("a letter to a friend" * 100)

    assert 1 == run(["migrate"], environ(tmp_path))
    assert f"{database(tmp_path)} is damaged" in capsys.readouterr().err
    assert database(tmp_path).read_text().startswith("a letter")


def test_a_database_of_a_newer_version_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["migrate"], environ(tmp_path))
    alter(database(tmp_path), "UPDATE alembic_version SET version_num = '9999'")
    alter(database(tmp_path), 'DROP TABLE "happy_SchemaCompatibility"')

    assert 1 == run(["migrate"], environ(tmp_path))
    assert "has schema 9999" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["migrate", "schema-check", "accounts list", "stats", "sessions show x"])
def test_commands_of_an_older_release_told_people_to_migrate_a_newer_database(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["migrate"], environ(tmp_path))
    alter(database(tmp_path), "UPDATE alembic_version SET version_num = '9999'")
    alter(database(tmp_path), 'DROP TABLE "happy_SchemaCompatibility"')

    assert 1 == run(command.split(), environ(tmp_path))
    shown = capsys.readouterr().err
    assert "has schema 9999, and this version knows none after" in shown
    assert "run `happy-server migrate`" not in shown


def ended(words: str, redirection: str, tmp_path: Path) -> tuple[int, str]:
    """Exit code and stderr of a command whose standard output goes there."""
    line = f"{sys.executable} -m happy {words} {redirection}"
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ(tmp_path)}
    done = subprocess.run(
        ["bash", "-c", line], env=variables, cwd=tmp_path, check=False, capture_output=True, text=True
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", ["version", "stats --json", "--help", "accounts list"])
def test_output_that_nobody_reads_or_takes_is_no_crash(words: str, tmp_path: Path) -> None:
    run(["migrate"], environ(tmp_path))

    # It ends by itself when the pipe is closed before it begins to write.
    pipe = "> >(exec true); exit $?"
    assert ended(words, f"{pipe}", tmp_path)[1] == ""
    code, error = ended(words, "> /dev/full", tmp_path)
    assert (1, 1, True) == (code, error.count("\n"), error.startswith("happy-server: "))
    assert "No space left on device" in error


def test_the_version_was_shown_by_importing_every_command() -> None:
    code = "import sys, happy.cli.main; print(*(name for name in sys.modules if name.startswith('happy.')))"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert [] == [
        name
        for name in shown.split()
        if name.startswith(("happy.services", "happy.adapters", "happy.crypto", "happy.cli.accounts"))
    ]
    assert set(COMMANDS) == set(commands.commands)
