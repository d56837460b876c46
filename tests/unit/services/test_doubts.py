"""What was in doubt is settled a while after the database answers again."""

from happy.domain.errors import Unavailable
from happy.domain.values import AccountId
from happy.services.in_doubt import InDoubtCommits
from tests.unit.services.world import Sink

ONE, OTHER = AccountId("one"), AccountId("other")


class Database:
    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    async def ping(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable


async def test_connections_start_over_once_more_after_the_database_has_answered_for_a_while() -> None:
    doubted, sink, database = {ONE}, Sink(), Database()
    doubts = InDoubtCommits(doubted, sink, database.ping)
    database.away = True
    await doubts.settle()
    database.away = False
    await doubts.settle()
    assert [] == sink.started_over
    doubted.add(OTHER)
    await doubts.settle()
    assert [ONE] == sink.started_over
    await doubts.settle()
    await doubts.settle()

    assert [ONE, OTHER] == sink.started_over


async def test_without_a_doubt_nobody_is_asked() -> None:
    database = Database()
    await InDoubtCommits(set(), Sink(), database.ping).settle()

    assert 0 == database.asked
