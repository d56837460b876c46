"""The jobs that run in the background of a server."""

import msgspec

from happy.adapters.clocks import system_clock
from happy.crypto import Keyring
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import SECOND, ReplicaId
from happy.gateway.access import enforce_access
from happy.gateway.hub import Hub
from happy.http.app import Services
from happy.metrics import Metrics
from happy.services import announcements, quotas
from happy.services.activity import Activity
from happy.services.audit import AuditTrail
from happy.services.background import Job, repeat
from happy.services.backup_retention import Retention
from happy.services.departures import Departures
from happy.services.in_doubt import InDoubtCommits
from happy.services.resealing import Resealing
from happy.services.scheduled_backups import Plan, ScheduledBackups
from happy.settings import Full, Light

DAY_SECONDS = 86_400.0


def background(
    activity: Activity, departures: Departures, services: Services, in_doubt: InDoubtCommits
) -> list[Job]:
    """The jobs of protocol: operations#background-jobs."""
    return [
        repeat("store heartbeats", 0, activity.flush_when_due),
        repeat("announce changes again", 1, activity.repeats.announce_due),
        repeat("forget heartbeats", 300, activity.purge),
        repeat("end silent sessions", 60, departures.expire, at_once=True),
        repeat("end sessions and machines without connections", 15, departures.sweep),
        repeat("remove deleted rows", 0, services.deletions.run, at_once=True),
        repeat("announce what commands deleted", announcements.POLL_SECONDS, services.announcements.publish),
        repeat("resync after in-doubt commits", 5, in_doubt.resync_again),
        repeat("delete expired linking requests", 60, services.pairing.sweep),
        repeat("delete expired requests for accounts, and invites", 3600, services.registration.sweep),
        repeat("count what accounts store", quotas.SECONDS, services.quotas.count),
        repeat("delete old tokens from the cache", 600, services.identity.purge),
    ]


async def following_access(services: Services, hub: Hub) -> list[Job]:
    """The jobs that follow revocations, all known before the first request. Raises StartupError."""
    services.identity.revocations.listen(lambda _: services.deletions.wake())
    return await enforce_access(services.identity, hub)


def backing_up(settings: Light | Full, store: Store, metrics: Metrics, replica: ReplicaId) -> list[Job]:
    """The job that backs up, where that is configured."""
    chosen = settings.backups
    if chosen.target is None:
        return []
    from happy.adapters.scheduled_backups import open_storage  # reads the whole schema

    plan = Plan(chosen.target, chosen.every_seconds * SECOND, Retention(*chosen.keep))
    storage = open_storage(settings, chosen.target)
    backups = ScheduledBackups(store, storage, system_clock, replica, plan, metrics.backups)
    return [repeat("back up", plan.look_seconds, backups.run_when_due, at_once=True)]


def counting(store: Store, metrics: Metrics, clock: Clock, keys: Keyring) -> list[Job]:
    """The jobs that look after the whole database: row counts, the audit log, values that nothing opens."""

    async def count_rows() -> None:
        rows = await store.read(lambda tx: tx.statistics.rows())
        metrics.records = msgspec.structs.asdict(rows)

    trail = AuditTrail(store, clock, metrics.audit)
    return [
        repeat("count rows", 60, count_rows, at_once=True),
        repeat("follow the audit log", 10, trail.follow),
        repeat("prune the audit log", 3600, trail.prune),
        repeat(
            "warn of values that nothing opens", DAY_SECONDS, Resealing(store, keys, clock).warn, at_once=True
        ),
    ]
