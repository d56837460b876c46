"""Is the app up to date? (protocol: http#post-v1version)"""

import re

from litestar.params import JSONBody
from msgspec import Struct

from happy.http.framework.endpoint import Endpoint

OLDEST = (1, 4, 1)
STORES = {
    "ios": "https://apps.apple.com/us/app/happy-claude-code-client/id6748571505",
    "android": "https://play.google.com/store/apps/details?id=com.ex3ndr.happy",
}

_NUMBER = r"(0|[1-9][0-9]{0,15})"
RELEASE = re.compile(rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?")


class InstalledVersion(Struct):
    platform: str
    version: str
    app_id: str


class UpdateAdvice(Struct, rename="camel"):
    update_url: str | None


def version_endpoints() -> list[Endpoint]:
    return [Endpoint("POST", "/v1/version", advise, public=True)]


async def advise(data: JSONBody[InstalledVersion]) -> UpdateAdvice:
    """Where to update the app, null if it is up to date."""
    return UpdateAdvice(None if current(data.version) else STORES.get(data.platform.lower()))


def current(version: str) -> bool:
    """Pre-releases, and texts that are no version, count as outdated."""
    match = RELEASE.fullmatch(version.strip())
    return match is not None and tuple(map(int, match.groups())) >= OLDEST
