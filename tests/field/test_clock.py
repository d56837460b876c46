"""A machine whose clock is wrong, as one without a battery after a power cut."""

import httpx

from happy import crypto
from tests.e2e.conftest import Account
from tests.support.environments import SECRET
from tests.support.server_process import Server

YEAR = 365 * 24 * 3_600_000


async def test_a_server_that_starts_with_its_clock_behind_signs_nobody_out(
    account: Account, server: Server
) -> None:
    """Seen from such a server, everybody's token is from the future."""
    tokens = crypto.derive(SECRET).tokens
    claims = tokens.verify(str(account.api.token), 0)
    assert claims is not None
    token = tokens.issue(claims.account_id, 4_000_000_000_000 + YEAR)

    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        answer = await client.get(
            f"{server.url}/v1/account/profile", headers={"Authorization": f"Bearer {token}"}
        )

    assert (200, claims.account_id) == (answer.status_code, answer.json()["id"])
    assert "accepted a token of ours from the future: is the clock" in server.log_text()
    assert token not in server.log_text()
