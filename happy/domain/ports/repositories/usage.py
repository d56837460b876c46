"""Reports of tokens and cost, and their sums."""

from typing import Protocol

from happy.domain.usage import SavedReport, UsagePortion, UsageRange, UsageReport
from happy.domain.values import AccountId, Millis


class UsageRepository(Protocol):
    async def save(
        self, account_id: AccountId, report_id: str, report: UsageReport, now: Millis
    ) -> SavedReport:
        """Store the report; it replaces the one with the same session and key."""
        ...

    async def portion(self, account_id: AccountId, wanted: UsageRange) -> UsagePortion:
        """Sums of the next reports of the range, in the order of their creation.

        Figures of documents that are too large for any client are passed over, their reports are counted.
        """
        ...
