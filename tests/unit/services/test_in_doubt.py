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
    accounts, sink, database = {ONE}, Sink(), Database()
    commits = InDoubtCommits(accounts, sink, database.ping)
    database.away = True
    await commits.resync_again()
    database.away = False
    await commits.resync_again()
    assert [] == sink.resynced
    accounts.add(OTHER)
    await commits.resync_again()
    assert [ONE] == sink.resynced
    await commits.resync_again()
    await commits.resync_again()

    assert [ONE, OTHER] == sink.resynced


async def test_without_in_doubt_commits_the_database_is_not_pinged() -> None:
    database = Database()
    await InDoubtCommits(set(), Sink(), database.ping).resync_again()

    assert 0 == database.pings
