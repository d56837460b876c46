"""Responses of a server without the settings of any outside service."""

from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.api_client import ApiClient


async def test_github_sign_in_is_not_configured(api: ApiClient) -> None:
    assert {"error": "GitHub OAuth not configured"} == await api.get("/v1/connect/github/params", expect=400)


async def test_the_github_callback_reports_an_invalid_state(api: ApiClient) -> None:
    async with httpx.AsyncClient(base_url=api.url, trust_env=False, verify=False) as browser:
        response = await browser.get("/v1/connect/github/callback", params={"code": "c", "state": "s"})

    assert 302 == response.status_code
    assert "error=invalid_state" == urlsplit(response.headers["location"]).query


async def test_webhooks_are_not_configured(anonymous: ApiClient) -> None:
    headers = {"x-hub-signature-256": "sha256=00", "x-github-event": "push"}
    response = await anonymous.request("POST", "/v1/connect/github/webhook", headers=headers, json={"a": 1})

    assert (500, {"error": "Webhooks not configured"}) == (response.status_code, response.json())


@pytest.mark.parametrize(("method", "path"), [("POST", "conversations"), ("GET", "usage")])
async def test_voice_is_not_configured(api: ApiClient, method: str, path: str) -> None:
    body = {"agentId": "a"} if method == "POST" else None
    response = await api.request(method, f"/v1/voice/{path}", json=body)

    assert (500, {"error": "ELEVENLABS_API_KEY not configured"}) == (response.status_code, response.json())


async def test_unlinking_is_fine(api: ApiClient) -> None:
    assert {"success": True} == await api.delete("/v1/connect/github")
