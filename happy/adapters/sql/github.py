"""GitHub users and who is linked to them, in SQL."""

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.accounts import Avatar
from happy.domain.github import Holder
from happy.domain.values import AccountId, Millis

HOLDERS = Statement("github.HOLDERS", Holder)
LINKED = Statement("github.LINKED", Holder)
SAVE_USER: Statement[None] = Statement("github.SAVE_USER", scalar)
DELETE_USER: Statement[None] = Statement("github.DELETE_USER", scalar)
LINK: Statement[None] = Statement("github.LINK", scalar)
UNLINK: Statement[None] = Statement("github.UNLINK", scalar)
DROP_USERNAME: Statement[None] = Statement("github.DROP_USERNAME", scalar)
SPEND_STATE: Statement[str] = Statement("github.SPEND_STATE", scalar)
FORGET_STATES: Statement[None] = Statement("github.FORGET_STATES", scalar)

STATE_KEY = "github-state:"
FORGOTTEN_AT_ONCE = 16
"""Expired states that are deleted for each one that is used."""


class SqlGithub:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def spend_state(self, state_id: str, expires: Millis, now: Millis) -> bool:
        await self._executor.execute(FORGET_STATES, now=now, limit=FORGOTTEN_AT_ONCE)
        key = STATE_KEY + state_id
        return await self._executor.one(SPEND_STATE, key=key, expires=expires, now=now) is not None

    async def holders(self, account_id: AccountId, github_id: str, username: str) -> list[Holder]:
        return await self._executor.all(HOLDERS, account=account_id, github_id=github_id, username=username)

    async def linked(self, account_id: AccountId) -> Holder | None:
        return await self._executor.one(LINKED, account=account_id)

    async def save_user(
        self, github_id: str, profile: msgspec.Raw, token: bytes, key_id: str, now: Millis
    ) -> None:
        text = bytes(profile).decode()
        await self._executor.execute(
            SAVE_USER, github_id=github_id, profile=text, token=token, key_id=key_id, now=now
        )

    async def delete_user(self, github_id: str) -> None:
        await self._executor.execute(DELETE_USER, github_id=github_id)

    async def link(
        self,
        holder: Holder,
        first_name: str | None,
        last_name: str | None,
        avatar: Avatar | None,
        now: Millis,
    ) -> None:
        await self._executor.execute(
            LINK,
            account=holder.account_id,
            github_id=holder.github_id,
            username=holder.username,
            first_name=first_name,
            last_name=last_name,
            avatar=None if avatar is None else msgspec.json.encode(avatar).decode(),
            now=now,
        )

    async def unlink(self, account_id: AccountId, now: Millis) -> None:
        await self._executor.execute(UNLINK, account=account_id, now=now)

    async def drop_username(self, account_id: AccountId, now: Millis) -> None:
        await self._executor.execute(DROP_USERNAME, account=account_id, now=now)
