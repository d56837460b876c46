"""Accounts of in-doubt commits are resynced once more after the database answers again."""

from happy.domain.errors import Unavailable
from happy.domain.values import AccountId
from happy.services.in_doubt import InDoubtCommits
from tests.unit.services.world import Sink

ONE, OTHER = AccountId("one"), AccountId("other")


class Database:
    def __init__(self) -> None:
        self.pings = 0
        self.away = False

    async def ping(self) -> None:
        self.pings += 1
        if self.away:
            raise Unavailable


async def test_clients_resync_once_more_after_the_database_has_answered_twice() -> None:
    doubted, sink, database = {ONE}, Sink(), Database()
    commits = InDoubtCommits(doubted, sink, database.ping)
    database.away = True
    await commits.settle()
    database.away = False
    await commits.settle()
    assert [] == sink.resynced
    doubted.add(OTHER)
    await commits.settle()
    assert [ONE] == sink.resynced
    await commits.settle()
    await commits.settle()

    assert [ONE, OTHER] == sink.resynced


async def test_without_in_doubt_commits_the_database_is_not_pinged() -> None:
    database = Database()
    await InDoubtCommits(set(), Sink(), database.ping).settle()

    assert 0 == database.pings
