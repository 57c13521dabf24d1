"""Usage records and segments."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, KeyId, ProductId


class ResultCode(StrEnum):
    """The business result of a call. Separate from the decision whether to charge."""

    MATCH = "match"
    MISMATCH = "mismatch"
    NO_RECORD = "no_record"
    SERVED = "served"  # answer given, by kinds that neither match nor miss
    REFUSED = "refused"
    ERROR = "error"


ANSWERED = frozenset({ResultCode.MATCH, ResultCode.MISMATCH, ResultCode.NO_RECORD, ResultCode.SERVED})
"""Results that count towards a contract's limits, whether charged or not."""


@dataclass(frozen=True)
class UsageRecord:
    """One answered call. ``position`` is ``<segment>:<offset>``; request bodies and answers are not here."""

    position: str
    at: datetime
    request_id: str
    request_digest: str  # keyed digest of the canonical request, so that a request id cannot be reused for another
    contract: ContractId
    contract_digest: str
    product: ProductId
    key: KeyId
    snapshot: int
    result: ResultCode
    refusal_code: str
    is_charged: bool


class StoredRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A usage record as it is stored: without its position, which is where it lies. Fields are only ever added."""

    at: datetime
    request_id: str
    request_digest: str
    contract: ContractId
    contract_digest: str
    product: ProductId
    key: KeyId
    snapshot: int
    result: ResultCode
    refusal_code: str
    is_charged: bool


@dataclass(frozen=True)
class SealedSegment:
    """A finished segment: its file, digest and counts; never written again."""

    id: str
    gateway: str
    sha256: str
    records: int
    first_at: datetime | None
    last_at: datetime | None
    sealed_at: datetime

    @property
    def ref(self) -> Ref:
        """This segment, bound to its bytes."""
        return Ref("segment", self.id, self.sha256)


@dataclass(frozen=True)
class UsageCount:
    """Records of one contract in one segment, by result."""

    contract: ContractId
    segment: Ref
    charged: int
    by_result: dict[str, int]


@dataclass(frozen=True)
class ContractTally:
    """What one segment holds of one contract. ``answered_by_day`` is by day in China, ``2026-11-20``."""

    contract: ContractId
    contract_digest: str
    charged: int
    by_result: dict[str, int]
    answered_by_day: dict[str, int]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True)
class Cut:
    """A torn tail found after a crash: everything from ``offset`` on was no whole record and was set aside."""

    offset: int
    bytes: int


@dataclass(frozen=True)
class SegmentSeal:
    """What stands beside a sealed segment's file, so that a restart need not read every record again.

    ``month`` is the one month of China time that the segment belongs to, ``2026-11``.
    """

    segment: SealedSegment
    month: str
    bytes: int
    tallies: tuple[ContractTally, ...]
    cut: Cut | None = None


@dataclass(frozen=True)
class CollectedCount:
    """A count as it stands in the control database; exact for any period that holds ``first_at`` to ``last_at``."""

    usage: UsageCount
    month: str
    first_at: datetime
    last_at: datetime

    @property
    def id(self) -> str:
        """One count per segment and contract."""
        return f"{self.usage.segment.id}/{self.usage.contract}"


@dataclass(frozen=True)
class UsageTable:
    """The Parquet table of a collected segment, by the SHA-256 of its file. ``id`` is that of the segment."""

    id: str
    sha256: str
    month: str


@dataclass(frozen=True)
class SegmentFault:
    """A sealed segment whose file no longer says what its seal says. Reported once for each digest seen."""

    segment: str
    sha256_seen: str
    found_at: datetime

    @property
    def id(self) -> str:
        """One fault per segment and digest seen."""
        return f"{self.segment}/{self.sha256_seen[:16]}"


@dataclass(frozen=True)
class ContractUse:
    """How often a contract was answered so far, in all and by day in China."""

    total: int
    by_day: dict[str, int]


class HandedUse(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """How often a contract was answered by one gateway, as it tells another: in all, and on the last days."""

    contract: ContractId
    total: int
    by_day: dict[str, int]


class HandedRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A recent record of one gateway, as it tells another: a repeated request id is then answered from it."""

    position: str
    record: StoredRecord


class MeterUnavailable(Exception):  # noqa: N818 - not an error of the program: the disk is full, or too many wait
    """A record could not be made durable, so no answer may leave. ``code`` says why: ``disk-full``, ``busy``, …"""

    def __init__(self, code: str) -> None:
        """Keep the code."""
        super().__init__(code)
        self.code = code
