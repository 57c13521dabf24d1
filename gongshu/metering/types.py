"""Usage records and segments."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId, KeyId, ProductId


class ResultCode(StrEnum):
    """The business result of a call. Separate from the decision whether to charge."""

    MATCH = "match"
    MISMATCH = "mismatch"
    NO_RECORD = "no_record"
    REFUSED = "refused"
    ERROR = "error"


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
