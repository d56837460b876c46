"""Composition root: settings become adapters, services and one ASGI application."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from happy import crypto
from happy.adapters import Adapters
from happy.domain.attachments import AttachmentNames
from happy.domain.errors import StartupError
from happy.domain.ports.clock import Clock
from happy.domain.values import Millis, NodeId
from happy.gateway.artifacts import ArtifactEvents
from happy.gateway.engine import EngineSettings
from happy.gateway.engine import Server as Engine
from happy.gateway.hub import Hub
from happy.gateway.machines import MachineEvents
from happy.gateway.rpc import RpcEvents
from happy.gateway.server import Gateway
from happy.gateway.sessions import SessionEvents
from happy.gateway.usage import AccessKeyEvents, UsageEvents
from happy.http.app import Services, build_app
from happy.http.ui import WebUi
from happy.services.access_keys import AccessKeyService
from happy.services.accounts import AccountService
from happy.services.activity import Activity
from happy.services.artifacts import ArtifactService
from happy.services.attachments import AttachmentService
from happy.services.background import repeat
from happy.services.feed import FeedService
from happy.services.identity import IdentityService
from happy.services.kv import KvService
from happy.services.machines import MachineService
from happy.services.messages import MessageService
from happy.services.pairing import PairingService
from happy.services.rpc import GRACE_SECONDS, RpcService
from happy.services.sessions import SessionService
from happy.services.social import SocialService
from happy.services.unit_of_work import UnitOfWork
from happy.services.usage import UsageService
from happy.settings import Full, Light

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

REALTIME_PATH = "/v1/updates/"
NORMAL_CLOSURE = 1000
SOCKETS_SECONDS = 2.0
"""How long closing all sockets may take at shutdown."""


@dataclass(frozen=True, slots=True)
class Application:
    """Everything behind the port. `close_sockets` comes before the end of `open_application`."""

    asgi: ASGIApp
    engine: Engine
    activity: Activity

    async def close_sockets(self) -> None:
        """Close every realtime connection so that its client reconnects, and take no new ones."""
        await self.engine.shutdown(within=SOCKETS_SECONDS)


@asynccontextmanager
async def open_application(
    settings: Light | Full,
    engine_settings: EngineSettings | None = None,
    *,
    grace_seconds: float = GRACE_SECONDS,
) -> AsyncIterator[Application]:
    """Open every adapter, start the background jobs; close all in the opposite order. Raises StartupError."""
    clock = system_clock
    node_id = NodeId(secrets.token_hex(8))
    async with AsyncExitStack() as stack:
        adapters = await stack.enter_async_context(open_adapters(settings, node_id, clock))
        keys = crypto.derive(secret_of(settings))
        hub = Hub()
        hub.attach(adapters.bus)
        await asyncio.to_thread(lambda: keys.tokens)  # half of the start is spent on deriving this key
        activity = Activity(adapters.store, hub, adapters.presence, clock)
        services = build_services(adapters, hub, activity, keys, clock)
        rpc = RpcEvents(hub, RpcService(hub, grace_seconds))
        stack.push_async_callback(activity.flush)  # after the sockets, before the store
        stack.push_async_callback(rpc.close)
        gateway = Gateway(node_id, hub, adapters.bus, adapters.presence, services.identity, activity)
        stack.callback(gateway.close)
        for events in (
            SessionEvents(services.sessions, services.messages, activity, clock),
            MachineEvents(services.machines, activity),
            ArtifactEvents(services.artifacts),
            AccessKeyEvents(services.access_keys),
            UsageEvents(services.usage),
            rpc,
        ):
            gateway.listen(events.handlers)
        engine = Engine(gateway, engine_settings)
        await stack.enter_async_context(background(activity, services.pairing))
        http = build_app(services, settings.public_url, web_ui(settings))
        yield Application(dispatch(engine, http), engine, activity)


def build_services(
    adapters: Adapters, hub: Hub, activity: Activity, keys: crypto.Keyring, clock: Clock
) -> Services:
    store, names = adapters.store, AttachmentNames(keys.attachment_names)
    unit_of_work = UnitOfWork(store, hub, clock)
    return Services(
        identity=IdentityService(store, keys.tokens, clock),
        pairing=PairingService(store, keys.tokens, clock),
        sessions=SessionService(store, unit_of_work, hub, activity, adapters.files, clock),
        messages=MessageService(store, hub, clock),
        machines=MachineService(store, unit_of_work, activity),
        accounts=AccountService(store, unit_of_work, adapters.files, clock),
        artifacts=ArtifactService(store, unit_of_work, clock),
        access_keys=AccessKeyService(store, clock),
        kv=KvService(store, unit_of_work),
        usage=UsageService(store, hub, clock),
        social=SocialService(store, unit_of_work, adapters.files),
        feed=FeedService(store),
        attachments=AttachmentService(store, adapters.files, names, clock),
        store_ping=store.ping,
        files=adapters.files,
    )


@asynccontextmanager
async def open_adapters(settings: Light | Full, node_id: NodeId, clock: Clock) -> AsyncIterator[Adapters]:
    """The adapters of the flavor; drivers of the other one need not be installed."""
    match settings:
        case Light():
            from happy.adapters import light

            async with light.open_adapters(settings, node_id, clock) as adapters:
                yield adapters
        case Full():
            raise StartupError("the full flavor is not part of this version: start with --flavor light")


def web_ui(settings: Light | Full) -> WebUi | None:
    """The web app that the settings name, if they name one."""
    if settings.ui is None:
        return None
    return WebUi(settings.ui.folder, settings.ui.prefix, settings.ui.config, settings.public_url)


def secret_of(settings: Light | Full) -> str:
    """The secret that is set, or for the light flavor the one in its data directory."""
    if settings.secret is not None:
        return settings.secret
    assert isinstance(settings, Light), "settings of the full flavor always have a secret"
    from happy.adapters.light.secret import master_secret

    return master_secret(settings.data_dir)


@asynccontextmanager
async def background(activity: Activity, pairing: PairingService) -> AsyncIterator[None]:
    """The jobs of contract 05 section 5; they stop before anything they use is closed."""
    jobs = [
        repeat("write down heartbeats", 5, activity.flush),
        repeat("forget heartbeats", 300, activity.purge),
        repeat("end silent sessions", 60, activity.expire, at_once=True),
        repeat("forget linking requests", 3600, pairing.sweep),
    ]
    tasks = [asyncio.get_running_loop().create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def dispatch(engine: Engine, http: ASGIApp) -> ASGIApp:
    """The realtime path goes to the engine, every other request to HTTP."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == REALTIME_PATH:
            await engine(scope, receive, send)
        elif scope["type"] == "http":
            await http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": NORMAL_CLOSURE})

    return app


def system_clock() -> Millis:
    return Millis(time.time_ns() // 1_000_000)
