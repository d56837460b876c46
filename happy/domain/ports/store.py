"""The database: transactions, the repositories that they share, and the message log."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from happy.domain.ports.message_log import MessageLog
from happy.domain.ports.repositories.access_keys import AccessKeyRepository
from happy.domain.ports.repositories.accounts import AccountRepository
from happy.domain.ports.repositories.administration import AdministrationRepository
from happy.domain.ports.repositories.announcements import AnnouncementRepository
from happy.domain.ports.repositories.artifacts import ArtifactRepository
from happy.domain.ports.repositories.audit import AuditRepository
from happy.domain.ports.repositories.backups import BackupRepository
from happy.domain.ports.repositories.deletions import DeletionRepository
from happy.domain.ports.repositories.feed import FeedRepository
from happy.domain.ports.repositories.github import GithubRepository
from happy.domain.ports.repositories.invites import InviteRepository
from happy.domain.ports.repositories.kv import KvRepository
from happy.domain.ports.repositories.leftovers import LeftoverRepository
from happy.domain.ports.repositories.machines import MachineRepository
from happy.domain.ports.repositories.master_secret import MasterSecretRepository
from happy.domain.ports.repositories.pairings import PairingRepository
from happy.domain.ports.repositories.people import PeopleRepository
from happy.domain.ports.repositories.registrations import RegistrationRepository
from happy.domain.ports.repositories.revocations import RevocationRepository, TokenUseRepository
from happy.domain.ports.repositories.sealed import SealedRepository
from happy.domain.ports.repositories.sessions import SessionRepository
from happy.domain.ports.repositories.social import SocialRepository
from happy.domain.ports.repositories.statistics import StatisticsRepository
from happy.domain.ports.repositories.storage import StorageRepository
from happy.domain.ports.repositories.uploads import UploadRepository
from happy.domain.ports.repositories.usage import UsageRepository
from happy.domain.ports.repositories.vendor_tokens import VendorTokenRepository

T = TypeVar("T")


class Transaction(Protocol):
    """The repositories of one unit of work."""

    @property
    def accounts(self) -> AccountRepository: ...
    @property
    def pairings(self) -> PairingRepository: ...
    @property
    def registrations(self) -> RegistrationRepository: ...
    @property
    def invites(self) -> InviteRepository: ...
    @property
    def sessions(self) -> SessionRepository: ...
    @property
    def machines(self) -> MachineRepository: ...
    @property
    def access_keys(self) -> AccessKeyRepository: ...
    @property
    def artifacts(self) -> ArtifactRepository: ...
    @property
    def kv(self) -> KvRepository: ...
    @property
    def usage(self) -> UsageRepository: ...
    @property
    def deletions(self) -> DeletionRepository: ...
    @property
    def announcements(self) -> AnnouncementRepository: ...
    @property
    def leftovers(self) -> LeftoverRepository: ...
    @property
    def statistics(self) -> StatisticsRepository: ...
    @property
    def storage(self) -> StorageRepository: ...

    @property
    def people(self) -> PeopleRepository: ...
    @property
    def social(self) -> SocialRepository: ...
    @property
    def feed(self) -> FeedRepository: ...
    @property
    def github(self) -> GithubRepository: ...
    @property
    def uploads(self) -> UploadRepository: ...
    @property
    def vendor_tokens(self) -> VendorTokenRepository: ...
    @property
    def administration(self) -> AdministrationRepository: ...
    @property
    def revocations(self) -> RevocationRepository: ...
    @property
    def token_uses(self) -> TokenUseRepository: ...
    @property
    def master_secret(self) -> MasterSecretRepository: ...
    @property
    def audit(self) -> AuditRepository: ...
    @property
    def sealed(self) -> SealedRepository: ...
    @property
    def backups(self) -> BackupRepository: ...


Body = Callable[[Transaction], Awaitable[T]]
"""A unit of work. It awaits nothing but its transaction, so it may run in another thread, or twice."""


class Store(Protocol):
    """The database of one flavor. Every method raises Unavailable when it cannot be reached."""

    @property
    def messages(self) -> MessageLog: ...

    @property
    def batch_seconds(self) -> float:
        """How long each of the many transactions of a background job may last."""
        ...

    async def read(self, body: Body[T]) -> T:
        """Run `body`, which changes nothing. Each statement sees what is committed when it runs."""
        ...

    async def write(self, body: Body[T]) -> T:
        """Run `body` and commit; roll back if it raises; run it again after a serialization conflict.

        Returns only when the change is durable.
        """
        ...

    async def ping(self) -> None:
        """Run a trivial query."""
        ...
