"""Resources and what is known of their columns and versions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.decisions import Text
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


class DateForm(StrEnum):
    """How dates are written, as a format of the engine. One form for a whole column."""

    ISO = "%Y-%m-%d"
    SLASHES = "%Y/%m/%d"
    CHINESE = "%Y年%m月%d日"


NULL_WORDS = ("", "N/A", "n/a", "NULL", "null", "-", "无")
"""What stands for "no value" in a source, quoted or not."""


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
    is_distinct_estimated: bool = (
        False  # above ``exact_distinct_rows_max`` of ``Limits`` the distinct count is an estimate
    )


@dataclass(frozen=True)
class Proposal:
    """A proposed meaning and grade of a column, with the reason (counts and the rule that matched)."""

    column: str
    meaning: Meaning
    grade: Grade
    reason_zh: str
    reason_en: str


class Dimension(StrEnum):
    """The quality dimensions of GB/T 36344-2018."""

    NORMATIVITY = "normativity"  # 规范性
    COMPLETENESS = "completeness"  # 完整性
    ACCURACY = "accuracy"  # 准确性
    CONSISTENCY = "consistency"  # 一致性
    TIMELINESS = "timeliness"  # 时效性
    ACCESSIBILITY = "accessibility"  # 可访问性


@dataclass(frozen=True)
class QualityItem:
    """One measure of GB/T 36344-2018: how many of ``checked`` fail ``rule``."""

    dimension: Dimension
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
class SourceFault:
    """Why a whole source file cannot be taken: the stable code of the rule, and a number that belongs to it."""

    file: str
    code: str
    number: int = 0


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


class Fault(StrEnum):
    """Why a line could not be read. The codes stand in quarantine files and on pages; they never change."""

    FIELD_COUNT = "field-count"
    BROKEN_QUOTE = "broken-quote"
    UNCLOSED_QUOTE = "unclosed-quote"
    UNDECODABLE = "undecodable"
    NUL_BYTE = "nul-byte"
    LONE_CARRIAGE_RETURN = "lone-carriage-return"
    EMPTY_LINE = "empty-line"
    LINE_TOO_LONG = "line-too-long"
    FIELD_TOO_LONG = "field-too-long"


@dataclass(frozen=True)
class QuarantineCount:
    """How many lines were set aside for one reason."""

    code: str
    lines: int


@dataclass(frozen=True)
class QuarantinedLine:
    """A line that was set aside. ``raw`` is its beginning, for the supplier's own people only; else empty."""

    position: int  # in the quarantine file, from 1; the cursor of the list
    source: str
    line: int  # physical line in the source, from 1
    code: Fault
    reason: Text
    raw: str = ""


@dataclass(frozen=True)
class Limits:
    """What ingestion accepts. Whatever exceeds a limit is set aside with a reason or refused by name."""

    block_bytes: int = 256 * 1024  # read at once
    record_bytes_max: int = 1024 * 1024  # one record, all its lines together
    record_lines_max: int = 200  # lines of one record with line breaks inside quotes
    field_bytes_max: int = 512 * 1024
    columns_max: int = 1000
    column_name_chars_max: int = 100
    files_max: int = 100
    upload_bytes_max: int = 4_000_000_000  # all files of one upload together
    raw_chars_max: int = 512  # kept of a line that could not be read
    quarantine_lines_max: int = 1_000_000  # more than this is a wrong file, not a dirty one
    exact_distinct_rows_max: int = 250_000
    guess_rows: int = 4_000  # of each source, to guess types from; every other row is then checked
    sample_rows: int = 20_000  # spread over a version, to judge names, addresses and texts by
    engine_memory_bytes: int = 1024 * 1024 * 1024
    engine_threads: int = 4


@dataclass(frozen=True)
class ColumnCounts:
    """What was counted about the values of one column; nothing of it is a value.

    ``values`` are those that are not null. Counts of names, addresses and texts are of ``sampled`` values spread over
    the whole version, the others of all values.
    """

    column: str
    rows: int
    values: int
    distinct: int
    is_distinct_estimated: bool
    length_min: int
    length_max: int
    credit_codes: int = 0  # with the right check character
    id_cards: int = 0  # with the right check character and a real date
    phones: int = 0
    bank_cards: int = 0
    mailboxes: int = 0
    formulas: int = 0
    padded: int = 0  # values with white space at an end
    unparsed: int = 0  # amounts that could not be read
    implausible: int = 0  # dates before 1900 or after the day of ingestion
    sampled: int = 0
    person_names: int = 0
    organisation_names: int = 0
    addresses: int = 0
    regions: int = 0
    long_texts: int = 0


@dataclass(frozen=True)
class TypeCounts:
    """How many of the ``values`` of one column have the form of a type, counted on a sample."""

    values: int
    length_min: int
    length_max: int
    integers: int
    zero_led: int
    decimals: int
    scale_max: int
    digits_max: int  # before the decimal point
    dates: tuple[tuple[DateForm, int], ...]
    timestamps: int
    booleans: int
    amounts: int


@dataclass(frozen=True)
class ColumnPlan:
    """How one column of the source is read. ``amount`` and ``currency`` name the derived columns, if any."""

    name: str
    data_type: DataType
    date_form: DateForm | None = None
    digits: int = 0  # of a decimal: all of them, and those after the point
    scale: int = 0
    amount: str = ""
    currency: str = ""


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
    update_cycle: str  # a code of NDI-TR-2025-06: 001 real time … 004 monthly … 009 historical
    legal_basis: str
    latest_version: int = 0
    grades: tuple[ColumnGrade, ...] = ()
    policy: ResourcePolicy | None = None

    @property
    def ref(self) -> Ref:
        """This resource with its present grades and uses."""
        return Ref("resource", self.id, digest_of(self))
