"""The keys of this server: from the master secret that is set, or from the one in a light data directory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from msgspec import Struct

from happy import crypto
from happy.adapters.secrets import VARIABLE, Secrets, read_secrets
from happy.domain.errors import StartupError, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import Millis, ReplicaId
from happy.services.audit import record
from happy.services.master_secret import (
    require_no_accounts,
    require_same_secret,
    require_strong,
    warn_of_weak,
)
from happy.settings import Full, Light


async def open_keys(settings: Light | Full, store: Store, now: Millis) -> crypto.Keyring:
    """Raises StartupError for a weak secret, and when accounts of this database have used another one."""
    with _startup_errors():
        secrets = await _secrets_of(settings, store)
        require_strong(secrets.current, secrets.source, allowed=settings.allow_weak_secret)
        warn_of_weak(secrets.previous)
        keys = crypto.derive(secrets.current, secrets.previous)
        await asyncio.to_thread(keys.prepare)  # takes half of the start-up time
        await require_same_secret(
            store,
            keys.fingerprint,
            now,
            secrets.source,
            single_process=isinstance(settings, Light),
            previous=keys.previous_fingerprints,
        )
    return keys


async def _secrets_of(settings: Light | Full, store: Store) -> Secrets:
    """The secrets; the current one is generated if no account exists yet."""
    found = read_secrets(settings)
    if found is not None:
        return found
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light import secret as secret_file

    file = settings.data_dir / secret_file.FILE_NAME
    await require_no_accounts(store, str(file))
    return Secrets(secret_file.master_secret(settings.data_dir), str(file))


class Replaced(Struct, frozen=True, rename="camel"):
    """The key id of the secret that counts now, where it is, and where the one before is kept."""

    current: str
    source: str
    kept: str | None = None


async def replace_secret(settings: Light | Full, clock: Clock) -> Replaced:
    """Replace the master secret by the configured one, or by a new one.

    Raises StartupError.
    """
    if settings.secret is not None:
        require_strong(settings.secret, VARIABLE, allowed=settings.allow_weak_secret)
    async with _open_store(settings, clock) as store:
        secret, source, kept = _another_secret(settings, clock())
        fingerprint = crypto.Keyring(secret).fingerprint
        with _startup_errors():
            await store.write(lambda tx: _replace(tx, fingerprint, clock()))
    return Replaced(crypto.key_id_of(fingerprint), source, kept)


async def _replace(tx: Transaction, fingerprint: str, now: Millis) -> None:
    await tx.master_secret.replace(fingerprint, now)
    await record(tx, now, "command line", "secret.new", crypto.key_id_of(fingerprint))


@contextmanager
def _startup_errors() -> Iterator[None]:
    """Report a database that cannot be used as a StartupError."""
    try:
        yield
    except Unavailable as error:
        raise StartupError(f"cannot read or write the master secret's fingerprint: {error}") from error


def _another_secret(settings: Light | Full, now: Millis) -> tuple[str, str, str | None]:
    """The secret, where it is, and where the one before is kept."""
    if settings.secret is not None:
        return settings.secret, VARIABLE, None
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light import secret as secret_file

    kept = secret_file.set_aside(settings.data_dir, now)
    made = secret_file.master_secret(settings.data_dir)
    return made, str(settings.data_dir / secret_file.FILE_NAME), str(kept) if kept else None


@asynccontextmanager
async def _open_store(settings: Light | Full, clock: Clock) -> AsyncIterator[Store]:
    match settings:
        case Light():
            from happy.adapters import light
            from happy.adapters.light.schema import MISSING

            if not settings.database.exists():
                raise StartupError(MISSING.format(settings.database))
            async with light.open_adapters(settings, ReplicaId("new-secret"), clock) as adapters:
                yield adapters.store
        case Full():
            from happy.adapters import full
            from happy.adapters.full.running import require_none

            await require_none(settings)
            async with full.open_checked_store(settings) as store:
                yield store
