"""What all administration commands share: the database beside a running server, `--json` and `--yes`.

Exit codes: 0 done, 1 refused or failed, 2 a usage error.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from happy.cli.common import PROGRAM, CommandFailed, json_option, with_settings
from happy.cli.output import Output
from happy.domain.administration import AccountRecord
from happy.domain.errors import HappyError, Unavailable
from happy.domain.ports.store import Store
from happy.domain.values import Millis
from happy.limits import limit
from happy.settings import Full, Light

if TYPE_CHECKING:
    from happy.domain.audit import Action

MAX_PAGE: Final = limit(
    1_000, "sessions or machines that one command lists", per="command", then="the next page has the others"
)

yes_option = click.option("--yes", is_flag=True, help="Do it without a prompt.")


def page_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--limit` and `--after` of a list that may be long."""
    size = click.IntRange(1, MAX_PAGE)
    after = click.option("--after", metavar="ID", help="Go on behind this one of the list.")
    return click.option(
        "--limit", type=size, metavar="N", default=50, show_default=True, help="So many at a time."
    )(after(command))


def account_in_words(account: AccountRecord) -> str:
    """Like `the account cmigd3vb1000001jx9v0h6n4e (@ada Ada Lovelace)`."""
    return f"the account {account.id} ({account.name})" if account.name else f"the account {account.id}"


@dataclass(frozen=True, slots=True)
class Administration:
    """What a command works with. The store may be in use by servers, which learn of changes from it."""

    settings: Light | Full
    store: Store
    output: Output

    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)


async def record_done(settings: Light | Full, action: "Action", subject: str, detail: str = "") -> None:
    """In the audit log. What was done is done: where that cannot be written, a warning says so."""
    from happy.adapters.flavors import open_store_beside
    from happy.services.audit import record

    now = Millis(time.time_ns() // 1_000_000)
    try:
        async with open_store_beside(settings) as store:
            await store.write(lambda tx: record(tx, now, "command line", action, subject, detail))
    except HappyError as error:
        click.echo(f"{PROGRAM}: warning: this is not in the audit log: {error}", err=True)


PHONES: Final = "Phones of the account get push notifications again when their app is opened the next time."
"""What a sign-out and the revocation of a token mean for them."""

AdministrationCommand = Callable[..., Awaitable[None]]


def administers(command: AdministrationCommand) -> Callable[..., None]:
    """Run the coroutine function with an Administration before its options; its errors are one line each."""

    @json_option
    @with_settings
    @wraps(command)
    def call(settings: Light | Full, *, as_json: bool, **options: Any) -> None:
        import asyncio

        asyncio.run(_run(command, settings, Output(as_json=as_json), options))

    return call


async def _run(
    command: AdministrationCommand, settings: Light | Full, output: Output, options: dict[str, Any]
) -> None:
    async with opened_beside(settings) as store:
        await command(Administration(settings, store, output), **options)


@asynccontextmanager
async def opened_beside(settings: Light | Full) -> AsyncIterator[Store]:
    """The database, also while servers use it. Errors, also of the block, become CommandFailed."""
    from happy.adapters.flavors import open_store_beside

    async with open_store_beside(settings) as store:
        try:
            yield store
        except Unavailable as error:
            raise CommandFailed(f"{error}: {error.__cause__}" if error.__cause__ else str(error)) from error
        except HappyError as error:
            raise CommandFailed(str(error)) from error
