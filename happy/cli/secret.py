"""The commands that show which master secrets are in use, and replace one without signing devices out."""

from typing import TYPE_CHECKING

import click
from msgspec import Struct

from happy.cli.administration import Administration, administers, record_done, yes_option
from happy.cli.common import CommandFailed, InWrittenOrder
from happy.cli.progress import ProgressBar
from happy.domain.amounts import counted

if TYPE_CHECKING:
    from happy.adapters.secrets import Secrets
    from happy.crypto import Keyring
    from happy.services.resealing import Resealed, Resealing, SealedState

SET_BY_VARIABLE = (
    "the master secret is in HANDY_MASTER_SECRET: put what it is now into HANDY_MASTER_SECRET_PREVIOUS,"
    " what `openssl rand -base64 32` prints into HANDY_MASTER_SECRET, and restart the server"
)


class SecretStatus(Struct, frozen=True, rename="camel"):
    """Key ids, which are the beginning of fingerprints; `database` is null where no server has started."""

    current: str
    source: str
    previous: list[str]
    database: str | None
    sealed: "list[SealedState]"


@click.group("secret", cls=InWrittenOrder)
def secret() -> None:
    """The master secrets: which are in use, and another one.

    No device is signed out by that.
    """


@secret.command("status")
@administers
async def status(administration: Administration) -> None:
    """Show the secrets, and what is sealed with which.

    Secrets are shown by the beginning of their fingerprints.
    """
    secrets, keys = _open(administration)
    from happy.crypto import key_id_of

    use = await administration.store.read(lambda tx: tx.master_secret.use())
    database = key_id_of(use.fingerprint) if use.fingerprint else None
    current, *previous = keys.key_ids
    sealed = await _resealing(administration, keys).state()
    administration.output.details(
        SecretStatus(current, secrets.source, previous, database, sealed),
        {
            "current": f"{current} (in {secrets.source})",
            "previous": ", ".join(previous) or "-",
            "database": _database(database, keys.key_ids),
            **{f"{state.kind}s": _in_words(state) for state in sealed},
            "next": _next(sealed, previous),
        },
    )


@secret.command("rotate")
@click.option(
    "--stopped", is_flag=True, help="No server is running: the database goes over to the new secret."
)
@administers
async def rotate(administration: Administration, *, stopped: bool) -> None:
    """Seal what is stored with the current secret, while servers run."""
    secrets, keys = _open(administration)
    await _require_use(administration, secrets, keys, stopped=stopped)
    with ProgressBar() as progress:
        done = await _resealing(administration, keys).run(progress)
    administration.output.done(done, ". ".join(map(_done, done)) + ".")


@secret.command("replace")
@administers
async def replace(administration: Administration) -> None:
    """Make a new secret, and go on accepting the one before.

    For secrets in the data directory of a light server.
    """
    from happy.adapters.light import secret as file
    from happy.settings import Light

    settings = administration.settings
    if settings.secret is not None or not isinstance(settings, Light):
        raise CommandFailed(SET_BY_VARIABLE)
    if file.replace(settings.data_dir) is None:
        raise CommandFailed(f"there is no secret in {settings.data_dir} yet: the first start makes one")
    _, keys = _open(administration)
    await record_done(settings, "secret.replace", keys.key_ids[0], f"before: {keys.key_ids[1]}")
    administration.output.done(
        {"current": keys.key_ids[0], "previous": list(keys.key_ids[1:])},
        f"The new secret is {keys.key_ids[0]}. Restart the server, then run `happy-server secret rotate`;"
        f" back up {file.FILE_NAME} and {file.PREVIOUS_NAME}.",
    )


@secret.command("forget")
@yes_option
@administers
async def forget(administration: Administration, *, yes: bool) -> None:
    """Accept previous secrets no more, from the next start on."""
    from happy.adapters.light import secret as file
    from happy.services.audit import record
    from happy.settings import Light

    settings, now = administration.settings, administration.now()
    _, keys = _open(administration)
    if not isinstance(settings, Light) or not file.read_previous(settings.data_dir):
        raise CommandFailed("no secret is kept in a file: remove HANDY_MASTER_SECRET_PREVIOUS and restart")
    waiting = sum(state.previous + state.unmarked for state in await _resealing(administration, keys).state())
    if waiting:
        raise CommandFailed(
            f"they may be needed for {counted(waiting, 'value')}: run `happy-server secret rotate` first"
        )
    effect = (
        "From the next start on, devices that signed in before the secret was replaced have to sign in again."
    )
    administration.output.confirm([effect], yes=yes)
    forgotten = list(keys.key_ids[1:])
    file.forget_previous(settings.data_dir)
    await administration.store.write(
        lambda tx: record(tx, now, "command line", "secret.forget", ", ".join(forgotten))
    )
    administration.output.done({"forgotten": forgotten}, "Forgotten. Restart the server.")


def _open(administration: Administration) -> "tuple[Secrets, Keyring]":
    from happy.adapters.secrets import read_secrets
    from happy.crypto import Keyring

    secrets = read_secrets(administration.settings)
    if secrets is None:
        raise CommandFailed("there is no master secret yet: the first start makes one")
    keys = Keyring(secrets.current, secrets.previous)
    keys.prepare()
    return secrets, keys


async def _require_use(
    administration: Administration, secrets: "Secrets", keys: "Keyring", *, stopped: bool
) -> None:
    """Servers that know the previous secret alone could not read what is sealed with the new one."""
    from happy.services.master_secret import require_same_secret

    use = await administration.store.read(lambda tx: tx.master_secret.use())
    if use.fingerprint in keys.previous_fingerprints and not stopped:
        raise CommandFailed(
            "no server has started with the new secret yet: restart them with both secrets first;"
            " if none is running, add --stopped"
        )
    await require_same_secret(
        administration.store,
        keys.fingerprint,
        administration.now(),
        secrets.source,
        single_process=False,
        previous=keys.previous_fingerprints,
    )


def _resealing(administration: Administration, keys: "Keyring") -> "Resealing":
    from happy.services.resealing import Resealing

    return Resealing(administration.store, keys, administration.now)


def _database(database: str | None, known: tuple[str, ...]) -> str:
    if database is None:
        return "has not been used with a secret yet"
    which = "current" if database == known[0] else "previous" if database in known else "not named here"
    return f"used with {database} ({which})"


def _in_words(state: "SealedState") -> str:
    parts = {
        "current": state.current,
        "previous": state.previous,
        "without a key id": state.unmarked,
        "with a secret that is not named here": state.unknown,
    }
    return ", ".join(f"{count:,} {name}" for name, count in parts.items() if count) or "none"


def _next(sealed: "list[SealedState]", previous: list[str]) -> str:
    if previous and any(state.previous or state.unmarked for state in sealed):
        return "`happy-server secret rotate` seals all of them with the current secret"
    if previous:
        return "nothing needs a previous secret but the tokens of devices that signed in with it"
    return "-"


def _done(done: "Resealed") -> str:
    left = f" ({done.unreadable:,} cannot be opened with the secrets named here)" if done.unreadable else ""
    return f"Sealed {counted(done.resealed, done.kind)} with the current secret{left}"
