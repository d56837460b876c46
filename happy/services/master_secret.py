"""Checks that the stored data was made with this master secret, and that the secret is hard to guess."""

import logging
from collections.abc import Collection

from happy.crypto import key_id_of
from happy.domain.errors import StartupError
from happy.domain.master_secret import weakness
from happy.domain.ports.repositories.master_secret import SecretUse
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import Millis
from happy.services.audit import record

ANEW = "to go on without it, which signs every device out: `happy-server new-secret --sign-everybody-out`"
PREVIOUS = "HANDY_MASTER_SECRET_PREVIOUS"
ALLOW_WEAK = "HAPPY_ALLOW_WEAK_SECRET"

log = logging.getLogger(__name__)


def require_strong(secret: str, source: str, *, allowed: bool) -> None:
    """Raises StartupError for a secret that can be guessed, unless that was `allowed`: then it warns."""
    found = weakness(secret)
    if found is None:
        return
    if allowed:
        log.warning("%s %s: whoever guesses it can sign in as anybody", source, found)
        return
    raise StartupError(
        f"{source} {found}, and whoever guesses it can sign in as anybody: use a new one, such as"
        f" `openssl rand -base64 32` prints; if it is in use, keep this one in {PREVIOUS} until every"
        f" device has signed in again, or set {ALLOW_WEAK}=true to go on with it"
    )


def warn_of_weak(previous: Collection[str]) -> None:
    """Tokens of previous secrets are accepted, so they can be forged as well."""
    for found in filter(None, map(weakness, previous)):
        log.warning(
            "a previous master secret %s: as long as it is named, whoever guesses it can sign in as anybody",
            found,
        )


async def require_same_secret(
    store: Store,
    fingerprint: str,
    now: Millis,
    source: str,
    *,
    single_process: bool,
    previous: Collection[str] = (),
) -> None:
    """Raises StartupError when the database has been used with another master secret than this one.

    A database without a fingerprint, such as one of an earlier version, stores that of this one. One that was
    used with a secret of the fingerprints `previous` goes over to this one. `source` is where the secret came
    from; `single_process` says that there cannot be replicas.
    """
    use = await store.read(lambda tx: tx.master_secret.use())
    if use.fingerprint != fingerprint:
        use = await store.write(
            lambda tx: _claim(tx, fingerprint, now, previous, single_process=single_process)
        )
    if use.fingerprint != fingerprint:
        raise StartupError(
            f"{source} holds another master secret than the database was used with"
            f" ({key_id_of(fingerprint)}, not {key_id_of(use.fingerprint or '')}): restore the one before,"
            f" or name it in {PREVIOUS}; {ANEW}"
        )


async def _claim(
    tx: Transaction, fingerprint: str, now: Millis, previous: Collection[str], *, single_process: bool
) -> SecretUse:
    """Without accounts nothing depends on the former secret; but another replica may be using it."""
    use = await tx.master_secret.use()
    if use.fingerprint in previous:
        await tx.master_secret.replace(fingerprint, now)
        before = f"before: {key_id_of(use.fingerprint or '')}"
        await record(tx, now, "system", "secret.replace", key_id_of(fingerprint), before)
    elif single_process and use.some_account is None:
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
