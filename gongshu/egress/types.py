"""Outputs, findings, votes, releases."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import (
    ContractId,
    EntitlementId,
    GrantId,
    JobId,
    OutputId,
    PartyId,
    PersonId,
    ProductId,
    ReleaseId,
)
from gongshu.compute.types import JobKind, ModelMeasure, OutputFile
from gongshu.scenarios.types import Entitlement

NO_OUTPUT, NO_ENTITLEMENT, NO_GRANT, NOBODY = OutputId(""), EntitlementId(""), GrantId(""), PartyId("")


class OutputStatus(StrEnum):
    """An output in quarantine. Owned in turn by system, author, reviewers."""

    QUARANTINED = "quarantined"  # checks have run; not yet submitted for review
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    RELEASED = "released"
    REJECTED = "rejected"
    VOID = "void"  # a byte changed after it was frozen
    STOPPED = "stopped"  # its grant ended before it was released


class ReviewKind(StrEnum):
    """The two separate reviews (27号 art.14(三))."""

    SECURITY = "security"  # 安全审核
    CONFORMITY = "conformity"  # 业务规范性审核


class CheckVerdict(StrEnum):
    """What a machine found (ACRO's words)."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    REVIEW = "review"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One automatic check of an output: which, of what column or file, how it ended; counts only."""

    check: str
    target: str
    verdict: CheckVerdict
    facts: dict[str, str]


@dataclass(frozen=True)
class Vote:
    """One reviewer's decision, bound to the digest that was looked at."""

    kind: ReviewKind
    reviewer: PersonId
    party: PartyId
    approves: bool
    reason: str
    output_digest: str
    at: datetime
    output: OutputId = NO_OUTPUT

    @property
    def ref(self) -> Ref:
        """This review, bound to the bytes it was about and to how it ended."""
        return Ref("review", f"{self.output}:{self.kind}", digest_of(self))


@dataclass(frozen=True)
class Output:
    """Frozen files of a job, awaiting or having passed review."""

    id: OutputId
    job: Ref
    job_id: JobId
    author: PersonId
    author_party: PartyId
    files: tuple[OutputFile, ...]
    context: str
    status: OutputStatus
    findings: tuple[Finding, ...]
    created_at: datetime
    votes: tuple[Vote, ...] = ()
    entitlement: EntitlementId = NO_ENTITLEMENT
    grant: GrantId = NO_GRANT
    operator: PartyId = NOBODY
    kind: JobKind = JobKind.SQL
    title: str = ""
    release: ReleaseId | None = None

    @property
    def digest(self) -> str:
        """The digest of the files: what reviewers vote on."""
        return digest_of(self.files)

    @property
    def ref(self) -> Ref:
        """This output, bound to its files."""
        return Ref("output", self.id, self.digest)


@dataclass(frozen=True)
class Release:
    """Permission for exactly these bytes to leave, with the two reviews it rests on."""

    id: ReleaseId
    output: Ref
    job: Ref
    entitlement: Ref
    files: tuple[OutputFile, ...]
    votes: tuple[Vote, ...]
    released_by: PersonId
    released_at: datetime
    grant: GrantId = NO_GRANT
    operator: PartyId = NOBODY

    @property
    def ref(self) -> Ref:
        """This release, bound to its files and votes."""
        return Ref("release", self.id, digest_of((self.output, self.files, self.votes)))


@dataclass(frozen=True)
class ColumnMeasure:
    """What a machine counted in one column of a table: never a value.

    ``identifiers`` counts cells by kind (``credit_code``, ``id_card``, ``phone``, ``mailbox``); ``below_min`` counts
    numbers from 1 to below ``units_min``, ``zeros`` those that are 0, ``formulas`` text cells that a spreadsheet would run.
    """

    name: str
    is_number: bool
    is_whole: bool
    identifiers: dict[str, int]
    below_min: int
    zeros: int
    formulas: int


@dataclass(frozen=True)
class TableMeasure:
    """A table of an output: its rows, columns, and how many rows repeat rows of a source (see ``Resemblance``)."""

    rows: int
    columns: tuple[ColumnMeasure, ...]
    name_kinds: tuple[str, ...] = ()  # kinds of identifiers that stand in the names of the columns


@dataclass(frozen=True)
class Resemblance:
    """How many rows of a table equal fewer than ``units_min`` rows of ``relation`` on at least ``columns_min`` columns.

    ``is_open``: the supplier lets all columns compared be seen as they are. ``matching`` is ``None`` when they could not be
    compared.
    """

    table: str
    relation: str
    rows: int
    matching: int | None
    is_open: bool = False


@dataclass(frozen=True)
class HashesMeasure:
    """What a machine counted in the artifact of a verification: entries (its header among them), and what is no keyed hash."""

    entries: int
    odd_keys: int
    odd_values: int


@dataclass(frozen=True)
class TextMeasure:
    """What a machine counted in a text: lines, lines with identifiers by kind, runs that look like packed data."""

    lines: int
    identifiers: dict[str, int]
    packed: int


@dataclass(frozen=True)
class FileMeasure:
    """What was found where a job said that it wrote a file. ``measure`` is absent when it could not be read."""

    name: str
    sha256: str
    bytes: int
    table: TableMeasure | None = None
    hashes: HashesMeasure | None = None
    text: TextMeasure | None = None
    model: ModelMeasure | None = None


@dataclass(frozen=True)
class CheckLimits:
    """The numbers that the automatic checks measure against."""

    rows_max: int
    bytes_max: int
    units_min: int
    match_rows_max: int
    match_percent_max: int
    model_numbers_max: int = 0


@dataclass(frozen=True)
class Preview:
    """Some rows of a quarantined table, as a reviewer sees them. ``next_after`` is empty on the last page."""

    file: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    total: int
    next_after: str = ""


@dataclass(frozen=True)
class Standing:
    """What an output rests on at the moment of a decision. ``faults``: why the grant permits nothing now."""

    entitlement: Entitlement
    faults: tuple[Reason, ...]
    now: datetime


PLACE_DIGITS = 16
"""Hexadecimal digits by which the rows of a copy are sorted."""


class CopyFormat(StrEnum):
    """The formats in which a released table is delivered."""

    CSV = "csv"
    PARQUET = "parquet"
    EXCEL = "xlsx"


@dataclass(frozen=True)
class CopyMark:
    """What makes a buyer's copy its own: the key of the order of its rows, and what its description says.

    ``describes`` goes into the file's own description where the format has one (Parquet, Excel).
    """

    order_key: str
    describes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class CopyEvidence:
    """How strongly a file looks like the copy of one contract.

    Of ``compared`` pairs of rows ``agreeing`` stand in the contract's order. ``log10_probability`` bounds the probability
    that so many do by chance for any contract that was asked about. ``column``: the evidence is within equal values of it.
    """

    contract: ContractId
    compared: int
    agreeing: int
    log10_probability: float
    column: str = ""
    is_described: bool = False  # the file's own description names this contract, signed by us


@dataclass(frozen=True)
class MatchedRows:
    """Rows of a leaked file found again in a released one.

    ``rows`` are their places in the released file, in the order of the leaked one, each once; ``values`` say for each
    column of the table which of these rows have equal values there (any number that is the same for equal values).
    """

    found: int
    rows: tuple[int, ...]
    values: tuple[tuple[str, tuple[int, ...]], ...]
    described: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CopyTrace:
    """What became of the question whose copy a file is: evidence per contract, the strongest first.

    ``zeros_min``: a contract is named when the bound of its probability has so many zeros behind the point, 10^-zeros_min.
    """

    product: ProductId
    rows_in_file: int
    rows_found: int
    evidence: tuple[CopyEvidence, ...]
    zeros_min: int

    @property
    def named(self) -> CopyEvidence | None:
        """The contract whose copy it is, if the evidence is strong enough."""
        best = next(iter(self.evidence), None)
        return best if best is not None and best.log10_probability <= -self.zeros_min else None


@dataclass(frozen=True)
class ReportSection:
    """A part of a report: a heading, text with placeholders, and under it a table of these columns if there are any.

    ``{{count}}``, ``{{sum:column}}``, ``{{min:column}}``, ``{{max:column}}``, ``{{mean:column}}``, ``{{first:column}}`` and
    ``{{last:column}}`` in the text are filled from the released table.
    """

    heading: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows_max: int = 50


@dataclass(frozen=True)
class ReportDefinition:
    """A report (报告) made of a released table: what it is called, which period it is about, where its figures are from."""

    title: str
    period: str
    source: str
    sections: tuple[ReportSection, ...]


class ReportFormat(StrEnum):
    """The formats of a report."""

    PDF = "pdf"
    WORD = "docx"


@dataclass(frozen=True)
class ReportTable:
    """A table of a report, every cell as it is printed. ``left_out``: rows of the released table that are not shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int


@dataclass(frozen=True)
class ReportPart:
    """A section as it is printed."""

    heading: str
    text: str
    table: ReportTable | None


@dataclass(frozen=True)
class Report:
    """A report as it is printed for one buyer."""

    title: str
    facts: tuple[tuple[str, str], ...]
    parts: tuple[ReportPart, ...]
    footer: str
    mark: CopyMark
