"""The metrics port (protocol: operations#metrics, http#infrastructure-endpoints)."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from nacl.signing import SigningKey

from happy.http.metrics import Collector, render
from happy.metrics import Bounded, Gauges, Metrics
from tests.support.api_client import ApiClient, sign_in_body
from tests.support.environments import OpenEnvironment
from tests.support.server_process import free_port
from tests.support.server_thread import RunningServer, run_server


@pytest.fixture(scope="module")
def server(open_environment: OpenEnvironment) -> Iterator[RunningServer]:
    variables = {"METRICS_ENABLED": "true", "METRICS_PORT": str(free_port())}
    with open_environment() as environment, run_server(environment, variables) as running:
        yield running


@pytest.fixture
async def scrape(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    url = f"http://127.0.0.1:{server.settings.metrics_port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=False) as client:
        yield client


def sample(text: str, name: str, **labels: str) -> float:
    """The value of one series; 0 when it is not there."""
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found and {'app="happy-server"', *(f'{key}="{value}"' for key, value in labels.items())} <= set(
            found[1].split(",")
        ):
            return float(found[2])
    return 0


async def test_requests_are_counted_by_template_and_client(api: ApiClient, scrape: httpx.AsyncClient) -> None:
    client = "cli-daemon/1.2.5"
    labels = {"method": "GET", "route": "/v1/kv/:key", "status": "404", "client": client}
    before = sample((await scrape.get("/metrics")).text, "http_requests_total", **labels)

    await api.request("GET", "/v1/kv/some-key", headers={"X-Happy-Client": client})

    answer = await scrape.get("/metrics")
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    assert before + 1 == sample(answer.text, "http_requests_total", **labels)
    assert before + 1 == sample(
        answer.text, "http_request_duration_seconds_bucket", **labels, client_type="cli-daemon", le="+Inf"
    )


async def test_unknown_paths_and_odd_clients_made_a_series_each(
    api: ApiClient, scrape: httpx.AsyncClient
) -> None:
    for number in range(20):
        await api.request("GET", f"/probe/{number}", headers={"X-Happy-Client": f"<{number}>"})

    text = (await scrape.get("/metrics")).text

    assert "/probe" not in text
    assert "<" not in text
    assert 20 <= sample(text, "http_requests_total", route="unknown", status="404", client="unknown")


async def test_connections_events_and_calls_are_counted(api: ApiClient, scrape: httpx.AsyncClient) -> None:
    machine = (await api.register_machine())["id"]
    async with (
        api.machine_socket(machine, happy_client="cli-daemon/9.9.9") as daemon,
        api.user_socket() as phone,
    ):
        await daemon.emit("rpc-register", {"method": f"{machine}:metrics-test"})
        await daemon.next_event("rpc-registered")
        daemon.answer("rpc-request", lambda _: "answer")
        await daemon.emit("machine-alive", {"machineId": machine, "time": 0})
        await phone.call("rpc-call", {"method": f"{machine}:metrics-test", "params": ""})
        await phone.call("rpc-call", {"params": ""})
        text = (await scrape.get("/metrics")).text

    client = {"client": "cli-daemon/9.9.9", "client_type": "cli-daemon"}
    assert 1 == sample(text, "websocket_connections_total", type="machine-scoped", **client)
    assert 1 == sample(text, "websocket_events_total", event_type="machine-alive", **client)
    assert 1 <= sample(text, "machine_alive_events_total")
    assert 1 == sample(text, "rpc_calls_total", method="metrics-test", result="success")
    assert 1 <= sample(text, "rpc_calls_total", method="unknown", result="invalid_params")


async def test_the_metrics_port_has_a_health_check_and_nothing_else(scrape: httpx.AsyncClient) -> None:
    assert {"status", "timestamp"} == set((await scrape.get("/health")).json())
    unknown = await scrape.get("/x")
    expected = {"message": "Route GET:/x not found", "error": "Not Found", "statusCode": 404}
    assert (404, expected) == (unknown.status_code, unknown.json())
    assert "access-control-allow-origin" not in unknown.headers


def test_only_the_first_values_become_labels() -> None:
    bounded = Bounded(2)

    assert ["a", "b", "other", "a"] == [bounded[value] for value in ("a", "b", "c", "a")]


@pytest.mark.parametrize("declared", [None, "", "web", "web/1\n", "x" * 99 + "/1", "WEB/1"])
def test_what_is_no_client_is_unknown(declared: str | None) -> None:
    assert ("unknown", "unknown") == Metrics().client(declared)


def test_only_known_clients_have_labels_of_their_own() -> None:
    metrics = Metrics()

    assert ("cli/1.2.5", "cli") == metrics.client("cli/1.2.5")
    assert ("other", "other") == metrics.client("made-up/1.0")


def test_made_up_clients_methods_and_names_leave_a_small_scrape() -> None:
    """They left one of 20 MB, which took 3.5 s."""
    metrics = Metrics()
    for number in range(10_000):
        declared = f"cli/1.{number}" if number % 2 else f"cli-{number}/1"
        route, status = f"/v1/route/{number % 70}", 400 + number % 6
        metrics.http("GET", route, status, declared, 0.001)
        metrics.events.add("message", *metrics.client(declared))
        metrics.rpc(f"machine:method-{number}", "success", 0.1)
        metrics.rpc_waited(f"machine:method-{number}", 1)

    text = render(Collector(metrics, Gauges()))

    assert len(text) < 2_500_000
    assert 10_000 == sum(metrics.http_requests.values.values())
    assert 10_000 == sum(metrics.events.values.values())


async def test_a_scrape_reads_what_is_counted_meanwhile(api: ApiClient, scrape: httpx.AsyncClient) -> None:
    async def count() -> None:
        for number in range(40):
            await api.request("GET", f"/{number}", headers={"X-Happy-Client": f"web/{number}.0"})

    answers = await asyncio.gather(*(scrape.get("/metrics") for _ in range(20)), count())

    assert {200} == {answer.status_code for answer in answers if answer is not None}


def test_a_bucket_holds_its_own_bound() -> None:
    metrics = Metrics()

    for seconds in (0.05, 0.06, 99):
        metrics.rpc("m:bash", "success", seconds)

    observed = metrics.rpc_durations.values["bash", "success"]
    assert [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1] == observed.counts
    assert observed.total == pytest.approx(99.11)
    assert metrics.rpc_calls.values == {("bash", "success"): 3}


async def test_refused_accounts_are_counted_by_reason(open_environment: OpenEnvironment) -> None:
    port = free_port()
    variables = {
        "METRICS_ENABLED": "true",
        "METRICS_PORT": str(port),
        "HAPPY_REGISTRATION": "closed",
    }
    with open_environment() as environment, run_server(environment, variables) as server:
        async with ApiClient(server.url) as stranger, ApiClient(f"http://127.0.0.1:{port}") as scraping:
            await stranger.post("/v1/auth", sign_in_body(SigningKey.generate()), expect=403)
            text = (await scraping.request("GET", "/metrics")).text

    assert 1 == sample(text, "registrations_refused_total", reason="closed")
