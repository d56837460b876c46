"""The HTTP application: every endpoint, and what each of them is built from."""

from collections.abc import Callable
from dataclasses import dataclass, field

from litestar import Litestar

from happy.domain.ports.filestore import FileStore
from happy.http.docs.endpoints import DocsEndpoints
from happy.http.endpoints.access_keys import AccessKeyEndpoints
from happy.http.endpoints.accounts import AccountEndpoints
from happy.http.endpoints.artifacts import ArtifactEndpoints
from happy.http.endpoints.attachments import AttachmentEndpoints
from happy.http.endpoints.developer_log import DeveloperLogEndpoints
from happy.http.endpoints.feed import FeedEndpoints
from happy.http.endpoints.files import FileEndpoints
from happy.http.endpoints.github import GithubEndpoints
from happy.http.endpoints.health import HealthEndpoints
from happy.http.endpoints.invites import InviteEndpoints
from happy.http.endpoints.kv import KvEndpoints
from happy.http.endpoints.machines import MachineEndpoints
from happy.http.endpoints.messages import MessageEndpoints
from happy.http.endpoints.pairing import PairingEndpoints
from happy.http.endpoints.push import PushEndpoints
from happy.http.endpoints.push_tokens import PushTokenEndpoints
from happy.http.endpoints.sessions import SessionEndpoints
from happy.http.endpoints.social import SocialEndpoints
from happy.http.endpoints.usage import UsageEndpoints
from happy.http.endpoints.vendor_tokens import VendorTokenEndpoints
from happy.http.endpoints.version import version_endpoints
from happy.http.endpoints.voice import VoiceEndpoints
from happy.http.framework.admission import Admission
from happy.http.framework.asgi import ASGIApp
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.pipeline import Pipeline
from happy.http.framework.requests import ApiRequest
from happy.http.web_app import WebApp
from happy.metrics import LinkState, Metrics
from happy.services.access_keys import AccessKeyService
from happy.services.accounts import AccountService
from happy.services.announcements import Announcements
from happy.services.artifacts import ArtifactService
from happy.services.attachments import AttachmentService
from happy.services.client_addresses import ClientAddresses
from happy.services.deletions import Deletions
from happy.services.developer_log import DeveloperLog
from happy.services.feed import FeedService
from happy.services.github import GithubService, GithubWebhook
from happy.services.identity import IdentityService
from happy.services.invites import InviteService
from happy.services.kv import KvService
from happy.services.large_work import LargeWork
from happy.services.machines import MachineService
from happy.services.messages import MessageService
from happy.services.pairing import PairingService
from happy.services.push import PushService
from happy.services.quotas import QuotaService
from happy.services.rate_limit import RateLimits
from happy.services.readiness import Readiness
from happy.services.registration import Registration
from happy.services.sessions import SessionService
from happy.services.social import SocialService
from happy.services.usage import UsageService
from happy.services.vendor_tokens import VendorTokenService
from happy.services.voice import VoiceService


@dataclass(frozen=True, slots=True)
class Services:
    """What the endpoints call, and the background jobs.

    `link_state` is None without a cluster, `files` when an object store serves them to clients,
    `developer_log` when clients may not write one.
    """

    identity: IdentityService
    pairing: PairingService
    registration: Registration
    invites: InviteService
    sessions: SessionService
    messages: MessageService
    machines: MachineService
    accounts: AccountService
    artifacts: ArtifactService
    access_keys: AccessKeyService
    kv: KvService
    usage: UsageService
    social: SocialService
    feed: FeedService
    attachments: AttachmentService
    push: PushService
    github: GithubService
    github_webhook: GithubWebhook
    vendor_tokens: VendorTokenService
    voice: VoiceService
    deletions: Deletions
    announcements: Announcements
    readiness: Readiness
    link_state: Callable[[], LinkState] | None
    files: FileStore | None
    developer_log: DeveloperLog | None
    limits: RateLimits
    quotas: QuotaService
    large_work: LargeWork = field(default_factory=LargeWork)


def build_app(
    services: Services,
    addresses: ClientAddresses | None = None,
    ui: WebApp | None = None,
    metrics: Metrics | None = None,
    *,
    docs: bool = True,
    leaving: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The application for `http` scopes. `addresses` knows whose requests proxies pass on.

    While `leaving()` is true (shutdown), responses carry `Connection: close`.
    """
    addresses = addresses or ClientAddresses()
    declared = endpoints(services, addresses, ui)
    handlers = [*declared, *(DocsEndpoints(declared).endpoints() if docs else ())]
    litestar = Litestar(handlers, request_class=ApiRequest, openapi_config=None, logging_config=None)
    admission = Admission(services.identity, addresses, services.limits)
    return Pipeline(litestar, admission, ui, metrics or Metrics(), leaving, services.large_work)


def endpoints(services: Services, addresses: ClientAddresses, ui: WebApp | None = None) -> list[Endpoint]:
    return [
        *PairingEndpoints(services.pairing).endpoints(),
        *InviteEndpoints(services.invites, addresses).endpoints(),
        *SessionEndpoints(services.sessions).endpoints(),
        *MessageEndpoints(services.messages, services.limits.messages).endpoints(),
        *AttachmentEndpoints(services.attachments, addresses).endpoints(),
        *MachineEndpoints(services.machines).endpoints(),
        *AccountEndpoints(services.accounts).endpoints(),
        *ArtifactEndpoints(services.artifacts).endpoints(),
        *AccessKeyEndpoints(services.access_keys).endpoints(),
        *KvEndpoints(services.kv).endpoints(),
        *UsageEndpoints(services.usage).endpoints(),
        *SocialEndpoints(services.social).endpoints(),
        *FeedEndpoints(services.feed).endpoints(),
        *PushTokenEndpoints(services.accounts).endpoints(),
        *PushEndpoints(services.push).endpoints(),
        *GithubEndpoints(services.github, services.github_webhook, ui).endpoints(),
        *VendorTokenEndpoints(services.vendor_tokens).endpoints(),
        *VoiceEndpoints(services.voice).endpoints(),
        *version_endpoints(),
        *HealthEndpoints(services.readiness, services.link_state).endpoints(),
        *(FileEndpoints(services.files).endpoints() if services.files else ()),
        *(DeveloperLogEndpoints(services.developer_log).endpoints() if services.developer_log else ()),
    ]
