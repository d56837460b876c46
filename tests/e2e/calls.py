"""Remote calls of a crowd, and whether each ended as the contract allows, in the time it allows."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct

from tests.e2e.readers import Device

GRACE_SECONDS = 15.0
ANSWER_SECONDS = 30.0
KILLED_SECONDS = 3.0
SLACK_SECONDS = 3.0
"""What a busy machine may add."""

HANGS_AFTER = GRACE_SECONDS + ANSWER_SECONDS + 5.0
SUCCESS = "success"
NOT_AVAILABLE = "RPC method not available"
TIMED_OUT = "operation has timed out"
DISCONNECTED = "RPC target disconnected"
CALLER_LEFT = "socket has been disconnected"


class Finished(Struct, frozen=True):
    method: str
    outcome: str
    began: float
    ended: float
    caller_stayed: bool
    target_since: float | None
    """When the target had registered the method for the last time, if it still is at the end."""
    target: Device

    @property
    def took(self) -> float:
        return self.ended - self.began


class CallLog:
    """Every call that ended, and every moment at which something was taken away from the servers."""

    def __init__(self) -> None:
        self.finished: list[Finished] = []
        self.under_way = 0
        self._disruptions: list[float] = []
        self._apart: list[tuple[float, float]] = []

    def disrupted(self) -> None:
        """A replica is being killed, or Redis stopped."""
        self._disruptions.append(asyncio.get_running_loop().time())

    def were_apart(self, since: float, until: float) -> None:
        """Replicas could not hear each other meanwhile: who calls across them may find nobody."""
        self._apart.append((since, until))

    async def call(self, caller: Device, target: Device, method: str) -> None:
        loop = asyncio.get_running_loop()
        began, losses = loop.time(), caller.losses
        self.under_way += 1
        try:
            payload = {"method": method, "params": f"{began}"}
            answer = await caller.call("rpc-call", payload, timeout=HANGS_AFTER)
            outcome = _outcome(answer, payload)
        except TimeoutError as error:
            outcome = CALLER_LEFT if CALLER_LEFT in str(error) else f"no answer: {error}"
        finally:
            self.under_way -= 1
        since = target.registered_at.get(method) if target.online else None
        stayed = caller.losses == losses
        self.finished.append(Finished(method, outcome, began, loop.time(), stayed, since, target))

    def problems(self) -> list[str]:
        found = [f"{self.under_way} calls have not ended"] if self.under_way else []
        for call in self.finished:
            problem = self._problem(call)
            if problem:
                found.append(f"call of {call.method}: {call.outcome} after {call.took:.1f} s: {problem}")
        return found

    def _problem(self, call: Finished) -> str | None:
        if call.outcome == SUCCESS:
            return None if call.took < GRACE_SECONDS + ANSWER_SECONDS else "late"
        if call.outcome == CALLER_LEFT:
            return "but the caller's connection was there all the time" if call.caller_stayed else None
        judge: dict[str, Callable[[Finished], str | None]] = {
            NOT_AVAILABLE: self._of_not_available,
            TIMED_OUT: self._of_timed_out,
            DISCONNECTED: self._of_disconnected,
        }
        return judge[call.outcome](call) if call.outcome in judge else "not expected here"

    def _of_disconnected(self, call: Finished) -> str | None:
        """The target may learn of its loss a moment later than the caller."""
        soon = KILLED_SECONDS + SLACK_SECONDS
        moments = [*self._disruptions, *call.target.lost_at]
        in_time = any(-SLACK_SECONDS <= call.ended - moment <= soon for moment in moments)
        return None if in_time else "and the target had not lost its connection shortly before"

    def _of_not_available(self, call: Finished) -> str | None:
        if not GRACE_SECONDS - 0.1 <= call.took <= GRACE_SECONDS + SLACK_SECONDS:
            return "not at the end of the grace window"
        if call.target_since is None or self._crossed_an_outage(call):
            return None
        if call.target_since > call.ended - SLACK_SECONDS:
            return None
        return f"though it was registered {call.ended - call.target_since:.1f} s before"

    def _of_timed_out(self, call: Finished) -> str | None:
        """A question or an answer may be lost with the link between two replicas."""
        if call.target.after is not None and not self._crossed_an_outage(call):
            return "though the target answers"
        latest = GRACE_SECONDS + ANSWER_SECONDS + SLACK_SECONDS
        in_time = ANSWER_SECONDS - 0.1 <= call.took <= latest
        return None if in_time else "not at the end of the time for an answer"

    def _crossed_an_outage(self, call: Finished) -> bool:
        return any(call.began < until and since < call.ended for since, until in self._apart)

    def summary(self) -> str:
        outcomes = Counter(call.outcome for call in self.finished)
        slowest = max((call.took for call in self.finished if call.outcome == SUCCESS), default=0.0)
        named = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        return f"{len(self.finished)} calls: {named}; slowest success {slowest:.1f} s"


def _outcome(answer: dict[str, object], payload: dict[str, str]) -> str:
    if answer.get("ok") is True:
        return SUCCESS if answer.get("result") == payload else f"another's answer: {answer}"
    return str(answer.get("error"))


async def keep_calling(
    log: CallLog, caller: Device, targets: Sequence[Device], over: asyncio.Event, chance: random.Random
) -> None:
    """One call after the other, to whoever serves something."""
    while not over.is_set():
        if not caller.online:  # or the library keeps the call until it is
            await asyncio.sleep(0.1)
            continue
        target = chance.choice(targets)
        await log.call(caller, target, chance.choice(target.methods))
        await asyncio.sleep(chance.uniform(0, 0.8))
