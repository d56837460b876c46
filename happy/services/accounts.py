"""Profile, settings and push tokens of an account (protocol: http#account-and-usage, http#push)."""

import msgspec
from msgspec import Struct

from happy.domain.accounts import Account, Avatar, PushToken, Settings
from happy.domain.errors import NotFound
from happy.domain.events import TO_USER, UpdateAccount, VersionedValue
from happy.domain.github import presentable
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, Millis, Swap
from happy.limits import limit
from happy.services.unit_of_work import Changes, UnitOfWork

MAX_PUSH_TOKENS = limit(
    100,
    "devices that receive push notifications",
    per="account",
    then="the one that registered longest ago is dropped",
)


class AvatarView(Struct, frozen=True):
    """A profile picture as clients see it; `url` is built at each request."""

    path: str
    url: str
    width: int
    height: int
    thumbhash: str


class Profile(Struct, frozen=True, rename="camel"):
    """protocol: http#get-v1accountprofile. `timestamp` is the server's time in ms."""

    id: AccountId
    timestamp: Millis
    first_name: str | None
    last_name: str | None
    username: str | None
    avatar: AvatarView | None
    github: msgspec.Raw | None
    connected_services: list[str]


class AccountService:
    def __init__(self, store: Store, unit_of_work: UnitOfWork, files: FileStore, clock: Clock) -> None:
        self._store = store
        self._unit_of_work = unit_of_work
        self._files = files
        self._clock = clock

    async def profile(self, account_id: AccountId) -> Profile:
        """Raises NotFound."""

        async def read(tx: Transaction) -> tuple[Account | None, list[str]]:
            return await tx.accounts.get(account_id), await tx.accounts.connected_services(account_id)

        account, services = await self._store.read(read)
        if account is None:
            raise NotFound
        return Profile(
            id=account.id,
            timestamp=self._clock(),
            first_name=account.first_name,
            last_name=account.last_name,
            username=account.username,
            avatar=self._avatar(account.avatar),
            github=presentable(account.github),
            connected_services=services,
        )

    def _avatar(self, stored: msgspec.Raw | None) -> AvatarView | None:
        """None if a field is missing, as other servers store it: the app would refuse the whole profile."""
        try:
            avatar = msgspec.json.decode(stored or b"null", type=Avatar | None)
        except msgspec.DecodeError:
            avatar = None
        if avatar is None:
            return None
        return AvatarView(
            path=avatar.path,
            url=self._files.public_url(avatar.path),
            width=avatar.width,
            height=avatar.height,
            thumbhash=avatar.thumbhash,
        )

    async def settings(self, account_id: AccountId) -> Settings:
        """Raises NotFound."""
        stored = await self._store.read(lambda tx: tx.accounts.settings(account_id))
        if stored is None:
            raise NotFound
        return stored

    async def update_settings(
        self, account_id: AccountId, expected: int, value: str | None
    ) -> Swap[str | None]:
        """Replace the settings if their version is still `expected`. Raises NotFound."""

        async def swap(changes: Changes) -> Swap[str | None]:
            outcome = await changes.tx.accounts.swap_settings(account_id, expected, value, changes.now)
            if outcome.won:
                part = VersionedValue(value, outcome.current.version)
                changes.record(account_id, TO_USER, UpdateAccount(account_id, settings=part))
            return outcome

        return await self._unit_of_work.run(swap)

    async def push_tokens(self, account_id: AccountId) -> list[PushToken]:
        """The newest first."""
        return await self._store.read(lambda tx: tx.accounts.push_tokens(account_id))

    async def add_push_token(self, account_id: AccountId, token: str) -> None:
        """Register the device; the token is taken from any other account that had it."""
        now = self._clock()
        token_id = new_id(now)

        async def move(tx: Transaction) -> None:
            await tx.accounts.take_push_token(account_id, token)
            await tx.accounts.add_push_token(account_id, token_id, token, now)
            await _limit_push_tokens(tx, account_id)

        await self._store.write(move)

    async def drop_push_token(self, account_id: AccountId, token: str) -> None:
        """Dropping an unknown token is fine."""
        await self._store.write(lambda tx: tx.accounts.drop_push_token(account_id, token))


async def _limit_push_tokens(tx: Transaction, account_id: AccountId) -> None:
    """An app registers its token whenever it starts: the devices that did so last keep theirs."""
    tokens = await tx.accounts.push_tokens(account_id)
    tokens.sort(key=lambda token: (token.updated_at, token.id))
    for oldest in tokens[:-MAX_PUSH_TOKENS]:
        await tx.accounts.drop_push_token(account_id, oldest.token)
