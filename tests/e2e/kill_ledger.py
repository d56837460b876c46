"""What the clients of a loop were promised, and whether the server kept it."""

from collections import Counter
from typing import Any

from tests.e2e.app_view import misplaced
from tests.support.api_client import ApiClient


class Ledger:
    """Every acknowledgement the writers got. Contents are unique, so a message is known by its content."""

    def __init__(self, sessions: list[str]) -> None:
        self.sessions = sessions
        self.promised: dict[str, set[str]] = {sid: set() for sid in sessions}
        self.unsure: dict[str, set[str]] = {sid: set() for sid in sessions}
        self.numbers: dict[tuple[str, str], int] = {}
        self.kept: dict[str, dict[tuple[str, int], str]] = {sid: {} for sid in sessions}
        self.refusals: Counter[str] = Counter()
        self.breaks: Counter[str] = Counter()
        self.unavailable = 0
        self.slowest = 0.0
        self.retries = 0

    @property
    def versions(self) -> int:
        return sum(len(versions) for versions in self.kept.values())

    def message_kept(self, session_id: str, content: str, seq: int | None = None) -> None:
        """A POST was answered 200 or an acknowledgement said ok; a POST also told the number."""
        self.promised[session_id].add(content)
        if seq is not None:
            self.numbers[session_id, content] = seq

    def message_unsure(self, session_id: str, content: str) -> None:
        """The connection ended before the acknowledgement, and without a local id nobody may try again."""
        self.unsure[session_id].add(content)

    def version_kept(self, session_id: str, part: str, version: int, value: str) -> None:
        """`part` is `metadata` or `agentState`."""
        self.kept[session_id][part, version] = value

    def broken(self, how: str) -> None:
        """A connection ended before the answer; the request is repeated."""
        self.retries += 1
        self.breaks[how] += 1

    def refused(self, what: str) -> None:
        """An answer no client should get from a server that is merely being killed."""
        self.refusals[what] += 1

    def summary(self) -> str:
        messages = sum(len(contents) for contents in self.promised.values())
        unsure = sum(len(contents) for contents in self.unsure.values())
        return (
            f"{messages} messages and {self.versions} versions acknowledged, {self.retries} retries, "
            f"{unsure} emits cut off before their answer"
        )

    async def problems(self, api: ApiClient) -> list[str]:
        """Compare with what the server has now."""
        found = [f"refused {count} times: {what}" for what, count in self.refusals.items()]
        listed = {row["id"]: row for row in (await api.get("/v1/sessions"))["sessions"]}
        updates = 0
        for sid in self.sessions:
            stored = await api.messages(sid)
            found += self._message_problems(sid, stored, listed[sid])
            for part in ("metadata", "agentState"):
                found += self._version_problems(sid, part, listed[sid])
                updates += listed[sid][f"{part}Version"]
            updates += 1 + len(stored)
        return found + await self._account_problems(api, updates)

    def _message_problems(self, sid: str, stored: list[dict[str, Any]], session: dict[str, Any]) -> list[str]:
        contents = Counter(message["content"]["c"] for message in stored)
        seqs = [message["seq"] for message in stored]
        numbers = {message["content"]["c"]: message["seq"] for message in stored}
        allowed = self.promised[sid] | self.unsure[sid]
        found = [f"{sid}: lost {content}" for content in self.promised[sid] - contents.keys()]
        found += [
            f"{sid}: {content} is there {count} times" for content, count in contents.items() if count > 1
        ]
        found += [f"{sid}: {content} was never sent" for content in contents.keys() - allowed]
        if seqs != list(range(1, len(seqs) + 1)):
            found.append(f"{sid}: numbers have gaps or duplicates: {seqs}")
        if wrong := misplaced(stored):
            found.append(f"{sid}: {wrong} of {len(stored)} messages are drawn out of order")
        if session["seq"] != len(seqs):
            found.append(f"{sid}: the session counts {session['seq']} of {len(seqs)} messages")
        return found + [
            f"{sid}: {content} was {seq}, is {numbers.get(content)}"
            for (owner, content), seq in self.numbers.items()
            if owner == sid and numbers.get(content) != seq
        ]

    def _version_problems(self, sid: str, part: str, session: dict[str, Any]) -> list[str]:
        version, value = session[f"{part}Version"], session[part]
        kept = {number: kept for (of, number), kept in self.kept[sid].items() if of == part}
        if version < max(kept, default=0):
            return [f"{sid}: {part} version {max(kept)} was acknowledged, {version} is there"]
        if version in kept and kept[version] != value:
            return [f"{sid}: {part} {kept[version]} was acknowledged as {version}, {value} is there"]
        return []

    async def _account_problems(self, api: ApiClient, updates: int) -> list[str]:
        """The next update's number tells the account's counter; it may have gaps, but must not lag."""
        async with api.user_socket() as socket:
            await api.post_messages(self.sessions[0], ["the last message"])
            number = (await socket.next_event("update")).payload["seq"]
        return [] if number > updates else [f"update {number} follows {updates} updates"]
