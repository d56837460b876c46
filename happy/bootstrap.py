"""Composition root: settings become adapters, services and one ASGI application."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import msgspec

from happy import crypto
from happy.adapters import Adapters
from happy.adapters.clocks import elapsed, system_clock
from happy.adapters.flavors import open_adapters
from happy.adapters.keys import open_keys
from happy.adapters.outbound.bundle import Outbound, open_outbound
from happy.domain.attachments import AttachmentNames
from happy.domain.values import ReplicaId
from happy.gateway.delivery import DeliveryReport
from happy.gateway.dispatch import ASGIApp, dispatch
from happy.gateway.engine import EngineSettings, PathPrefix
from happy.gateway.engine import Server as Engine
from happy.gateway.events.access_keys import AccessKeyEvents
from happy.gateway.events.artifacts import ArtifactEvents
from happy.gateway.events.large_answers import LargeAnswers
from happy.gateway.events.machines import MachineEvents
from happy.gateway.events.rpc import REGISTERED, RpcEvents
from happy.gateway.events.sessions import SessionEvents
from happy.gateway.events.usage import UsageEvents
from happy.gateway.gauges import build_gauges
from happy.gateway.hub import Handler, Hub
from happy.gateway.recovery.catch_up import CatchUp
from happy.gateway.recovery.cluster import ClusterRecovery
from happy.gateway.recovery.recovery import build_recovery
from happy.gateway.server import RETURNED, EventHandlers, Gateway
from happy.gateway.throttle import throttled
from happy.http.allowed_origins import allow_origins
from happy.http.app import Services, build_app
from happy.http.framework.open_files import allowed_connections
from happy.http.framework.request_turns import in_turns
from happy.http.metrics import build_metrics_app
from happy.http.web_app import open_web_app
from happy.jobs import background, backing_up, counting, following_access
from happy.metrics import Metrics
from happy.services.access_keys import AccessKeyService
from happy.services.accounts import AccountService
from happy.services.activity import RESUMED, STOPPED, Activity
from happy.services.announcements import Announcements
from happy.services.artifacts import ArtifactService
from happy.services.attachments import AttachmentService
from happy.services.attendance import DEPARTURE_SECONDS, Attendance
from happy.services.avatars import AvatarService
from happy.services.background import running
from happy.services.client_addresses import ClientAddresses
from happy.services.cluster_rpc import ClusterRpc
from happy.services.connection_table import ConnectionTable
from happy.services.deletions import Deletions
from happy.services.departures import GONE, Departures
from happy.services.developer_log import DeveloperLog
from happy.services.feed import FeedService
from happy.services.github import GithubService, GithubStates, GithubWebhook
from happy.services.identity import build_identity
from happy.services.in_doubt import InDoubtCommits
from happy.services.invites import InviteService
from happy.services.kv import KvService
from happy.services.machines import MachineService
from happy.services.messages import MessageService
from happy.services.pairing import PairingService
from happy.services.push import PushService
from happy.services.quotas import QuotaService
from happy.services.rate_limit import RateLimits
from happy.services.readiness import Readiness
from happy.services.registration import Registration
from happy.services.repeats import Repeats
from happy.services.replays import Replays
from happy.services.rpc import CALL_SECONDS, GRACE_SECONDS, RpcService
from happy.services.sessions import SessionService
from happy.services.social import SocialService
from happy.services.steady_clock import SteadyClock
from happy.services.unit_of_work import UnitOfWork
from happy.services.usage import UsageService
from happy.services.vendor_tokens import VendorTokenService
from happy.services.voice import VoiceService
from happy.settings import Full, Light

SOCKETS_SECONDS = 2.0
"""How long closing all sockets may take at shutdown."""


@dataclass(frozen=True, slots=True)
class Application:
    """Everything behind the port. `close_sockets` comes before the end of `open_application`."""

    asgi: ASGIApp
    metrics: ASGIApp
    engine: Engine
    activity: Activity
    readiness: Readiness

    async def close_sockets(self, spread: float = 0.0) -> None:
        """Close every realtime connection so that its client reconnects, and take no new ones."""
        await self.activity.stop()
        await self.engine.shutdown(within=SOCKETS_SECONDS, spread=spread)


@asynccontextmanager
async def open_application(
    settings: Light | Full,
    engine_settings: EngineSettings | None = None,
    *,
    grace_seconds: float = GRACE_SECONDS,
    departure_seconds: float = DEPARTURE_SECONDS,
) -> AsyncIterator[Application]:
    """Open every adapter, start the background jobs; close all in the opposite order. Raises StartupError."""
    replica_id = ReplicaId(secrets.token_hex(8))
    async with AsyncExitStack() as stack:
        report = DeliveryReport(metrics := Metrics(), replica_id)
        adapters = await stack.enter_async_context(open_adapters(settings, replica_id, system_clock, report))
        store = adapters.store
        keys = await open_keys(settings, store, system_clock())
        hub = build_hub(settings, adapters, keys, report)
        attendance = Attendance(adapters.presence, replica_id, departure_seconds)
        activity, departures = build_activity(adapters, hub, attendance, metrics)
        limits = RateLimits(settings.rates, elapsed, adapters.buckets, metrics)
        outbound = await stack.enter_async_context(open_outbound(settings.outbound))
        services = build_services(
            settings, adapters, outbound, hub, activity, keys, metrics=metrics, limits=limits
        )
        rpc = build_rpc(adapters, hub, metrics, grace_seconds, limits)
        stack.push_async_callback(activity.flush)  # after the sockets, before the store
        stack.push_async_callback(rpc.close)
        gateway = build_gateway(adapters, hub, services, activity, rpc)
        stack.callback(gateway.close)
        connect_handlers(adapters, hub, activity, departures, gateway)
        addresses = ClientAddresses(settings.trusted_proxies, settings.public_url)
        engine = build_engine(gateway, settings, engine_settings or EngineSettings(), addresses, limits)
        in_doubt = InDoubtCommits(hub.accounts_in_doubt, hub, store.ping)
        jobs = [*background(activity, departures, services, in_doubt), *await following_access(services, hub)]
        jobs += backing_up(settings, store, metrics, replica_id)
        await stack.enter_async_context(running(*jobs, *counting(store, metrics, system_clock, keys)))
        ui, ready = open_web_app(settings.ui, addresses), services.readiness
        http = build_app(services, addresses, ui, metrics, docs=settings.docs, leaving=lambda: ready.stopping)
        asgi = in_turns(dispatch(engine, http, PathPrefix.of(settings.public_url)), addresses)
        yield Application(
            allow_origins(asgi, settings.cors_origins),
            build_metrics_app(metrics, build_gauges(engine, hub, adapters.link_state)),
            engine,
            activity,
            ready,
        )


def build_activity(
    adapters: Adapters, hub: Hub, attendance: Attendance, metrics: Metrics
) -> tuple[Activity, Departures]:
    """What is announced and stored of those that send heartbeats, and of those that have gone."""
    store, ends = adapters.store, UnitOfWork(adapters.store, hub, system_clock)
    activity = Activity(store, hub, attendance, Repeats(store, hub), system_clock, metrics, signals=hub)
    departures = Departures(store, ends, activity, attendance, system_clock, signals=hub)
    attendance.listen(departures.end)
    return activity, departures


def build_gateway(
    adapters: Adapters, hub: Hub, services: Services, activity: Activity, rpc: RpcEvents
) -> Gateway:
    """What the realtime engine calls for connections and their events."""
    handlers, recovery = event_handlers(services, activity, rpc, hub.report.metrics), hub.recovery
    catch_up = None if recovery is None else CatchUp(services.messages, recovery.cursors)
    return Gateway(hub, adapters.presence, services.identity, activity, handlers, catch_up)


def build_engine(
    gateway: Gateway,
    settings: Light | Full,
    engine_settings: EngineSettings,
    addresses: ClientAddresses,
    limits: RateLimits,
) -> Engine:
    """The realtime engine, below the path at which clients reach this server."""
    prefix = PathPrefix.of(settings.public_url)
    used = msgspec.structs.replace(engine_settings, prefix=prefix, connects=limits.connects)
    most = settings.connections or allowed_connections()
    table = ConnectionTable(most=most, most_per_address=settings.connections_per_address)
    return Engine(gateway, used, addresses, table)


def build_hub(
    settings: Light | Full, adapters: Adapters, keys: crypto.Keyring, report: DeliveryReport
) -> Hub:
    """The hub, with recovery of clients that were connected to another replica where there can be any."""
    cluster = None
    if adapters.history is not None:
        (key, *previous), window = keys.proofs("private ids"), settings.recovery.seconds
        cluster = ClusterRecovery(
            adapters.history, key, window, replica_id=report.replica_id, previous_keys=previous
        )
    return Hub(build_recovery(settings.recovery, report, cluster), adapters.bus, report)


def build_rpc(
    adapters: Adapters, hub: Hub, metrics: Metrics, grace_seconds: float, limits: RateLimits
) -> RpcEvents:
    """RPC calls within this replica, and to others where there can be any."""
    if adapters.history is None:
        return RpcEvents(hub, RpcService(hub.registrations, grace_seconds, metrics=metrics), limits)
    remote = ClusterRpc(hub.registrations, adapters.link, adapters.presence, CALL_SECONDS)
    service = RpcService(hub.registrations, grace_seconds, metrics=metrics, remote=remote)
    adapters.link.listen(remote.on_message)
    hub.listen_for(REGISTERED, service.on_registered)
    return RpcEvents(hub, service, limits, remote)


def connect_handlers(
    adapters: Adapters, hub: Hub, activity: Activity, departures: Departures, gateway: Gateway
) -> None:
    """What is called for envelopes and signals of other replicas."""
    adapters.bus.listen(hub.on_envelope, hub.on_resync)
    hub.listen_for(STOPPED, activity.on_stopped)
    hub.listen_for(RESUMED, activity.on_resumed)
    hub.listen_for(GONE, departures.on_ended_by_another)
    hub.listen_for(RETURNED, gateway.on_returned)


def event_handlers(services: Services, activity: Activity, rpc: RpcEvents, metrics: Metrics) -> EventHandlers:
    """What is called for the events of clients."""
    handlers, answers = dict[str, Handler](), LargeAnswers(services.large_work, metrics)
    for events in (
        SessionEvents(services.sessions, services.messages, activity, system_clock, answers, services.limits),
        MachineEvents(services.machines, activity, answers, services.limits),
        ArtifactEvents(services.artifacts, answers),
        AccessKeyEvents(services.access_keys, answers),
        UsageEvents(services.usage),
        rpc,
    ):
        handlers |= throttled(events.handlers, services.limits.bytes, services.large_work)
    return EventHandlers(handlers, rpc.released)


def build_services(  # noqa: PLR0913 - what services are made of
    settings: Light | Full,
    adapters: Adapters,
    outbound: Outbound,
    hub: Hub,
    activity: Activity,
    keys: crypto.Keyring,
    *,
    metrics: Metrics,
    limits: RateLimits,
) -> Services:
    """Every use case, over the ports of one flavor."""
    store, clock = adapters.store, system_clock
    name_key, *previous_name_keys = keys.proofs("attachment names")
    steady = SteadyClock(clock)
    unit_of_work = UnitOfWork(store, hub, steady)
    quotas = QuotaService(store, settings.quotas, metrics.quotas_exceeded)
    deletions = Deletions(store, adapters.files, clock)
    avatars = AvatarService(store, outbound.avatars, adapters.files)
    rules = settings.registration
    registration = Registration(store, rules.mode, rules.keys, clock, metrics.registrations_refused)
    replays = Replays(elapsed, adapters.sign_ins, metrics.replays)
    identity = build_identity(store, keys.tokens, clock, metrics, settings.token_days)
    states, app = GithubStates(store, keys, clock, identity.revocations), outbound.github_app
    return Services(
        identity=identity,
        pairing=PairingService(store, keys.tokens, clock, registration, replays, limits, metrics),
        registration=registration,
        invites=InviteService(store, clock, accepted=registration.mode == "invite"),
        sessions=SessionService(store, unit_of_work, activity, deletions, clock, quotas),
        messages=MessageService(store, hub, steady, quotas),
        machines=MachineService(store, unit_of_work, activity, deletions),
        accounts=AccountService(store, unit_of_work, adapters.files, clock),
        artifacts=ArtifactService(store, unit_of_work, steady),
        access_keys=AccessKeyService(store, clock),
        kv=KvService(store, unit_of_work),
        usage=UsageService(store, hub, clock),
        social=SocialService(store, unit_of_work, adapters.files, limits),
        feed=FeedService(store),
        attachments=AttachmentService(
            store, adapters.files, AttachmentNames(name_key, previous_name_keys), limits, quotas
        ),
        push=PushService(store, hub, adapters.presence, outbound.push, clock, limits.pushes),
        github=GithubService(unit_of_work, outbound.github, avatars, states, keys, app),
        github_webhook=GithubWebhook(app.webhook_secret),
        vendor_tokens=VendorTokenService(store, keys, clock),
        voice=VoiceService(
            outbound.voice,
            outbound.subscriptions,
            keys,
            clock,
            require_subscription=outbound.require_subscription,
        ),
        deletions=deletions,
        announcements=Announcements(store, unit_of_work, activity, deletions),
        readiness=Readiness(store.ping, adapters.files.ping, metrics.backups),
        link_state=adapters.link_state,
        files=None if adapters.files.direct else adapters.files,
        developer_log=DeveloperLog(elapsed, metrics) if settings.remote_debug_log else None,
        limits=limits,
        quotas=quotas,
    )
