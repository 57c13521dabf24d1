"""Jobs, plans, and the decision of the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, canonical_json, digest_of, sha256_hex
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId, PersonId, ResourceId
from gongshu.catalog.types import DataType
from gongshu.policies.types import NoiseMechanism, ResourcePolicy, Thresholds, Use

NOBODY, NO_GRANT = PartyId(""), GrantId("")


class JobKind(StrEnum):
    """What a job makes: a governed aggregate table, the keyed hashes of a verification product, or what two nodes find.

    ``PYTHON``: whatever a program writes; it never leaves without two people having looked.
    """

    SQL = "sql"
    VERIFICATION = "verification"
    JOINT = "joint"
    PYTHON = "python"


class Engine(StrEnum):
    """What runs a governed query: DuckDB in a sandbox on this machine, or a Spark cluster."""

    DUCKDB = "duckdb"
    SPARK = "spark"


class JobStatus(StrEnum):
    """A job on its way."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class RelationColumn:
    """A column as the gate sees it."""

    name: str
    data_type: DataType


@dataclass(frozen=True)
class Relation:
    """A governed relation: the name it has in SQL, its columns, and its policy."""

    name: str
    resource: ResourceId
    columns: tuple[RelationColumn, ...]
    policy: ResourcePolicy


@dataclass(frozen=True)
class ColumnLineage:
    """Which base columns an output column came from, directly (its value) or indirectly (which rows or branches).

    Columns are written ``relation.column``. The shape of OpenLineage's ``ColumnLineageDatasetFacet`` is made from it.
    """

    output: str
    direct: frozenset[str]
    indirect: frozenset[str]


@dataclass(frozen=True)
class Projection:
    """What the engine's child process may read of one relation: these columns, masked and filtered before it starts.

    ``keys`` are columns of which only the keyed hash is there (named ``key:…``), ``raws`` masked columns whose raw value is
    needed by ``compare`` (named ``raw:…``); ``has_unit``: the keyed hash of the privacy unit is there (named ``unit:``).
    """

    relation: str
    resource: ResourceId
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    raws: tuple[str, ...] = ()
    has_unit: bool = False
    has_order: bool = False  # a keyed hash of the row's place is there (named ``order:``): which rows a bound keeps
    pseudonyms: tuple[str, ...] = ()  # columns in whose place stands the keyed hash, as text, under their own name


@dataclass(frozen=True)
class Measurement:
    """A column of whole numbers, one per group, and how much one unit can change it in one group."""

    column: str
    sensitivity: int


@dataclass(frozen=True)
class StageNoise:
    """What is added to the table of a step as soon as it is made, before anything reads it.

    The first ``keys`` columns are group keys. With keys, the column ``units`` (units of a group) is measured first, and
    only groups stay whose noisy number of units is so large that a group of one unit is seen with a probability of at
    most ``delta_pico`` · 1e-12. Then each of ``measurements`` gets noise for ``epsilon_milli`` / 1000.
    """

    mechanism: NoiseMechanism
    epsilon_milli: int
    delta_pico: int
    groups_per_unit_max: int
    keys: int
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class Price:
    """What a statement takes from the budget of its entitlement: ε in thousandths, δ in 1e-12, for so many measurements."""

    epsilon_milli: int
    delta_pico: int
    measurements: int


@dataclass(frozen=True)
class Stage:
    """One step of a governed query: a table of groups with the column ``passes``, read by later steps where it is true.

    ``units`` and ``negative`` stand beside it for the report: units of a group, and whether a part was negative. A step that
    is not counted has none of these: later steps compare their groups with it. A step with ``noise`` is read by the next
    one only after noise was added.
    """

    name: str
    sql: str
    is_counted: bool = True
    noise: StageNoise | None = None


@dataclass(frozen=True)
class Trace:
    """Which units stand behind the released groups of a stage: ``sql`` gives group, condition, unit and its rows.

    ``keys``: how many of the stage's columns name a group.
    """

    stage: str
    keys: int
    sql: str


@dataclass(frozen=True)
class GovernedQuery:
    """What the gate permits: SQL regenerated from the tree with thresholds beside every aggregate.

    The ``stages`` are made first, in order; ``sql`` reads the groups of them that passed.
    """

    sql: str
    outputs: tuple[str, ...]
    lineage: tuple[ColumnLineage, ...]
    projections: tuple[Projection, ...]
    is_aggregate: bool
    stages: tuple[Stage, ...] = ()
    price: Price | None = None
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True)
class StatementParameter:
    """A value for ``$name`` of a statement (``?`` are named by their place: ``1``, ``2`` …), with its declared type.

    ``value`` is written as text: dates as ``2024-01-31``, truth as ``true``; at most ``characters_max`` characters.
    """

    name: str
    data_type: DataType
    value: str
    characters_max: int


@dataclass(frozen=True)
class DerivedColumn:
    """A column of a derived relation and the uses that its sources leave it. ``data_type`` is empty for NULL."""

    name: str
    data_type: str
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class DerivedRelation:
    """A query with a name, under one entitlement: later statements read it like a relation (派生资源).

    ``units``: the kinds of privacy unit that its rows carry. Columns, level and units are those of its making; the gate reads
    the query anew at each use.
    """

    id: str
    entitlement: EntitlementId
    name: str
    sql: str
    created_by: PersonId
    created_at: datetime
    columns: tuple[DerivedColumn, ...] = ()
    is_row_level: bool = True
    units: tuple[str, ...] = ()
    dropped_at: datetime | None = None

    @property
    def ref(self) -> Ref:
        """This relation, bound to its query."""
        return Ref("derived", self.id, digest_of((self.entitlement, self.name, self.sql)))


@dataclass(frozen=True)
class VerificationField:
    """An input field of a verification product and the column it is compared with.

    ``data_type`` is that of the column; the gate fills it in. It says how an input is read (dates, numbers, text).
    """

    name: str
    column: str
    is_required: bool
    is_key: bool = False
    data_type: DataType = DataType.TEXT


@dataclass(frozen=True)
class VerificationDefinition:
    """Input fields → match, mismatch, no record; nothing else. Every column needs the use ``compare``."""

    relation: str
    fields: tuple[VerificationField, ...]


class JointKind(StrEnum):
    """What two parties compute: which keys both have (求交), how many (计数), or how many and their sum (求交求和)."""

    INTERSECTION = "intersection"
    COUNT = "count"
    SUMS = "sums"


class JointLearners(StrEnum):
    """Who is to learn the outcome, as a proposal says it: the peer's id is not known yet."""

    PROPOSER = "proposer"
    PEER = "peer"
    BOTH = "both"


@dataclass(frozen=True)
class JointSide:
    """One party's part: the entitlement it computes under, its relation, and at most ``rows_max`` keys of it.

    ``value_column`` is summed by key first. ``value_scale`` says how many decimal places are exact (2: fen). The node
    listens on ``address`` (``host:port``) and shows ``certificate`` (PEM), which the peer accepts and no other.
    ``is_padded``: random keys fill the file up to ``rows_max``, so that the peer does not learn how many there are.
    """

    party: PartyId
    entitlement: Ref
    relation: str
    key_column: str
    rows_max: int
    value_column: str = ""
    value_scale: int = 0
    name: str = ""
    address: str = ""
    certificate: str = ""
    is_padded: bool = False


@dataclass(frozen=True)
class JointLimits:
    """How long a node waits for the peer to come, for a word of it, and for the whole run."""

    connect_seconds: int
    silence_seconds: int
    runtime_seconds: int


@dataclass(frozen=True)
class JointProposal:
    """What the first party proposes. The other adds its own side; then it is a ``JointTask``.

    ``peer_brings_value``: in a task of kind ``sums``, whether the values are the peer's and not the proposer's.
    """

    id: str
    kind: JointKind
    purpose: str
    proposer: JointSide
    learners: JointLearners
    peer_brings_value: bool
    key_type: DataType
    thresholds: Thresholds
    nonce: str
    valid_until: datetime
    limits: JointLimits
    protocol: str
    library: str

    @property
    def digest(self) -> str:
        """The digest of the proposal."""
        return digest_of(self)

    @property
    def ref(self) -> Ref:
        """This proposal in the audit log: the same on both sides."""
        return Ref("joint_proposal", self.id, self.digest)


@dataclass(frozen=True)
class JointTask:
    """The document that both parties agree on: one run, one purpose, who learns, and from how many units on.

    ``key_type`` says how both sides bring keys into one normal form. ``nonce`` (64 hexadecimal digits, drawn by the
    proposer) makes the hashes of two tasks incomparable. It is good for one run until ``valid_until``.
    """

    id: str
    kind: JointKind
    purpose: str
    sides: tuple[JointSide, JointSide]
    learners: tuple[PartyId, ...]
    key_type: DataType
    thresholds: Thresholds
    nonce: str
    valid_until: datetime
    limits: JointLimits
    protocol: str
    library: str

    @property
    def document(self) -> bytes:
        """The canonical form, as both nodes read it."""
        return canonical_json(self)

    @property
    def digest(self) -> str:
        """The digest of the document."""
        return sha256_hex(self.document)

    @property
    def ref(self) -> Ref:
        """This task in the audit log: the same on both sides."""
        return Ref("joint_task", self.id, self.digest)

    def number_of(self, party: PartyId) -> int | None:
        """Return which side ``party`` is, or ``None``."""
        return next((number for number, side in enumerate(self.sides) if side.party == party), None)


@dataclass(frozen=True)
class JointResult:
    """What this side may know of the outcome. ``passes`` is None for a side that learns nothing.

    ``total`` is that of the value column, in its own unit. ``needs_review``: some part of the sum was negative.
    """

    passes: bool | None
    count: int | None = None
    total: Decimal | None = None
    needs_review: bool = False


@dataclass(frozen=True)
class JointLetter:
    """What travels between two installations, by whatever way: a proposal, its answer, or the confirmation.

    ``sender`` is the number of the side that wrote it. ``signature`` (hexadecimal) is over the digest of what is inside,
    made with the key of the certificate that the sender's side names.
    """

    form: str
    sender: int
    signature: str
    proposal: JointProposal | None = None
    task: JointTask | None = None


class JointStatus(StrEnum):
    """A joint agreement as one side keeps it."""

    PROPOSED = "proposed"  # one side is known
    ANSWERED = "answered"  # both sides are known; the proposer has not confirmed yet
    AGREED = "agreed"  # signed by both; good for one run
    SPENT = "spent"  # the two nodes have met
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class JointAgreement:
    """A joint task on its way to being agreed, and the evidence of it: both signatures over one digest.

    ``number`` is our side. ``task`` is there once both sides are known; ``peer_digest`` and ``peer_signature`` are what the
    peer signed. ``job`` is the run that waits, runs or ran under it.
    """

    id: str
    proposal: JointProposal
    number: int
    entitlement: EntitlementId
    developer: PartyId
    operator: PartyId
    grant: GrantId
    opened_by: PersonId
    opened_at: datetime
    status: JointStatus
    signature: str
    task: JointTask | None = None
    peer_digest: str = ""
    peer_signature: str = ""
    job: JobId | None = None
    met_at: datetime | None = None

    @property
    def ref(self) -> Ref:
        """The task if it is known, else the proposal: what the audit log names, the same on both sides."""
        return self.proposal.ref if self.task is None else self.task.ref

    @property
    def own(self) -> JointSide | None:
        """Our side, once it is known."""
        if self.task is not None:
            return self.task.sides[self.number]
        return self.proposal.proposer if self.number == 0 else None

    @property
    def peer(self) -> JointSide | None:
        """The peer's side, once it is known."""
        if self.task is not None:
            return self.task.sides[1 - self.number]
        return self.proposal.proposer if self.number == 1 else None


@dataclass(frozen=True)
class JobProgress:
    """How far a job is, in percent of the whole, and in which phase. ``id`` is the job's."""

    id: JobId
    percent: int
    phase: str
    at: datetime


@dataclass(frozen=True)
class ProgramInput:
    """A relation that a Python job asks for, and the columns of it: it gets these and no others."""

    relation: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What a Python job is besides its code: what it reads, the files that it may write, the environment it runs in.

    ``image`` is the digest of the lock of that environment. ``tick_seconds``: a run is told to have ended at a multiple of
    this only, so that its length tells little of what it saw.
    """

    inputs: tuple[ProgramInput, ...]
    outputs: tuple[str, ...]
    projections: tuple[Projection, ...]
    image: str
    printed_bytes_max: int
    tick_seconds: int


@dataclass(frozen=True)
class ProgramLimits:
    """The numbers that Python jobs are measured against (``compute.python.…`` of the parameters)."""

    code_characters_max: int
    outputs_max: int
    jobs_per_day_max: int
    printed_bytes_max: int
    tick_seconds: int
    memory_bytes_max: int
    runtime_seconds_max: int
    output_bytes_max: int
    output_rows_max: int


@dataclass(frozen=True)
class ModelMeasure:
    """What a model consists of: its operators, how many numbers and texts it holds."""

    operators: tuple[str, ...]
    numbers: int
    texts: int


@dataclass(frozen=True)
class TrialTable:
    """The first rows of a table that a program wrote from synthetic rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class ProgramTrial:
    """What came of a program on synthetic rows: all of it may be seen. ``failure`` is the code of what went wrong."""

    failure: str
    printed: str
    tables: tuple[TrialTable, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    models: tuple[tuple[str, ModelMeasure], ...] = ()


@dataclass(frozen=True)
class JobLimits:
    """What a job may use. The child process is ended when it passes one of them."""

    memory_bytes_max: int
    runtime_seconds_max: int
    output_rows_max: int
    output_bytes_max: int


@dataclass(frozen=True)
class JobPlan:
    """A frozen, digested decision to run one computation: code, inputs by digest, thresholds, limits."""

    kind: JobKind
    entitlement: Ref
    code: str
    code_digest: str
    inputs: tuple[Ref, ...]
    query: GovernedQuery | None
    verification: VerificationDefinition | None
    thresholds: Thresholds
    limits: JobLimits
    joint: JointTask | None = None
    program: Program | None = None
    engine: Engine = Engine.DUCKDB  # ``query`` is written in its dialect
    parameters: tuple[StatementParameter, ...] = ()  # with their values: they are in ``query`` as literals

    @property
    def digest(self) -> str:
        """The digest of the plan."""
        return digest_of(self)


@dataclass(frozen=True)
class JobReport:
    """What may be told about a run: counts, never values.

    ``groups_withheld`` is exact only if at least two groups and ``units_min`` units were withheld; else it is ``None`` and
    ``some_withheld`` says that there may be some: of groups none and few are told alike.
    """

    rows: int
    some_withheld: bool
    groups_withheld: int | None
    runtime_ms: int
    defences: tuple[str, ...]
    needs_review: bool = False  # a unit's part of a sum was negative: the dominance rules say little then
    models: tuple[tuple[str, ModelMeasure], ...] = ()  # of each model of a Python job, what it consists of


@dataclass(frozen=True)
class OutputFile:
    """A file that a job wrote: quarantined, named by its digest."""

    name: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Job:
    """A computation submitted for real. Its files lie in ``home/outputs/<job id>/`` and are shown to nobody yet."""

    id: JobId
    plan: JobPlan
    entitlement: EntitlementId
    submitted_by: PersonId
    developer: PartyId
    status: JobStatus
    submitted_at: datetime
    title: str = ""
    files: tuple[OutputFile, ...] = ()
    report: JobReport | None = None
    failure_code: str = ""
    finished_at: datetime | None = None
    operator: PartyId = NOBODY
    grant: GrantId = NO_GRANT

    @property
    def ref(self) -> Ref:
        """This job, bound to its plan."""
        return Ref("job", self.id, self.plan.digest)


@dataclass(frozen=True)
class PrivacyBudget:
    """The noise budget of one entitlement: ε in thousandths and δ in 1e-12, granted and spent. ``id`` is the entitlement's."""

    id: EntitlementId
    epsilon_milli: int
    delta_pico: int
    epsilon_milli_spent: int = 0
    delta_pico_spent: int = 0

    @property
    def epsilon_milli_left(self) -> int:
        """What is left of ε."""
        return self.epsilon_milli - self.epsilon_milli_spent

    @property
    def delta_pico_left(self) -> int:
        """What is left of δ."""
        return self.delta_pico - self.delta_pico_spent

    @property
    def ref(self) -> Ref:
        """This budget as it stands."""
        return Ref("budget", self.id, digest_of(self))


@dataclass(frozen=True)
class EngineQuery:
    """A permitted query as one engine runs it, or the reasons why that engine has no form of it."""

    engine: Engine
    stages: tuple[Stage, ...] = ()
    sql: str = ""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """What the gate says of a statement: permitted with lineage and rewritten SQL, or every reason against it."""

    permitted: bool
    query: GovernedQuery | None
    reasons: tuple[Reason, ...]
    open_lineage: Mapping[str, Any] = field(default_factory=dict)  # facets of OpenLineage
    budget: PrivacyBudget | None = None  # what the price of the query would be taken from
    engines: tuple[EngineQuery, ...] = ()  # the rewritten SQL per engine


@dataclass(frozen=True)
class BudgetCharge:
    """What one job took from the budget of its entitlement. It is never given back. ``id`` is the job's."""

    id: JobId
    entitlement: EntitlementId
    plan_digest: str
    price: Price
    at: datetime
