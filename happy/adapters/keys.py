"""The keys of this server: from the master secret that is set, or from the one in a light data directory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from happy import crypto
from happy.domain.errors import StartupError, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import Millis, ReplicaId
from happy.services.master_secret import require_no_accounts, require_same_secret
from happy.settings import Full, Light

VARIABLE = "HANDY_MASTER_SECRET"


async def open_keys(settings: Light | Full, store: Store, now: Millis) -> crypto.Keyring:
    """Raises StartupError when the accounts of this database have used another secret."""
    with _explained():
        secret, source = await _secret_of(settings, store)
        keys = crypto.derive(secret)
        fingerprint = await asyncio.to_thread(lambda: keys.fingerprint)  # half of the start is spent on this
        await require_same_secret(store, fingerprint, now, source, single_process=isinstance(settings, Light))
    return keys


async def _secret_of(settings: Light | Full, store: Store) -> tuple[str, str]:
    """The secret, made if nobody can have used one, and where it comes from."""
    if settings.secret is not None:
        return settings.secret, VARIABLE
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light import secret as secret_file

    file = settings.data_dir / secret_file.FILE_NAME
    found = secret_file.read(settings.data_dir)
    if not found:
        await require_no_accounts(store, str(file))
        found = secret_file.master_secret(settings.data_dir)
    return found, str(file)


async def begin_anew(settings: Light | Full, clock: Clock) -> str:
    """Go on with the secret that is set, or with a new one in the data directory; what there is to say of it.

    Raises StartupError.
    """
    async with _open_store(settings, clock) as store:
        secret, said = _another_secret(settings, clock())
        fingerprint = crypto.Keyring(secret).fingerprint
        with _explained():
            await store.write(lambda tx: tx.master_secret.replace(fingerprint, clock()))
    return f"{said} Every device has to sign in again; what was stored sealed cannot be read any more."


@contextmanager
def _explained() -> Iterator[None]:
    """At the start, a database that cannot be used is one line like any other."""
    try:
        yield
    except Unavailable as error:
        raise StartupError(f"cannot read or write the master secret's fingerprint: {error}") from error


def _another_secret(settings: Light | Full, now: Millis) -> tuple[str, str]:
    if settings.secret is not None:
        return settings.secret, f"The master secret is the one in {VARIABLE} from now on."
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light import secret as secret_file

    kept = secret_file.set_aside(settings.data_dir, now)
    made = secret_file.master_secret(settings.data_dir)
    before = f"; the one before is kept in {kept.name}" if kept else ""
    return made, f"A new master secret is in {settings.data_dir / secret_file.FILE_NAME}{before}."


@asynccontextmanager
async def _open_store(settings: Light | Full, clock: Clock) -> AsyncIterator[Store]:
    match settings:
        case Light():
            from happy.adapters import light

            async with light.open_adapters(settings, ReplicaId("new-secret"), clock) as adapters:
                yield adapters.store
        case Full():
            from happy.adapters import full

            async with full.open_checked_store(settings) as store:
                yield store
