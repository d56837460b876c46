"""Prints what `migrate` would do."""

from happy.cli.output import Output
from happy.domain.amounts import counted
from happy.settings import Full, Light

NOTHING = "Nothing would be done: the schema is {}."
COPY = "A copy of {} would be made first. The server must not run meanwhile."


def show(settings: Light | Full, *, as_json: bool) -> None:
    """As a table, or one JSON document. Raises StartupError."""
    from happy.adapters import migration_plan

    found = migration_plan.read(settings)
    output = Output(as_json=as_json)
    if as_json or not found.steps:
        output.done(found, NOTHING.format(found.revision))
        return
    rows = [
        {
            "SCHEMA": step.revision,
            "SECONDS": f"{step.seconds:.1f}",
            "WAITS": step.waits,
            "REWRITES": "yes" if step.rewrites else "no",
            "DOES": step.does,
            "ROWS": ", ".join(f"{table} {count:,}" for table, count in step.rows.items()) or "-",
        }
        for step in found.steps
    ]
    output.listing(found.steps, rows, nothing="")
    if found.copy_bytes:
        output.done(found, COPY.format(counted(found.copy_bytes, "byte")))
