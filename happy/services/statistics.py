"""What the operator sees of the size of a server, at a cost that hardly grows with it."""

from datetime import UTC, datetime

from happy.domain.ids import first_id_of
from happy.domain.ports.clock import Clock
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.repositories.statistics import MeasuredTable
from happy.domain.ports.store import Store
from happy.domain.progress import Progress, Step
from happy.domain.statistics import EXACT_ROWS, Day, Files, LargestAccount, Summary, TableSize
from happy.domain.values import HOUR, Millis

DAYS = 7
DAY = 24 * HOUR
COUNTED_A_DAY = 1_000_000
FEW_SESSIONS = 100_000
"""Up to this number all sessions are read to find the largest accounts, by default."""

SHOWN_ACCOUNTS = 10


class Statistics:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def summary(self, files: FileStore | None, progress: Progress) -> Summary:
        """With `files`, also what takes long: the files, and the largest accounts of many sessions."""
        tables = [_size(table) for table in await self._store.read(lambda tx: tx.statistics.tables())]
        sessions = next(table.rows for table in tables if table.table == "Session")
        read_all = files is not None or sessions <= FEW_SESSIONS
        return Summary(
            database_bytes=await self._store.read(lambda tx: tx.statistics.database_bytes()),
            active=await self._store.read(lambda tx: tx.statistics.active()),
            tables=tables,
            messages_per_day=[await self._day(number) for number in range(DAYS)],
            largest_accounts=await self._largest() if read_all else None,
            files=None if files is None else await _measure(files, progress),
        )

    async def _day(self, number: int) -> Day:
        """So many days ago, in UTC."""
        begin = Millis((self._clock() // DAY - number) * DAY)
        first, end = first_id_of(begin), first_id_of(Millis(begin + DAY))
        found = await self._store.read(
            lambda tx: tx.statistics.messages_between(first, end, COUNTED_A_DAY + 1)
        )
        day = f"{datetime.fromtimestamp(begin / 1000, UTC):%Y-%m-%d}"
        return Day(day, min(found, COUNTED_A_DAY), estimated=found > COUNTED_A_DAY)

    async def _largest(self) -> list[LargestAccount]:
        return await self._store.read(lambda tx: tx.statistics.largest_accounts(SHOWN_ACCOUNTS))


def _size(table: MeasuredTable) -> TableSize:
    size = table.rows * (table.row_bytes or 0) if table.bytes is None else table.bytes
    return TableSize(table.table, table.rows, table.rows > EXACT_ROWS, size)


async def _measure(files: FileStore, progress: Progress) -> Files:
    count = size = 0
    async for item in files.list_all():
        count, size = count + 1, size + item.size
        progress(Step("looking at files", count, unit="file"))
    return Files(count, size)
