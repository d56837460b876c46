"""The command that serves clients until SIGINT or SIGTERM."""

import gc
import os
import sys
import time
from typing import Any

import click

from happy import __version__
from happy.cli.common import flavor_option, read_settings, start_failures
from happy.settings import Full, Light


@click.command("serve")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON when it is ready, and the log on stderr."
)
@flavor_option
@click.pass_context
def serve(context: click.Context, *, as_json: bool, flavor: str | None) -> None:  # noqa: ARG001 - read_settings takes it
    """Serve clients until SIGINT or SIGTERM."""
    with start_failures():
        _serve(read_settings(context), as_json=as_json)


def _serve(settings: Light | Full, *, as_json: bool) -> None:
    gc.disable()  # what a start allocates is kept: collections during it took 0.1 s and freed nothing
    import asyncio
    import logging

    import uvloop

    from happy import telemetry
    from happy.serving import serve as serve_until_stopped

    copy_to = telemetry.debug_log_file(time.time()) if settings.remote_debug_log else None
    telemetry.configure(settings.log_level, sys.stderr if as_json else sys.stdout, copy_to=copy_to)
    for line in settings.warnings:
        logging.getLogger("happy.settings").warning(line)

    def on_ready() -> None:
        gc.freeze()  # collections while serving skip it as well
        gc.enable()
        _say_ready(settings, as_json=as_json)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings, on_ready))


def _say_ready(settings: Light | Full, *, as_json: bool) -> None:
    import logging

    from happy.cli.startup_banner import ACCOUNTS

    log, mode = logging.getLogger("happy"), settings.registration.mode
    flavor = type(settings).__name__.lower()
    extra = {"version": __version__, "flavor": flavor, "port": settings.port, "registration": mode}
    if as_json:
        _print_json(settings, extra)
    elif isinstance(settings, Light):
        _print_banner(settings)
    log.info("ready", extra=extra)
    if as_json or isinstance(settings, Full):  # no banner has said it
        log.info("accounts: %s", ACCOUNTS[mode])


def _print_json(settings: Light | Full, known: dict[str, Any]) -> None:
    """On one line, which whoever started it can wait for."""
    import msgspec

    document = {**known, "pid": os.getpid(), "host": settings.host, "publicUrl": settings.public_url}
    sys.stdout.write(f"{msgspec.json.encode(document).decode()}\n")
    sys.stdout.flush()


def _print_banner(settings: Light) -> None:
    from happy.cli.startup_banner import lan_addresses, startup_banner

    sys.stdout.write(startup_banner(settings, lan_addresses()))
    sys.stdout.flush()
