"""Counters, histograms and gauges in memory; `happy/http/metrics.py` renders them.

protocol: operations#metrics
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, NamedTuple, TypeVar

from happy.limits import limit

V = TypeVar("V")
Labels = tuple[str, ...]
Series = Iterable[tuple[Labels, float]]

CLIENT = re.compile(r"[a-z][a-z-]{0,31}/[\w.+-]{1,32}")
UNKNOWN = "unknown"
OTHER = "other"

CLIENTS = frozenset(
    {"ios", "android", "web", "desktop", "cli-coding-session", "cli-daemon", "cli-control-plane", "cli"}
)
"""The types of clients that have labels of their own (protocol: http#client-identification)."""

MAX_VERSIONS = limit(
    32, "versions of clients with a metric label of their own", per="replica", then="counted as `other`"
)
MAX_METHODS = limit(
    32, "names of RPC methods with a metric label of their own", per="replica", then="counted as `other`"
)
MAX_SERIES = limit(
    500, "series of a metric with labels that peers choose", per="replica", then="counted as `other`"
)
CHOSEN_BY_PEERS = frozenset({"client", "client_type"})
"""Labels whose values are left out of further series when there are MAX_SERIES."""

HTTP_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
RPC_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
RETRY_BUCKETS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)


class Labelled(Generic[V]):
    """Values by combinations of labels, of which peers cannot make more than a few."""

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self.values: dict[Labels, V] = {}

    def bounded(self, labels: Labels) -> Labels:
        """These labels, or if they would be too many, `other` instead of those that peers choose."""
        if labels in self.values or len(self.values) < MAX_SERIES:
            return labels
        pairs = zip(self.labels, labels, strict=True)
        return tuple(OTHER if name in CHOSEN_BY_PEERS else value for name, value in pairs)


class Counter(Labelled[float]):
    """A monotonic number per combination of labels."""

    def add(self, *labels: str) -> None:
        value = self.values.get(labels)
        if value is None:
            labels = self.bounded(labels)
            value = self.values.get(labels, 0)
        self.values[labels] = value + 1


@dataclass(slots=True)
class Observed:
    """Values by bucket, those beyond the last one at the end, and their sum."""

    counts: list[int]
    total: float = 0.0


class Histogram(Labelled[Observed]):
    """How often a measured value lay within each bucket, per combination of labels."""

    def __init__(self, name: str, buckets: tuple[float, ...], *labels: str) -> None:
        super().__init__(name, *labels)
        self.buckets = buckets

    def observe(self, value: float, labels: Labels) -> None:
        observed = self.values.get(labels)
        if observed is None:
            labels = self.bounded(labels)
            observed = self.values.setdefault(labels, Observed([0] * (len(self.buckets) + 1)))
        observed.counts[bisect_left(self.buckets, value)] += 1
        observed.total += value


class Total:
    """How often a histogram was given a value: a counter that costs nothing of its own."""

    def __init__(self, name: str, of: Histogram) -> None:
        self.name = name
        self.labels = of.labels
        self._of = of

    @property
    def values(self) -> dict[Labels, float]:
        return {labels: sum(observed.counts) for labels, observed in list(self._of.values.items())}


class Bounded(dict[str, str]):
    """Values from outside as labels: bounded, as each uses memory; those beyond become `other`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __missing__(self, value: str) -> str:
        if len(self) >= self._limit:
            return OTHER
        self[value] = value
        return value


class LinkState(NamedTuple):
    """State of the link between this replica and the others."""

    up: bool
    lag_seconds: float
    """Age of the oldest item that was not exchanged yet."""
    breaks: int
    """Since the start."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Values that are read when metrics are rendered."""

    connections: Callable[[], Series] = tuple
    """By scope and client."""

    engine_open: Callable[[], float] = float
    """Open transports of realtime connections, unauthenticated ones included."""

    engine_opened: Callable[[], Mapping[str, int]] = dict
    """Since the start, by transport, and upgrades."""

    engine_closed: Callable[[], Mapping[str, int]] = dict
    """Since the start, by reason."""

    refused: Callable[[], Mapping[str, int]] = dict
    """What was refused to peers that exceed a limit, by kind, since the start."""

    history_bytes: Callable[[], float] = float
    """Memory of the recovery history."""

    link: Callable[[], LinkState] | None = None
    """The link to other replicas, where there can be any."""

    def snapshot(self) -> "Gauges":
        """The values as they are now, to be read in another thread."""
        link = None if self.link is None else partial(_same, self.link())
        return Gauges(
            connections=partial(_same, list(self.connections())),
            engine_open=partial(_same, self.engine_open()),
            engine_opened=partial(_same, dict(self.engine_opened())),
            engine_closed=partial(_same, dict(self.engine_closed())),
            refused=partial(_same, dict(self.refused())),
            history_bytes=partial(_same, self.history_bytes()),
            link=link,
        )


def _same(value: V) -> V:
    return value


@dataclass(slots=True)
class BackupState:
    """The backups that the server makes by itself, as this replica knows them."""

    target: str | None = None
    """None: it makes none."""

    made_at: int | None = None
    """When the last one was begun, in ms; None: there is none."""

    bytes: int = 0
    milliseconds: int = 0
    failures: int = 0
    """Since the start, of this replica."""

    last_error: str = ""
    overdue: bool = False
    """Whether the last one is older than two periods."""


class Metrics:
    def __init__(self) -> None:
        self.records: dict[str, int] = {}  # rows by table, as of the last count
        http = ("method", "route", "status", "client", "client_type")
        self.backups = BackupState()
        self.http_durations = Histogram("http_request_duration_seconds", HTTP_BUCKETS, *http)
        self.http_requests = Total("http_requests", self.http_durations)
        self.events = Counter("websocket_events", "event_type", "client", "client_type")
        self.recoveries = Counter("realtime_recoveries", "result")
        self.replays = Counter("sign_in_replays_refused")
        self.sign_ins_refused = Counter("sign_ins_refused", "reason")
        self.account_limits = Counter("account_limits_reached", "limit")
        self.quotas_exceeded = Counter("quotas_exceeded", "quota")
        self.audit = Counter("audit_entries", "actor", "action")
        self.registrations_refused = Counter("registrations_refused", "reason")
        self.not_delivered = Counter("realtime_not_delivered", "reason")
        self.session_beats = Counter("session_alive_events")
        self.machine_beats = Counter("machine_alive_events")
        self.validations = Counter("session_cache_operations", "operation", "result")
        self.rate_limited = Counter("rate_limited_requests", "kind")
        self.skipped = Counter("database_updates_skipped", "type")
        self.rpc_durations = Histogram("rpc_call_duration_seconds", RPC_BUCKETS, "method", "result")
        self.rpc_calls = Total("rpc_calls", self.rpc_durations)
        self.rpc_retries = Histogram("rpc_lookup_retries", RETRY_BUCKETS, "method")
        # Always 0, for dashboards of the protocol: look-ups that time out are failed calls here.
        self.rpc_timeouts = Counter("rpc_fetchsockets_timeouts", "context")
        self._versions = Bounded(MAX_VERSIONS)
        self._methods = Bounded(MAX_METHODS)
        self.tokens_refused = Counter("tokens_refused", "reason")

    def client(self, declared: str | None) -> tuple[str, str]:
        """The labels `client` and `client_type` of what a client calls itself."""
        if declared is None or CLIENT.fullmatch(declared) is None:
            return UNKNOWN, UNKNOWN
        kind = declared.partition("/")[0]
        return (self._versions[declared], kind) if kind in CLIENTS else (OTHER, OTHER)

    def http(self, method: str, route: str, status: int, declared: str | None, seconds: float) -> None:
        """An answered request; `route` is the template of its endpoint."""
        labels = (method, route, str(status), *self.client(declared))
        self.http_durations.observe(seconds, labels)

    def rpc(self, method: str, result: str, seconds: float) -> None:
        """A finished call. Of the method, the part behind the last colon counts."""
        name = self._methods[method.rpartition(":")[2][:64]]
        self.rpc_durations.observe(seconds, (name, result))

    def rpc_waited(self, method: str, lookups: int) -> None:
        """A call that found no registration at first, and its number of further lookups."""
        self.rpc_retries.observe(lookups, (self._methods[method.rpartition(":")[2][:64]],))

    def validation(self, kind: Literal["session", "machine"], result: str) -> None:
        self.validations.add(f"{kind}_validation", result)
