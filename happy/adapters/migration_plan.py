"""What `migrate` would do to a database, and how long it took in the measurements on as many rows."""

import asyncio
from collections.abc import Mapping

import msgspec

from happy.settings import Full, Light
from schema.effects import MILLION, Effect
from schema.revisions import HEAD, REVISIONS


class PlannedRevision(msgspec.Struct, rename="camel"):
    """`rows` are those of the tables that it changes, `seconds` what they took when it was measured."""

    revision: str
    does: str
    waits: str
    rewrites: bool
    rows: dict[str, int]
    seconds: float


class Plan(msgspec.Struct, rename="camel"):
    """`revision` is None for a database without the schema; `copy_bytes` is the copy of a light one."""

    revision: str | None
    head: str
    copy_bytes: int
    steps: list[PlannedRevision]


def read(settings: Light | Full) -> Plan:
    """The plan for the configured database. Raises StartupError; changes nothing."""
    from schema import effects, migrate

    known = effects.known(migrate.scripts())
    tables = {table for effect in known.values() for table in effect.tables}
    if isinstance(settings, Full):
        from happy.adapters.full.postgres import schema as postgres

        revision, rows = asyncio.run(postgres.survey(settings.database_url, tables))
        return plan("full", revision, _after(known, revision), rows, 0)
    from happy.adapters.light import migration, schema

    revision, rows = schema.survey(settings.database, tables)
    size = 0 if revision is None else migration.copy_bytes(settings.database)
    return plan("light", revision, _after(known, revision), rows, size)


def _after(known: Mapping[str, Effect], revision: str | None) -> dict[str, Effect]:
    """Those that would run; none on the schema of a later version."""
    if revision is not None and revision not in REVISIONS:
        return {}
    return {name: effect for name, effect in known.items() if revision is None or name > revision}


def plan(
    flavor: str, revision: str | None, pending: Mapping[str, Effect], rows: Mapping[str, int], copy_bytes: int
) -> Plan:
    """`rows` of every table that a pending migration names."""
    steps = [
        PlannedRevision(
            revision=name,
            does=effect.does,
            waits="everybody" if flavor == "light" else effect.waits,
            rewrites=effect.rewrites,
            rows={table: rows.get(table, 0) for table in effect.tables},
            seconds=_seconds(flavor, effect, rows),
        )
        for name, effect in pending.items()
    ]
    return Plan(revision=revision, head=HEAD, copy_bytes=copy_bytes if steps else 0, steps=steps)


def _seconds(flavor: str, effect: Effect, rows: Mapping[str, int]) -> float:
    """By the largest of its tables: the measurements had equally many rows in each."""
    most = max((rows.get(table, 0) for table in effect.tables), default=0)
    measured = effect.seconds.sqlite if flavor == "light" else effect.seconds.postgresql
    return round(measured * most / MILLION, 1)
