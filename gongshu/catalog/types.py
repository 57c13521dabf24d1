"""Resources and what is known of their columns and versions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import PartyId, ResourceId, VersionId
from gongshu.policies.types import Grade, ResourcePolicy


class DataType(StrEnum):
    """What the values of a column are, once read."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"


class Meaning(StrEnum):
    """What a column speaks of, as far as it was recognised."""

    CREDIT_CODE = "credit_code"
    ID_CARD = "id_card"
    PHONE = "phone"
    PERSON_NAME = "person_name"
    ORGANISATION_NAME = "organisation_name"
    ADDRESS = "address"
    BANK_CARD = "bank_card"
    MAILBOX = "mailbox"
    DATE = "date"
    AMOUNT = "amount"
    CURRENCY = "currency"
    REGION = "region"
    CATEGORY = "category"
    FREE_TEXT = "free_text"
    NUMBER = "number"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Column:
    """A column of a version. ``derived_from``: it was parsed out of another one (an amount's currency)."""

    name: str
    data_type: DataType
    derived_from: str = ""


@dataclass(frozen=True)
class ColumnProfile:
    """Counts about a column; no value of it. ``null_count`` includes ``N/A`` and empty fields."""

    column: str
    rows: int
    null_count: int
    distinct_count: int
    length_min: int
    length_max: int
    failing_count: int = 0  # values that fail the check of the column's meaning (check digit, amount, date)


@dataclass(frozen=True)
class Proposal:
    """A proposed meaning and grade of a column, with the reason (counts and the rule that matched)."""

    column: str
    meaning: Meaning
    grade: Grade
    reason_zh: str
    reason_en: str


@dataclass(frozen=True)
class QualityItem:
    """One measure of GB/T 36344-2018: how many of ``checked`` fail ``rule``."""

    dimension: str  # 规范性 完整性 准确性 一致性 时效性 可访问性, by its English code
    rule: str
    column: str
    checked: int
    failing: int


@dataclass(frozen=True)
class FileEntry:
    """A file of a version with its digest."""

    name: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class SourceFile:
    """A file as it came in: its name, digest, encoding and record counts."""

    name: str
    sha256: str
    bytes: int
    encoding: str
    rows_in: int
    rows_kept: int
    rows_quarantined: int


@dataclass(frozen=True)
class Manifest:
    """What an immutable version consists of. Its digest names the version for ever."""

    resource: ResourceId
    number: int
    columns: tuple[Column, ...]
    sources: tuple[SourceFile, ...]
    files: tuple[FileEntry, ...]

    @property
    def digest(self) -> str:
        """The SHA-256 of the canonical manifest."""
        return digest_of(self)


@dataclass(frozen=True)
class QuarantineCount:
    """How many lines were set aside for one reason."""

    code: str
    lines: int


@dataclass(frozen=True)
class ResourceVersion:
    """One ingestion. ``rows_in == rows_kept + rows_quarantined`` always."""

    id: VersionId
    resource: ResourceId
    number: int
    manifest: Manifest
    manifest_digest: str
    rows_in: int
    rows_kept: int
    rows_quarantined: int
    quarantine: tuple[QuarantineCount, ...]
    profile: tuple[ColumnProfile, ...]
    quality: tuple[QualityItem, ...]
    proposals: tuple[Proposal, ...]
    created_at: datetime

    @property
    def ref(self) -> Ref:
        """This version, bound to its manifest."""
        return Ref("resource_version", self.id, self.manifest_digest)


@dataclass(frozen=True)
class ColumnGrade:
    """A grade that the provider confirmed; ``changed_reason`` says why it differs from the proposal, if it does."""

    column: str
    meaning: Meaning
    grade: Grade
    changed_reason: str = ""


@dataclass(frozen=True)
class Resource:
    """A data resource of a supplier (供数单位): what it is, how its columns are graded, which uses it allows.

    ``policy`` is ``None`` until the provider has confirmed the classification and set the uses.
    """

    id: ResourceId
    supplier: PartyId
    name: str  # the name it has in governed SQL: lower-case letters, digits, underscores
    title: str
    summary: str
    theme: str
    update_cycle: str
    legal_basis: str
    latest_version: int = 0
    grades: tuple[ColumnGrade, ...] = ()
    policy: ResourcePolicy | None = None

    @property
    def ref(self) -> Ref:
        """This resource with its present grades and uses."""
        return Ref("resource", self.id, digest_of(self))
