"""Where people find themselves after they have been to GitHub."""

from pathlib import Path

import httpx
import pytest

from tests.support.environments import Environment
from tests.support.server_thread import run_server

FAILED = "/v1/connect/github/callback?code=c&state=s"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "http://happy.home:3005/?error=invalid_state"),
        ({"HAPPY_SERVER_UI_PREFIX": "/app"}, "http://happy.home:3005/app/?error=invalid_state"),
        ({"PUBLIC_URL": "https://a.org/happy"}, "https://a.org/happy/?error=invalid_state"),
        ({"HAPPY_APP_URL": "https://mine.example.org"}, "https://mine.example.org?error=invalid_state"),
    ],
)
def test_github_led_people_to_the_public_app_instead_of_their_own(
    environment: Environment, tmp_path: Path, variables: dict[str, str], expected: str
) -> None:
    (tmp_path / "index.html").write_text("<html></html>")
    chosen = {"HAPPY_SERVER_UI_DIR": str(tmp_path), **variables}
    with run_server(environment, chosen) as server:
        answer = httpx.get(server.url + FAILED, headers={"Host": "happy.home:3005"}, trust_env=False)

    assert (302, expected) == (answer.status_code, answer.headers["location"])
