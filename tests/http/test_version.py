"""Whether the app is up to date (protocol: http#post-v1version)"""

from typing import Any

import pytest

from tests.support.api_client import ApiClient

IOS = "https://apps.apple.com/us/app/happy-claude-code-client/id6748571505"
ANDROID = "https://play.google.com/store/apps/details?id=com.ex3ndr.happy"


async def advice(anonymous: ApiClient, platform: str, version: str) -> Any:
    body = {"platform": platform, "version": version, "app_id": "x"}
    answer = await anonymous.post("/v1/version", body)
    assert {"updateUrl"} == set(answer)
    return answer["updateUrl"]


@pytest.mark.parametrize(
    "version", ["1.4.1", "1.4.2", "1.10.0", "2.0.0", "v1.4.1", " 1.5.0\n", "1.4.1+build.7"]
)
@pytest.mark.parametrize("platform", ["ios", "android"])
async def test_a_recent_version_needs_no_update(anonymous: ApiClient, platform: str, version: str) -> None:
    assert await advice(anonymous, platform, version) is None


@pytest.mark.parametrize(
    "version",
    [
        "1.4.0",
        "0.9.9",
        "1.5",
        "1.5.0-beta.1",
        "=1.5.0",
        "",
        "1.05.0",
        "1.5.0.0",
        "x",
        "1.5.0+",
        "9" * 5000 + ".0.0",
    ],
)
async def test_an_old_version_a_prerelease_and_no_version_at_all_need_one(
    anonymous: ApiClient, version: str
) -> None:
    assert IOS == await advice(anonymous, "iOS", version)
    assert ANDROID == await advice(anonymous, "ANDROID", version)


async def test_other_platforms_have_no_store(anonymous: ApiClient) -> None:
    assert [None, None] == [await advice(anonymous, platform, "0.1.0") for platform in ("web", "")]


@pytest.mark.parametrize("missing", ["platform", "version", "app_id"])
async def test_every_field_is_required(anonymous: ApiClient, missing: str) -> None:
    body = {"platform": "ios", "version": "1.0.0", "app_id": "x"}
    del body[missing]

    await anonymous.post("/v1/version", body, expect=400)
