"""Link accounts to GitHub users, and unlink them (protocol: http#connected-services)."""

import asyncio
import hashlib
import hmac
import logging

import msgspec
from msgspec import UNSET, Struct, UnsetType

from happy.crypto import Claims, Keyring, Sealed
from happy.domain.accounts import Avatar
from happy.domain.errors import Invalid, NotFound, Unauthenticated
from happy.domain.events import TO_USER, UpdateAccount
from happy.domain.github import GithubApp, GithubUser, Holder, presentable, split_name
from happy.domain.people import Picture
from happy.domain.ports.clock import Clock
from happy.domain.ports.outbound import Github, GithubRefused, GithubUserUnknown
from happy.domain.ports.store import Store
from happy.domain.sealed import github_token_path
from happy.domain.values import SECOND, AccountId, Millis
from happy.services.avatars import AvatarService, Copy
from happy.services.revocations import Revocations
from happy.services.unit_of_work import Changes, UnitOfWork
from happy.telemetry import LimitedLog

log = logging.getLogger(__name__)
_log_forged = LimitedLog(log, "refused a GitHub webhook with a wrong signature", burst=20)


class LinkFailed(Exception):
    """No account was linked; the message is the reason of protocol: http#connected-services."""


class GithubStates:
    """State tokens of the OAuth flow: valid for five minutes, and once."""

    def __init__(self, store: Store, keys: Keyring, clock: Clock, revocations: Revocations) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock
        self._revocations = revocations

    async def issue(self, account_id: AccountId) -> str:
        return await asyncio.to_thread(
            lambda: self._keys.github_states.issue(account_id, self._clock())  # derives a key at first
        )

    async def redeem(self, state: str) -> AccountId | None:
        """The account of this state; None if it is invalid, expired, used before, or its account shut out."""
        now = self._clock()
        claims: Claims | None = await asyncio.to_thread(lambda: self._keys.github_states.verify(state, now))
        if claims is None or claims.expires_at is None or self._revocations.refusal(claims):
            return None
        # The signed part alone: the same signature has several encodings.
        state_id = hashlib.sha256(state.rpartition(".")[0].encode()).hexdigest()
        expires = Millis(int(claims.expires_at * SECOND))
        first = await self._store.write(lambda tx: tx.github.spend_state(state_id, expires, now))
        return AccountId(claims.account_id) if first else None


class GithubService:
    def __init__(
        self,
        unit_of_work: UnitOfWork,
        github: Github,
        avatars: AvatarService,
        states: GithubStates,
        keys: Keyring,
        app: GithubApp,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._github = github
        self._avatars = avatars
        self._states = states
        self._keys = keys
        self._app = app

    @property
    def return_url(self) -> str | None:
        return self._app.return_url

    async def authorize_url(self, account_id: AccountId) -> str:
        """URL of GitHub's authorization page for this account. Raises Invalid if GitHub is not configured."""
        if not self._app.client_id or not self._app.redirect_url:
            raise Invalid("GitHub OAuth not configured")
        return self._github.authorize_url(await self._states.issue(account_id))

    async def connect(self, code: str, state: str) -> str:
        """Link the account that the state was issued to; the GitHub login. Raises LinkFailed."""
        try:
            return await self._connect(code, state)
        except LinkFailed:
            raise
        except GithubRefused as refusal:
            raise LinkFailed(str(refusal)) from None
        except GithubUserUnknown as error:
            raise LinkFailed("github_user_fetch_failed") from error
        except Exception as error:
            log.warning("a GitHub account could not be linked", exc_info=True)
            raise LinkFailed("server_error") from error

    async def _connect(self, code: str, state: str) -> str:
        account_id = await self._states.redeem(state)
        if account_id is None:
            raise LinkFailed("invalid_state")
        if not self._app.client_id or not self._app.client_secret:
            raise LinkFailed("server_config")
        token = await self._github.exchange(code)
        user = await self._github.user(token)
        sealed = await asyncio.to_thread(
            lambda: self._keys.at_rest.seal(github_token_path(account_id), token)
        )
        copy = await self._avatars.copy(account_id, user.avatar_url) if user.avatar_url else None
        try:
            await self._unit_of_work.run(lambda changes: self._link(changes, account_id, user, sealed, copy))
        except BaseException:
            if copy is not None:
                await self._avatars.discard(copy)
            raise
        return user.login

    async def _link(
        self, changes: Changes, account_id: AccountId, user: GithubUser, token: Sealed, copy: Copy | None
    ) -> None:
        """Link in one transaction, and unlink other accounts from this GitHub user and username."""
        repository, now = changes.tx.github, changes.now
        holders = await repository.holders(account_id, user.id, user.login)
        own = next((holder for holder in holders if holder.account_id == account_id), None)
        if own is None:
            raise NotFound("account not found")
        for holder in holders:
            if holder is not own:
                await _take_from(changes, holder, user)
        await repository.save_user(user.id, user.profile, token.blob, token.key_id, now)
        first, last = split_name(user.name)
        avatar = copy.avatar if copy else None
        await repository.link(Holder(account_id, user.id, user.login), first, last, avatar, now)
        if own.github_id not in (None, user.id):
            await repository.delete_user(own.github_id)
        if copy is not None:
            await self._avatars.keep(changes.tx, account_id, copy, now)
        update = UpdateAccount(
            id=account_id,
            github=presentable(user.profile),
            username=user.login,
            first_name=first,
            last_name=last,
            avatar=self._picture(avatar),
        )
        changes.record(account_id, TO_USER, update)

    def _picture(self, avatar: Avatar | None) -> Picture | UnsetType:
        if avatar is None:
            return UNSET
        url = self._avatars.public_url(avatar)
        return Picture(avatar.path, url, avatar.width, avatar.height, avatar.thumbhash)

    async def disconnect(self, account_id: AccountId) -> None:
        """Unlink the account; one that is not linked is fine."""

        async def unlink(changes: Changes) -> None:
            holder = await changes.tx.github.linked(account_id)
            if holder is None or holder.github_id is None:
                return
            await _unlink(changes, account_id)
            await changes.tx.github.delete_user(holder.github_id)

        await self._unit_of_work.run(unlink)


class _Repository(Struct, frozen=True):
    full_name: str = ""


class _Event(Struct, frozen=True):
    """What is logged of an event."""

    action: str = ""
    repository: _Repository = _Repository()


class GithubWebhook:
    """GitHub's webhook about repositories; it is verified and logged, and has no other effect yet."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret

    @property
    def configured(self) -> bool:
        return self._secret is not None

    def receive(self, event: str, signature: str, body: bytes | bytearray) -> None:
        """Raises Unauthenticated when the signature is not GitHub's."""
        expected = hmac.new((self._secret or "").encode(), body, "sha256").hexdigest()
        genuine = hmac.compare_digest(f"sha256={expected}".encode(), signature.encode())
        if self._secret is None or not genuine:
            _log_forged()
            raise Unauthenticated("Invalid signature")
        log.info("GitHub webhook: %s", event, extra=_described(body))


async def _take_from(changes: Changes, holder: Holder, user: GithubUser) -> None:
    """Remove the GitHub user and username from other accounts: their links are stale."""
    if holder.github_id == user.id:
        await _unlink(changes, holder.account_id)
        return
    await changes.tx.github.drop_username(holder.account_id, changes.now)
    account = await changes.tx.accounts.get(holder.account_id)
    github = presentable(account.github) if account else None
    changes.record(holder.account_id, TO_USER, UpdateAccount(holder.account_id, github=github, username=None))


async def _unlink(changes: Changes, account_id: AccountId) -> None:
    await changes.tx.github.unlink(account_id, changes.now)
    changes.record(account_id, TO_USER, UpdateAccount(account_id, github=None, username=None))


def _described(body: bytes | bytearray) -> dict[str, str]:
    """Event, action and repository, as far as the payload has them."""
    try:
        event = msgspec.json.decode(body, type=_Event)
    except (ValueError, RecursionError):
        return {}
    fields = {"action": event.action, "repository": event.repository.full_name}
    return {key: value for key, value in fields.items() if value}
