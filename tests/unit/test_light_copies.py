"""A copy of a light database is as of one moment, goes on while others write, and says how far it is."""

import sqlite3
from contextlib import closing
from pathlib import Path

from happy.adapters.light.migration import PAGES_AT_ONCE, copy_whole
from happy.domain.progress import Step

PIECES = 3


def test_a_copy_beside_a_writer_ends_and_has_nothing_of_what_is_written_meanwhile(tmp_path: Path) -> None:
    database, copy = tmp_path / "database", tmp_path / "copy"
    steps: list[Step] = []
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        (page,) = writer.execute("PRAGMA page_size").fetchone()
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE stored (value BLOB)")
        writer.execute("INSERT INTO stored VALUES (zeroblob(?))", (PIECES * PAGES_AT_ONCE * page,))

        def write(step: Step) -> None:
            steps.append(step)
            writer.execute("INSERT INTO stored VALUES (zeroblob(1000))")

        copy_whole(database, copy, write)

    with closing(sqlite3.connect(copy)) as copied:
        assert (1,) == copied.execute("SELECT count(*) FROM stored").fetchone()
    assert PIECES + 1 == len(steps)
    assert {("copying the database", "byte")} == {(step.doing, step.unit) for step in steps}
    assert sorted(step.done for step in steps) == [step.done for step in steps]
