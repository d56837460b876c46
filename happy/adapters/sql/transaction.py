"""The repositories of one transaction, all on one executor."""

from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.machines import SqlMachines
from happy.adapters.sql.pairings import SqlPairings
from happy.adapters.sql.sessions import SqlSessions
from happy.adapters.sql.statement import Executor


class SqlTransaction:
    def __init__(self, run: Executor) -> None:
        self.accounts = SqlAccounts(run)
        self.pairings = SqlPairings(run)
        self.sessions = SqlSessions(run)
        self.machines = SqlMachines(run)
