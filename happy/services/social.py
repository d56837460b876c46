"""Find people and be friends with them (protocol: http#users-friends-feed)."""

from collections.abc import Callable

from happy.domain import social as rules
from happy.domain.errors import NotFound
from happy.domain.events import TO_USER, RelationshipUpdated
from happy.domain.feed import draft_of
from happy.domain.ids import new_id
from happy.domain.people import Person, UserProfile, profile_of
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.store import Store, Transaction
from happy.domain.social import Change, Notice, Relation, Transition
from happy.domain.values import AccountId, Millis
from happy.limits import limit
from happy.services import feed
from happy.services.rate_limit import RateLimits
from happy.services.unit_of_work import Changes, UnitOfWork

MAX_FOUND = limit(10, "accounts that a search finds", per="request", then="the others are not in the list")
TOO_MANY = "Too many searches. Try again in a minute."
TOO_MANY_FRIENDS = "Too many changes of friendships. Try again in a minute."
MAX_USERNAME = limit(
    1_000, "characters of a username that is searched for", per="search", then="finds nobody"
)
"""No username is longer; SQLite refuses patterns of more than 50,000 bytes."""

Move = Callable[[Relation, Relation, Millis], list[Change]]


class SocialService:
    def __init__(self, store: Store, unit_of_work: UnitOfWork, files: FileStore, limits: RateLimits) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._files = files
        self._limits = limits

    async def search(self, viewer: AccountId, prefix: str) -> list[UserProfile]:
        """The first ten accounts whose username begins with `prefix`, in any case. Raises TooMany."""
        self._limits.searches.take(viewer, text=TOO_MANY)
        if len(prefix) > MAX_USERNAME:
            return []
        people = await self._store.read(lambda tx: tx.people.search(viewer, prefix, MAX_FOUND))
        return [self._profile(person) for person in people]

    async def profile(self, viewer: AccountId, account_id: AccountId) -> UserProfile:
        """Any account, as `viewer` sees it. Raises NotFound."""
        person = await self._store.read(lambda tx: tx.people.get(viewer, account_id))
        if person is None:
            raise NotFound("User not found")
        return self._profile(person)

    async def friends(self, viewer: AccountId) -> list[UserProfile]:
        """Friends, and pending friend requests, both received and sent."""
        people = await self._store.read(lambda tx: tx.people.friends(viewer))
        return [self._profile(person) for person in people]

    async def add(self, account_id: AccountId, other: AccountId) -> UserProfile | None:
        """Request friendship of `other`, or accept. None for an unknown account and for oneself.

        Raises TooMany, as `remove` does.
        """
        if other == account_id:
            return None
        return await self._move(account_id, other, rules.add)

    async def remove(self, account_id: AccountId, other: AccountId) -> UserProfile | None:
        """Take back, decline or end a friendship with `other`. None when there is no such account."""
        return await self._move(account_id, other, lambda mine, theirs, _now: rules.remove(mine, theirs))

    async def _move(self, account_id: AccountId, other: AccountId, move: Move) -> UserProfile | None:
        """Raises TooMany."""
        self._limits.friends.take(account_id, text=TOO_MANY_FRIENDS)

        async def apply(changes: Changes) -> UserProfile | None:
            pair = await changes.tx.social.pair(account_id, other)
            if pair is None:
                return None
            for change in move(*pair, changes.now):
                await self._apply(changes, change)
            return await self._seen(changes.tx, account_id, other)

        return await self._unit_of_work.run(apply)

    async def _apply(self, changes: Changes, change: Change) -> None:
        match change:
            case Transition(owner, other, status, action):
                await changes.tx.social.save(owner, other, status, changes.now)
                profile = await self._seen(changes.tx, owner, other)
                update = RelationshipUpdated(owner, other, status, action, profile, changes.now)
                changes.record(owner, TO_USER, update)
            case Notice(recipient, other):
                await changes.tx.social.mark_notified(recipient, other, changes.now)
                await feed.post(changes, recipient, draft_of(change, new_id(changes.now)))

    async def _seen(self, tx: Transaction, viewer: AccountId, other: AccountId) -> UserProfile:
        person = await tx.people.get(viewer, other)
        assert person is not None, "the account was found and locked in this transaction"
        return self._profile(person)

    def _profile(self, person: Person) -> UserProfile:
        return profile_of(person, self._files.public_url)
