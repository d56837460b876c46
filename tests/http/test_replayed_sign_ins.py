"""A sign-in that somebody has read on its way and sends again, at another replica where there is one."""

from nacl.signing import SigningKey

from tests.http.restricted import FRIEND, STRANGER, servers
from tests.support.api_client import sign_in_body
from tests.support.environments import Environment


async def test_a_sign_in_is_of_no_use_to_whoever_read_it(environment: Environment) -> None:
    key = SigningKey.generate()
    body = sign_in_body(key)
    with servers(environment, "open") as server:
        first = await server.post("/v1/auth", FRIEND, json=body, replica=0)
        stolen = [await server.post("/v1/auth", STRANGER, json=body, replica=each) for each in (0, -1)]
        repeated = [await server.post("/v1/auth", FRIEND, json=body, replica=each) for each in (0, -1)]
        travelled = await server.post("/v1/auth", STRANGER, json=sign_in_body(key))

    refusal = {"error": "Sign-in was used before, from another address"}
    assert [(401, refusal)] * 2 == [(answer.status_code, answer.json()) for answer in stolen]
    assert [200] * 4 == [answer.status_code for answer in (first, *repeated, travelled)]
