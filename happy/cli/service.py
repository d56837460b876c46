"""The commands that let systemd run the server: they show the unit, install it and remove it."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from happy.cli.administration import yes_option
from happy.cli.common import (
    PROGRAM,
    CommandFailed,
    InWrittenOrder,
    flavor_option,
    json_option,
    start_failures,
)
from happy.cli.output import Output
from happy.cli.systemd import Systemd, obstacles
from happy.cli.systemd_unit import MADE_BY, NAME, UNIT, Service
from happy.settings import chosen_flavor

MEMORY: Final = re.compile(r"[1-9][0-9]{0,6}[KMGT]")


@click.group("service", cls=InWrittenOrder)
def service() -> None:
    """The server as a service of systemd."""


def _memory(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not MEMORY.fullmatch(value):
        raise click.BadParameter("expected a number and K, M, G or T, such as 1G", context, parameter)
    return value


def about_a_service(command: Callable[..., None]) -> Callable[..., None]:
    """Call the command with the Service that the options describe, its systemd, and where to print."""

    @click.option("--user", "for_user", is_flag=True, help="For this user alone, without root.")
    @click.option(
        "--root",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Below this folder, an image that is being made; nothing is started.",
    )
    @json_option
    @flavor_option
    @click.pass_context
    @wraps(command)
    def call(context: click.Context, /, **options: Any) -> None:
        for_user, root, as_json = (options.pop(name) for name in ("for_user", "root", "as_json"))
        flavor = options.pop("flavor") or context.find_root().params["flavor"]
        if for_user and root is not None:
            raise click.UsageError("--user and --root cannot be combined", context)
        with start_failures():
            described = _described(context.obj, flavor, options.pop("memory", "1G"), for_user=for_user)
            command(described, Systemd(for_user=for_user, root=root), Output(as_json=as_json), **options)

    return call


memory_option = click.option(
    "--memory",
    default="1G",
    show_default=True,
    callback=_memory,
    metavar="SIZE",
    help="The most it may use, such as 512M.",
)


@service.command("show")
@memory_option
@about_a_service
def show(described: Service, systemd: Systemd, output: Output) -> None:
    """Print the unit that `install` writes.

    Whether it is there is said on standard error.
    """
    state = _state(described, systemd)
    for problem in obstacles(described):
        click.echo(f"{PROGRAM}: warning: {problem}", err=True)
    if output.as_json:
        output.done(
            {
                "path": str(described.unit_file),
                "settings": str(described.settings_file),
                "state": state,
                "unit": described.unit(),
            },
            "",
        )
        return
    click.echo(described.unit(), nl=False)
    click.echo(f"{described.unit_file}: {state}", err=True)


@service.command("install")
@memory_option
@yes_option
@about_a_service
def install(described: Service, systemd: Systemd, output: Output, *, yes: bool) -> None:
    """Write the unit, and start the server now and at boot."""
    systemd.check()
    for problem in obstacles(described):
        raise CommandFailed(problem)
    _ours(described, systemd)
    starts = systemd.runs and (described.flavor == "light" or systemd.has(described.settings_file))
    output.confirm(_effects(described, systemd, starts=starts), yes=yes)
    systemd.write(described.unit_file, described.unit())
    if not systemd.has(described.settings_file):
        systemd.write(described.settings_file, described.settings(), mode=0o600)
    if described.user_file is not None:
        systemd.write(described.user_file, described.user())
        systemd.make_user(described.user_file)
    systemd.enable(start=starts)
    output.done(
        {"path": str(described.unit_file), "settings": str(described.settings_file), "started": starts},
        f"{UNIT} is installed{' and started' if starts else ''}. {_next(described, starts=starts)}",
    )


@service.command("uninstall")
@yes_option
@about_a_service
def uninstall(described: Service, systemd: Systemd, output: Output, *, yes: bool) -> None:
    """Stop the server and remove the unit.

    Data, settings and the user remain.
    """
    systemd.check()
    if not systemd.has(described.unit_file):
        raise CommandFailed(f"{described.unit_file} does not exist: nothing to remove")
    _ours(described, systemd)
    output.confirm(
        [
            f"Stops {UNIT}, disables it, and removes {described.unit_file}.",
            f"Settings in {described.settings_file.parent} and data remain.",
        ],
        yes=yes,
    )
    systemd.disable()
    removed = [path for path in (described.unit_file, described.user_file) if path and systemd.remove(path)]
    systemd.reload()
    output.done({"removed": [str(path) for path in removed]}, f"{UNIT} is removed.")


def _described(environ: Mapping[str, str], flavor: str | None, memory: str, *, for_user: bool) -> Service:
    import sys

    chosen = chosen_flavor(environ, flavor)
    if not for_user:
        return Service(chosen, sys.executable, memory)
    home = Path(environ.get("HOME") or Path.home())
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Service(chosen, sys.executable, memory, home, config)


def _state(described: Service, systemd: Systemd) -> str:
    if not systemd.has(described.unit_file):
        return "not installed"
    same = systemd.read(described.unit_file) == described.unit()
    return "installed" if same else "installed, but different"


def _ours(described: Service, systemd: Systemd) -> None:
    """Raises CommandFailed for a unit that somebody else wrote."""
    path = described.unit_file
    if systemd.has(path) and not systemd.read(path).startswith(MADE_BY):
        raise CommandFailed(f"{path} was not made by this command: move it away first")


def _effects(described: Service, systemd: Systemd, *, starts: bool) -> list[str]:
    replaces = "Replaces" if systemd.has(described.unit_file) else "Writes"
    keeps = "Keeps" if systemd.has(described.settings_file) else "Writes"
    lines = [
        f"{replaces} {described.unit_file}: runs `{described.command('serve')}`",
        f"with at most {described.memory} of memory.",
        f"{keeps} {described.settings_file}, the settings;",
        f"data are in {described.data} unless they say otherwise.",
    ]
    if described.user_file is not None:
        lines.append(f"Writes {described.user_file}, and makes the user {NAME} that the server runs as.")
    when = "when the user signs in" if described.home else "when the machine starts"
    lines.append(f"Starts it {when}{', and now' if starts else ', not now'}.")
    return lines


def _next(described: Service, *, starts: bool) -> str:
    manager = "systemctl --user" if described.home else "systemctl"
    if described.flavor == "full" and not starts:
        return f"Fill in {described.settings_file}, then: {manager} start {NAME}"
    if described.home:
        return "To have it run while nobody is signed in: loginctl enable-linger"
    return f"Settings: {described.settings_file}; log: journalctl -u {NAME}"
