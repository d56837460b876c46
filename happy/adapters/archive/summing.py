"""What a manifest says of all rows and files together: summed up by who writes one, and by who checks it."""

from collections.abc import Sequence
from typing import Any, Final

from happy.adapters.archive.format import ArchiveDamaged, Manifest
from happy.adapters.archive.rows import RowFormat
from happy.domain.amounts import counted

HIGH_WATER_MARKS: Final = {
    "updates": ("Account", "seq"),
    "feed items": ("Account", "feedSeq"),
    "messages": ("Session", "seq"),
}


class Sums:
    """How many files and bytes of files there are, and the highest of each sequence."""

    def __init__(self) -> None:
        self.files = self.file_bytes = 0
        self.highest = dict.fromkeys(HIGH_WATER_MARKS, 0)

    def add_file(self, size: int) -> None:
        self.files += 1
        self.file_bytes += size

    def add_row(self, table: RowFormat, row: Sequence[Any]) -> None:
        for sequence, (name, column) in HIGH_WATER_MARKS.items():
            if name == table.name:
                number = int(row[table.columns.index(column)])
                self.highest[sequence] = max(self.highest[sequence], number)

    def require(self, manifest: Manifest) -> None:
        """Raises ArchiveDamaged where the manifest says something else. Files that it lists count, too."""
        files = self.files + len(manifest.listed_files)
        size = self.file_bytes + sum(listed.size for listed in manifest.listed_files)
        if files != manifest.files:
            raise ArchiveDamaged(
                f"it has {counted(files, 'file')}, and the manifest counts {manifest.files:,}"
            )
        if size != manifest.file_bytes:
            counts = f"and the manifest counts {manifest.file_bytes:,}"
            raise ArchiveDamaged(f"it has {counted(size, 'byte')} of files, {counts}")
        for sequence, number in self.highest.items():
            said = manifest.high_water_marks.get(sequence, 0)
            if number != said:
                raise ArchiveDamaged(
                    f"the highest number of {sequence} is {number:,}, and the manifest says {said:,}"
                )
