"""The fingerprint of the master secret, on every database."""

import asyncio

import pytest

from happy.domain.errors import StartupError
from happy.domain.ports.store import Store
from happy.domain.values import Millis
from happy.services.master_secret import require_no_accounts, require_same_secret
from tests.support import factories

NOW = Millis(1_700_000_000_000)


async def fingerprint(store: Store) -> str | None:
    return (await store.read(lambda tx: tx.master_secret.use())).fingerprint


async def start(
    store: Store, of: str, *, single_process: bool = False, previous: tuple[str, ...] = ()
) -> None:
    await require_same_secret(
        store, of, NOW, "HANDY_MASTER_SECRET", single_process=single_process, previous=previous
    )


async def test_a_database_of_an_earlier_version_learns_the_secret_of_its_accounts(store: Store) -> None:
    await factories.account(store)
    assert None is await fingerprint(store)
    await start(store, "first")
    await start(store, "first")

    assert "first" == await fingerprint(store)


async def test_another_secret_is_refused_once_there_are_accounts(store: Store) -> None:
    await start(store, "first")
    await factories.account(store)

    for single_process in (True, False):
        with pytest.raises(StartupError, match=r"restore the one before.*new-secret --sign-everybody-out"):
            await start(store, "second", single_process=single_process)
    assert "first" == await fingerprint(store)


async def test_before_the_first_account_only_a_server_alone_may_change_it(store: Store) -> None:
    await start(store, "first", single_process=True)
    await start(store, "second", single_process=True)
    assert "second" == await fingerprint(store)

    with pytest.raises(StartupError):
        await start(store, "third")


async def test_of_replicas_that_start_at_once_with_different_secrets_one_starts(store: Store) -> None:
    await factories.account(store)
    outcomes = await asyncio.gather(
        *(start(store, str(number)) for number in range(4)), return_exceptions=True
    )

    assert 3 == len([outcome for outcome in outcomes if isinstance(outcome, StartupError)])
    assert None is outcomes[int(await fingerprint(store) or "")]


async def test_a_secret_is_made_only_where_nobody_has_used_one(store: Store) -> None:
    await require_no_accounts(store, "the file")
    await factories.account(store)

    with pytest.raises(StartupError, match=r"the file is missing or empty.* restore it from a backup"):
        await require_no_accounts(store, "the file")


async def test_it_is_replaced_on_request(store: Store) -> None:
    await store.write(lambda tx: tx.master_secret.replace("first", NOW))
    await store.write(lambda tx: tx.master_secret.replace("second", NOW))

    assert "second" == await fingerprint(store)


async def test_a_database_goes_over_to_a_secret_that_names_the_one_before(store: Store) -> None:
    await start(store, "first")
    await factories.account(store)
    await start(store, "second", previous=("zeroth", "first"))
    await start(store, "second", previous=("zeroth", "first"))
    assert "second" == await fingerprint(store)
    (entry,) = await store.read(lambda tx: tx.audit.since(Millis(0), 10))
    assert ("system", "secret.replace", "second", "before: first") == (
        entry.actor,
        entry.action,
        entry.subject,
        entry.detail,
    )

    await start(store, "second")
    with pytest.raises(
        StartupError, match=r"than the database was used with \(third, not second\).*PREVIOUS"
    ):
        await start(store, "third", previous=("zeroth", "first"))


async def test_replicas_with_either_order_of_the_secrets_start_while_they_are_replaced(store: Store) -> None:
    await start(store, "first")
    await factories.account(store)
    await start(store, "second", previous=("first",))
    await start(store, "first", previous=("second",))
    await start(store, "second", previous=("first",))

    assert "second" == await fingerprint(store)
