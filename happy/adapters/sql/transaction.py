"""The repositories of one transaction, all on one executor."""

from happy.adapters.sql.access_keys import SqlAccessKeys
from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.artifacts import SqlArtifacts
from happy.adapters.sql.deletions import SqlDeletions
from happy.adapters.sql.feed import SqlFeed
from happy.adapters.sql.github import SqlGithub
from happy.adapters.sql.kv import SqlKv
from happy.adapters.sql.machines import SqlMachines
from happy.adapters.sql.master_secret import SqlMasterSecret
from happy.adapters.sql.pairings import SqlPairings
from happy.adapters.sql.people import SqlPeople
from happy.adapters.sql.sessions import SqlSessions
from happy.adapters.sql.social import SqlSocial
from happy.adapters.sql.statement import Executor
from happy.adapters.sql.statistics import SqlStatistics
from happy.adapters.sql.uploads import SqlUploads
from happy.adapters.sql.usage import SqlUsage
from happy.adapters.sql.vendor_tokens import SqlVendorTokens


class SqlTransaction:
    def __init__(self, run: Executor) -> None:
        self.accounts = SqlAccounts(run)
        self.pairings = SqlPairings(run)
        self.sessions = SqlSessions(run)
        self.machines = SqlMachines(run)
        self.access_keys = SqlAccessKeys(run)
        self.artifacts = SqlArtifacts(run)
        self.kv = SqlKv(run)
        self.usage = SqlUsage(run)
        self.deletions = SqlDeletions(run)
        self.statistics = SqlStatistics(run)
        self.people = SqlPeople(run)
        self.social = SqlSocial(run)
        self.feed = SqlFeed(run)
        self.github = SqlGithub(run)
        self.uploads = SqlUploads(run)
        self.vendor_tokens = SqlVendorTokens(run)
        self.master_secret = SqlMasterSecret(run)
