"""Checks that the master secret is the one that the stored data was made with, at every replica."""

from happy.domain.errors import StartupError
from happy.domain.ports.repositories.master_secret import SecretUse
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import Millis

ANEW = "to go on without it, which signs every device out: `happy-server new-secret --sign-everybody-out`"


async def require_same_secret(
    store: Store, fingerprint: str, now: Millis, source: str, *, single_process: bool
) -> None:
    """Raises StartupError when the database has been used with another master secret than this one.

    A database without a fingerprint, such as one of an earlier version, stores that of this one. `source`
    is where the secret came from; `single_process` says that there cannot be replicas.
    """
    use = await store.read(lambda tx: tx.master_secret.use())
    if use.fingerprint != fingerprint:
        use = await store.write(lambda tx: _claim(tx, fingerprint, now, single_process=single_process))
    if use.fingerprint != fingerprint:
        raise StartupError(
            f"{source} holds another master secret than the database was used with:"
            f" restore the one before; {ANEW}"
        )


async def _claim(tx: Transaction, fingerprint: str, now: Millis, *, single_process: bool) -> SecretUse:
    """Without accounts nothing depends on the former secret; but another replica may be using it."""
    use = await tx.master_secret.use()
    if single_process and use.some_account is None:
        await tx.master_secret.replace(fingerprint, now)
    else:
        await tx.master_secret.claim(fingerprint, now)
    return await tx.master_secret.use()


async def require_no_accounts(store: Store, source: str) -> None:
    """Before a secret is made: raises StartupError when accounts depend on one that is lost."""
    use = await store.read(lambda tx: tx.master_secret.use())
    if use.some_account is not None:
        raise StartupError(
            f"{source} is missing or empty, and accounts in the database depend on the master secret:"
            f" restore it from a backup; {ANEW}"
        )
