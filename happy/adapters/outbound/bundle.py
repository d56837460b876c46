"""The adapters to services of other companies, as far as they are configured."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from happy.adapters.outbound.avatars import WebAvatars
from happy.adapters.outbound.elevenlabs import ElevenLabs
from happy.adapters.outbound.expo import ExpoPush
from happy.adapters.outbound.github import GithubClient
from happy.adapters.outbound.http_client import HttpClient
from happy.adapters.outbound.revenuecat import RevenueCat
from happy.domain.github import GithubApp
from happy.domain.ports.outbound import AvatarSource, Github, PushSender, Subscriptions, Voice
from happy.settings import OutboundSettings


@dataclass(frozen=True, slots=True)
class Outbound:
    """`voice` and `subscriptions` are None without an API key."""

    push: PushSender
    github: Github
    github_app: GithubApp
    avatars: AvatarSource
    voice: Voice | None
    subscriptions: Subscriptions | None
    require_subscription: bool


@asynccontextmanager
async def open_outbound(settings: OutboundSettings) -> AsyncIterator[Outbound]:
    web = HttpClient()
    try:
        yield build_outbound(settings, web)
    finally:
        await web.close()


def build_outbound(settings: OutboundSettings, web: HttpClient) -> Outbound:
    """Nothing is connected before the first request."""
    github, voice = settings.github, settings.voice
    app = GithubApp(
        client_id=github.client_id,
        client_secret=github.client_secret,
        redirect_url=github.redirect_url,
        webhook_secret=github.webhook_secret,
        return_url=github.return_url,
    )
    subscriptions: Subscriptions | None = None
    if voice.revenuecat_key:
        subscriptions = RevenueCat(web, voice.revenuecat_url, voice.revenuecat_key, voice.revenuecat_project)
    return Outbound(
        push=ExpoPush(web, settings.expo_url),
        github=GithubClient(web, app, github.url, github.api_url),
        github_app=app,
        avatars=WebAvatars(web, allow_private=settings.private_avatars),
        voice=ElevenLabs(web, voice.elevenlabs_url, voice.elevenlabs_key) if voice.elevenlabs_key else None,
        subscriptions=subscriptions,
        require_subscription=voice.require_subscription,
    )
