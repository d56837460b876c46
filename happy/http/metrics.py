"""The metrics port: Prometheus text and a liveness check.

protocol: http#infrastructure-endpoints, operations#metrics
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct, UnsetType

from happy.http.endpoints.health import now
from happy.http.framework.asgi import ASGIApp, Receive, Scope, Send
from happy.http.framework.errors import RefusalBody
from happy.http.framework.responses import Response, json_response
from happy.metrics import BackupState, Counter, Gauges, Histogram, Metrics, Total

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

APP = "happy-server"
ROWS_HELP = "Rows by table: exact up to 10,000, estimated above"
PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class LastBackup(Struct, frozen=True, rename="camel"):
    """The last backup that a server made by itself; times are Unix milliseconds."""

    made_at: int | None
    bytes: int
    milliseconds: int
    failures: int
    last_error: str
    overdue: bool


class Alive(Struct):
    timestamp: str
    status: str = "ok"
    backup: LastBackup | UnsetType = UNSET
    """Only where backups are configured. The port is private, so it may say why one failed."""


def build_metrics_app(metrics: Metrics, gauges: Gauges) -> ASGIApp:
    """The application of the metrics port; it requires no credentials, so the port must not be public."""
    rendering = asyncio.Lock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in {"GET", "HEAD"} and scope["path"] == "/metrics":
            async with rendering:  # in a thread, so that nobody waits for it but who scrapes
                text = await asyncio.to_thread(render, Collector(metrics, gauges.snapshot()))
            response = Response(200, text, PROMETHEUS_TEXT)
        elif scope["method"] in {"GET", "HEAD"} and scope["path"] == "/health":
            response = json_response(200, Alive(now(), backup=_last_backup(metrics.backups)))
        else:
            problem = f"Route {scope['method']}:{scope['path']} not found"
            response = json_response(404, RefusalBody("Not Found", problem, 404))
        await response(scope, receive, send)

    return app


def _last_backup(state: BackupState) -> LastBackup | UnsetType:
    if state.target is None:
        return UNSET
    return LastBackup(
        made_at=state.made_at,
        bytes=state.bytes,
        milliseconds=state.milliseconds,
        failures=state.failures,
        last_error=state.last_error,
        overdue=state.overdue,
    )


def render(collector: "Collector") -> bytes:
    """The library is imported on the first scrape: most small servers are never scraped."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


class Collector:
    """Collects the metrics for the library. Every sample carries the name of the application.

    It runs in a thread while counting goes on, so it iterates over copies.
    """

    def __init__(self, metrics: Metrics, gauges: Gauges) -> None:
        self._metrics = metrics
        self._gauges = gauges

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        connections = GaugeMetricFamily(
            "websocket_connections_total",
            "Open realtime connections",
            labels=("app", "type", "client", "client_type"),
        )
        for labels, value in self._gauges.connections():
            connections.add_metric((APP, *labels), value)
        yield connections
        records = GaugeMetricFamily("database_records_total", ROWS_HELP, labels=("app", "table"))
        for table, count in self._metrics.records.items():
            records.add_metric((APP, table), count)
        yield records
        yield from self._engine()
        yield from self._link()
        yield from self._backups()
        for measured in vars(self._metrics).values():
            if isinstance(measured, Counter | Total):
                yield _counter(measured)
            elif isinstance(measured, Histogram):
                yield _histogram(measured)

    def _engine(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        gauges = self._gauges
        for name, text, value in (
            ("realtime_transports_open", "Open transports of realtime connections", gauges.engine_open()),
            ("realtime_history_bytes", "Updates kept for connection state recovery", gauges.history_bytes()),
        ):
            family = GaugeMetricFamily(name, text, labels=("app",))
            family.add_metric((APP,), value)
            yield family
        for name, label, counts in (
            ("realtime_transports_opened", "transport", gauges.engine_opened()),
            ("realtime_transports_closed", "reason", gauges.engine_closed()),
            ("peers_refused", "kind", gauges.refused()),
        ):
            counter = CounterMetricFamily(name, _help(name), labels=("app", label))
            for value_of_label, count in counts.items():
                counter.add_metric((APP, value_of_label), count)
            yield counter

    def _backups(self) -> Iterator["Metric"]:
        """Only where backups are configured. Without any the timestamp is 0: long ago, for alerts."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        state = self._metrics.backups
        if state.target is None:
            return
        for name, text, value in (
            (
                "backup_last_success_timestamp_seconds",
                "When the last backup was begun",
                (state.made_at or 0) / 1000,
            ),
            ("backup_last_success_bytes", "Size of the last backup", state.bytes),
            (
                "backup_last_success_duration_seconds",
                "How long the last backup took",
                state.milliseconds / 1000,
            ),
        ):
            gauge = GaugeMetricFamily(name, text, labels=("app",))
            gauge.add_metric((APP,), value)
            yield gauge
        failures = CounterMetricFamily(
            "backup_failures", "Backups of this replica that failed", labels=("app",)
        )
        failures.add_metric((APP,), state.failures)
        yield failures

    def _link(self) -> Iterator["Metric"]:
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

        if self._gauges.link is None:
            return
        state = self._gauges.link()
        for name, text, value in (
            (
                "redis_stream_lag_ms",
                "Age of the oldest command Redis has not confirmed; during an outage, its duration",
                state.lag_seconds * 1000,
            ),
            ("redis_link_up", "Whether events cross replicas", float(state.up)),
        ):
            gauge = GaugeMetricFamily(name, text, labels=("app",))
            gauge.add_metric((APP,), value)
            yield gauge
        breaks = CounterMetricFamily("redis_link_breaks", "Connection losses to Redis", labels=("app",))
        breaks.add_metric((APP,), state.breaks)
        yield breaks


def _counter(counter: Counter | Total) -> "Metric":
    from prometheus_client.metrics_core import CounterMetricFamily

    family = CounterMetricFamily(counter.name, _help(counter.name), labels=("app", *counter.labels))
    for labels, value in list(counter.values.items()):
        family.add_metric((APP, *labels), value)
    if not counter.labels and not counter.values:
        family.add_metric((APP,), 0)
    return family


def _histogram(histogram: Histogram) -> "Metric":
    from prometheus_client.metrics_core import HistogramMetricFamily

    family = HistogramMetricFamily(histogram.name, _help(histogram.name), labels=("app", *histogram.labels))
    bounds: list[Any] = [*map(str, histogram.buckets), "+Inf"]
    for labels, observed in list(histogram.values.items()):
        reached = 0
        buckets = []
        for bound, count in zip(bounds, observed.counts, strict=True):
            reached += count
            buckets.append((bound, reached))
        family.add_metric((APP, *labels), buckets, observed.total)
    return family


def _help(name: str) -> str:
    return name.replace("_", " ").capitalize()
