"""Lost sessions of one account are bounded, and do not drive out those of others."""

import pytest

from happy.domain.values import AccountId, ConnectionId
from happy.gateway.delivery import DeliveryReport
from happy.gateway.recovery import registry
from happy.gateway.recovery.registry import SessionRegistry
from happy.gateway.recovery.session import RecoverableSession, SessionState

CROWD, HONEST = AccountId("crowd"), AccountId("honest")


def lose(sessions: SessionRegistry, account: AccountId, token: str) -> RecoverableSession:
    session = RecoverableSession(token, account, ConnectionId(token), "user", "")
    sessions.add(session)
    sessions.enter(session, SessionState.LOST)
    sessions.limit_lost(account)
    return session


def test_an_account_with_too_many_lost_sessions_loses_its_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MAX_ACCOUNT_LOST", 3)
    sessions = SessionRegistry(120.0, DeliveryReport(), lambda: 0.0)
    honest = lose(sessions, HONEST, "phone")
    crowd = [lose(sessions, CROWD, str(number)) for number in range(5)]

    assert [SessionState.ENDED] * 2 + [SessionState.LOST] * 3 == [session.state for session in crowd]
    assert SessionState.LOST is honest.state

    sessions.enter(crowd[2], SessionState.CONNECTED)
    assert SessionState.LOST is lose(sessions, CROWD, "another").state
    assert SessionState.LOST is crowd[3].state


def test_nothing_is_left_of_an_account_whose_sessions_have_ended() -> None:
    sessions = SessionRegistry(120.0, DeliveryReport(), lambda: 0.0)
    for number in range(3):
        sessions.enter(lose(sessions, CROWD, str(number)), SessionState.ENDED)

    assert {} == sessions._lost_of
    assert not sessions.awaits(CROWD)
