"""The repositories of one transaction, all on one executor."""

from happy.adapters.sql.access_keys import SqlAccessKeys
from happy.adapters.sql.accounts import SqlAccounts
from happy.adapters.sql.administration import SqlAdministration
from happy.adapters.sql.announcements import SqlAnnouncements
from happy.adapters.sql.artifacts import SqlArtifacts
from happy.adapters.sql.audit import SqlAudit
from happy.adapters.sql.backups import SqlBackups
from happy.adapters.sql.deletions import SqlDeletions
from happy.adapters.sql.feed import SqlFeed
from happy.adapters.sql.github import SqlGithub
from happy.adapters.sql.invites import SqlInvites
from happy.adapters.sql.kv import SqlKv
from happy.adapters.sql.leftovers import SqlLeftovers
from happy.adapters.sql.machines import SqlMachines
from happy.adapters.sql.master_secret import SqlMasterSecret
from happy.adapters.sql.pairings import SqlPairings
from happy.adapters.sql.people import SqlPeople
from happy.adapters.sql.registrations import SqlRegistrations
from happy.adapters.sql.revocations import SqlRevocations, SqlTokenUses
from happy.adapters.sql.sealed import SqlSealed
from happy.adapters.sql.sessions import SqlSessions
from happy.adapters.sql.social import SqlSocial
from happy.adapters.sql.statement import Executor
from happy.adapters.sql.statistics import SqlStatistics
from happy.adapters.sql.storage import SqlStorage
from happy.adapters.sql.uploads import SqlUploads
from happy.adapters.sql.usage import SqlUsage
from happy.adapters.sql.vendor_tokens import SqlVendorTokens


class SqlTransaction:
    def __init__(self, executor: Executor) -> None:
        self.accounts = SqlAccounts(executor)
        self.pairings = SqlPairings(executor)
        self.registrations = SqlRegistrations(executor)
        self.invites = SqlInvites(executor)
        self.sessions = SqlSessions(executor)
        self.machines = SqlMachines(executor)
        self.access_keys = SqlAccessKeys(executor)
        self.artifacts = SqlArtifacts(executor)
        self.kv = SqlKv(executor)
        self.usage = SqlUsage(executor)
        self.deletions = SqlDeletions(executor)
        self.announcements = SqlAnnouncements(executor)
        self.leftovers = SqlLeftovers(executor)
        self.statistics = SqlStatistics(executor)
        self.storage = SqlStorage(executor)
        self.people = SqlPeople(executor)
        self.social = SqlSocial(executor)
        self.feed = SqlFeed(executor)
        self.github = SqlGithub(executor)
        self.uploads = SqlUploads(executor)
        self.vendor_tokens = SqlVendorTokens(executor)
        self.master_secret = SqlMasterSecret(executor)
        self.administration = SqlAdministration(executor)
        self.audit = SqlAudit(executor)
        self.sealed = SqlSealed(executor)
        self.revocations = SqlRevocations(executor)
        self.token_uses = SqlTokenUses(executor)
        self.backups = SqlBackups(executor)
