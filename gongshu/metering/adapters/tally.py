"""Counts what a segment holds, contract by contract, while it is written or read."""

from datetime import UTC, datetime, timedelta

from gongshu.base.days import local_day, start_of_day
from gongshu.base.ids import ContractId
from gongshu.metering.types import ANSWERED, ContractTally, ResultCode, StoredRecord


class DayOf:
    """The day in China of a moment, quick for moments that come in order."""

    def __init__(self) -> None:
        """Start with no day known."""
        self._start = self._end = datetime(2000, 1, 1, tzinfo=UTC)
        self._day = ""

    def __call__(self, moment: datetime) -> str:
        """Return the day as ``2026-11-20``."""
        if not self._start <= moment < self._end:
            day = local_day(moment)
            self._start = start_of_day(day)  # in UTC, as moments are: comparing across zones is slow
            self._end = self._start + timedelta(days=1)
            self._day = day.isoformat()
        return self._day


class _Count:
    """Running counts of one contract under one digest."""

    __slots__ = ("answered_by_day", "by_result", "charged", "first_at", "last_at")

    def __init__(self, at: datetime) -> None:
        self.charged = 0
        self.by_result: dict[ResultCode, int] = {}
        self.answered_by_day: dict[str, int] = {}
        self.first_at = self.last_at = at


class Tally:
    """Counts by contract and result, first and last time; never what was asked or answered."""

    def __init__(self) -> None:
        """Start with nothing counted."""
        self.records = 0
        self._counts: dict[tuple[ContractId, str], _Count] = {}
        self._day_of = DayOf()

    def add(self, record: StoredRecord, day: str = "") -> None:
        """Count one record; ``day`` is its day in China, if the caller knows it."""
        self.records += 1
        key, at, result = (record.contract, record.contract_digest), record.at, record.result
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(at)
        elif at > count.last_at:
            count.last_at = at
        elif at < count.first_at:
            count.first_at = at
        count.charged += record.is_charged
        count.by_result[result] = count.by_result.get(result, 0) + 1
        if result in ANSWERED:
            day = day or self._day_of(at)
            count.answered_by_day[day] = count.answered_by_day.get(day, 0) + 1

    @property
    def first_at(self) -> datetime | None:
        """The earliest time counted."""
        return min((count.first_at for count in self._counts.values()), default=None)

    @property
    def last_at(self) -> datetime | None:
        """The latest time counted."""
        return max((count.last_at for count in self._counts.values()), default=None)

    def contracts(self) -> tuple[ContractTally, ...]:
        """Return the counts of each contract, by contract."""
        return tuple(
            ContractTally(
                contract=contract, contract_digest=digest, charged=count.charged,
                by_result={result.value: number for result, number in sorted(count.by_result.items())},
                answered_by_day=dict(sorted(count.answered_by_day.items())),
                first_at=count.first_at, last_at=count.last_at,
            )
            for (contract, digest), count in sorted(self._counts.items())
        )  # fmt: skip
