"""Requests for an account and invites, on every database."""

from functools import partial

from happy.domain.ports.store import Store, Transaction
from happy.domain.registration import Invite, RegistrationRequest, RequestStatus
from happy.domain.values import MINUTE, AccountId, Millis, SessionId
from tests.support import factories
from tests.support.factories import NOW


def at(minutes: int) -> Millis:
    return Millis(NOW + minutes * MINUTE)


def request(
    key: str, minutes: int = 0, *, address: str = "one", status: RequestStatus = "waiting"
) -> RegistrationRequest:
    return RegistrationRequest(key, address, status, at(minutes), at(minutes))


async def save(store: Store, *requests: RegistrationRequest) -> None:
    for each in requests:
        await store.write(partial(_save, each))


async def _save(request: RegistrationRequest, tx: Transaction) -> None:
    await tx.registrations.save(request)


async def keys(store: Store) -> list[str]:
    return [each.public_key for each in await store.read(lambda tx: tx.registrations.all())]


async def test_a_request_is_found_by_its_key_and_by_its_address_the_oldest_first(store: Store) -> None:
    await save(store, request("A", 2), request("B", 1), request("C", 0, address="two"))
    found = await store.read(lambda tx: tx.registrations.about("C", "one"))

    assert [request("C", 0, address="two"), request("B", 1), request("A", 2)] == found
    assert ["A", "B", "C"] == await keys(store)


async def test_a_request_that_is_saved_again_keeps_the_time_of_its_first(store: Store) -> None:
    await save(store, request("A", 1), request("A", 5, address="two", status="approved"))
    (found,) = await store.read(lambda tx: tx.registrations.all())

    assert RegistrationRequest("A", "two", "approved", at(1), at(5)) == found


async def test_requests_are_dropped_by_key_by_address_and_by_number(store: Store) -> None:
    await save(store, *(request(key, minute) for minute, key in enumerate("ABCDE")))
    await save(store, request("F", 1, status="refused"), request("G", 9, address="two"))
    await store.write(lambda tx: tx.registrations.drop("A"))
    assert ["G", "E", "D", "C", "B", "F"] == await keys(store)
    await store.write(lambda tx: tx.registrations.drop_surplus(3))
    assert ["G", "E", "D", "F"] == await keys(store)
    await store.write(lambda tx: tx.registrations.drop_waiting_at("one"))
    assert ["G", "F"] == await keys(store)


async def test_each_status_expires_at_a_time_of_its_own(store: Store) -> None:
    await save(store, *(request(f"W{minute}", minute) for minute in range(4)))
    await save(store, *(request(f"D{minute}", minute, status="approved") for minute in range(4)))
    dropped = [
        await store.write(lambda tx: tx.registrations.drop_expired("approved", at(3), 2)) for _ in range(3)
    ]

    assert [2, 1, 0] == dropped
    assert ["D3", "W3", "W2", "W1", "W0"] == await keys(store)


async def test_the_owner_of_deleted_sessions_is_no_account(store: Store) -> None:
    nobody, key = AccountId("nobody"), factories.unused_key()
    await store.write(lambda tx: tx.sessions.delete(nobody, SessionId("none"), NOW))
    assert not await store.read(lambda tx: tx.registrations.has_accounts())

    await store.write(lambda tx: tx.accounts.upsert(nobody, key, NOW))
    assert await store.read(lambda tx: tx.registrations.has_accounts())


async def test_touching_a_key_finds_its_account_and_makes_none(store: Store) -> None:
    key = factories.unused_key()
    assert None is await store.write(lambda tx: tx.accounts.touch(key, NOW))
    made = await store.write(lambda tx: tx.accounts.upsert(factories.NOBODY, key, NOW))

    assert made == await store.write(lambda tx: tx.accounts.touch(key, NOW))


# -- invites ---------------------------------------------------------------------------------------------


def invite(name: str, *, uses: int = 1, made: int = 0, until: int = 60) -> Invite:
    return Invite(name, uses, 0, at(made), at(until))


async def add(store: Store, *invites: Invite) -> None:
    for each in invites:
        await store.write(partial(_add, each))


async def _add(invite: Invite, tx: Transaction) -> None:
    await tx.invites.add(invite, f"hash of {invite.id}")


async def open_at(store: Store, name: str, address: str, minutes: int = 0, until: int = 15) -> None:
    await store.write(lambda tx: tx.invites.open(name, address, at(minutes), at(until)))


async def opened_at(store: Store, address: str, minutes: int = 0) -> str | None:
    return await store.read(lambda tx: tx.invites.opened_at(address, at(minutes)))


async def test_an_invite_is_known_by_the_hash_of_its_code(store: Store) -> None:
    await add(store, invite("old"), invite("new", made=1))

    assert invite("old") == await store.read(lambda tx: tx.invites.by_code("hash of old"))
    assert None is await store.read(lambda tx: tx.invites.by_code("old"))
    assert [invite("new", made=1), invite("old")] == await store.read(lambda tx: tx.invites.all())


async def test_an_opening_counts_for_its_address_until_it_ends_or_the_invite_does(store: Store) -> None:
    await add(store, invite("one", until=10))
    await open_at(store, "one", "here")

    assert "one" == await opened_at(store, "here", 9)
    assert None is await opened_at(store, "there", 9)
    assert None is await opened_at(store, "here", 10)


async def test_an_opening_lasts_longer_when_it_is_repeated(store: Store) -> None:
    await add(store, invite("one"))
    await open_at(store, "one", "here")
    assert None is await opened_at(store, "here", 15)
    await open_at(store, "one", "here", 15, 30)
    assert "one" == await opened_at(store, "here", 29)


async def test_an_invite_is_used_up_by_as_many_accounts_as_it_is_for(store: Store) -> None:
    await add(store, invite("one", uses=2))
    await open_at(store, "one", "here")
    await store.write(lambda tx: tx.invites.use("one"))
    assert "one" == await opened_at(store, "here")
    await store.write(lambda tx: tx.invites.use("one"))
    assert None is await opened_at(store, "here")


async def test_a_dropped_invite_takes_its_openings_along(store: Store) -> None:
    await add(store, invite("one"))
    await open_at(store, "one", "here")

    assert [True, False] == [await store.write(lambda tx: tx.invites.drop("one")) for _ in range(2)]
    assert None is await opened_at(store, "here")


async def test_the_latest_openings_of_an_invite_are_kept(store: Store) -> None:
    await add(store, invite("one"), invite("two"))
    for minute in range(4):
        await open_at(store, "one", f"address {minute}", minute, minute + 15)
    await open_at(store, "two", "elsewhere")
    await store.write(lambda tx: tx.invites.drop_openings("one", 2))
    found = [
        await opened_at(store, address, 5) for address in (*(f"address {n}" for n in range(4)), "elsewhere")
    ]

    assert [None, None, "one", "one", "two"] == found


async def test_expired_openings_go_before_expired_invites(store: Store) -> None:
    await add(store, invite("one", until=5), invite("two"))
    await open_at(store, "one", "here")
    await open_at(store, "two", "there")
    await open_at(store, "two", "later", 10, 25)
    dropped = [await store.write(lambda tx: tx.invites.drop_expired(at(20), at(20), 9)) for _ in range(3)]

    assert [2, 1, 0] == dropped
    assert "two" == await opened_at(store, "later", 21)
    assert [invite("two")] == await store.read(lambda tx: tx.invites.all())
