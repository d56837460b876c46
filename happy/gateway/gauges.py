"""The numbers of the gateway that metrics show: connections, transports, history and the link to replicas."""

from collections import Counter
from collections.abc import Callable

from happy.gateway.engine import Server as Engine
from happy.gateway.hub import Hub
from happy.metrics import Gauges, LinkState, Series


def build_gauges(engine: Engine, hub: Hub, link_state: Callable[[], LinkState] | None) -> Gauges:
    return Gauges(
        link=link_state,
        connections=lambda: connections_by_client(hub),
        engine_open=lambda: engine.connection_count,
        engine_opened=lambda: engine.opened,
        engine_closed=lambda: engine.closed,
        refused=lambda: engine.table.refusals.counts,
        history_bytes=lambda: 0 if hub.recovery is None else hub.recovery.history_bytes,
    )


def connections_by_client(hub: Hub) -> Series:
    """The open connections with labels of a bounded number."""
    counts: Counter[tuple[str, ...]] = Counter()
    for (scope, client), count in hub.count_connections().items():
        counts[f"{scope}-scoped", *hub.report.metrics.client(client)] += count
    return counts.items()
