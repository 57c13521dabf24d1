"""Jobs, plans, and the decision of the gate."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId, PersonId, ResourceId
from gongshu.catalog.types import DataType
from gongshu.policies.types import ResourcePolicy, Thresholds

NOBODY, NO_GRANT = PartyId(""), GrantId("")


class JobKind(StrEnum):
    """What a job makes: a governed aggregate table, or the keyed hashes of a verification product."""

    SQL = "sql"
    VERIFICATION = "verification"


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


@dataclass(frozen=True)
class Stage:
    """One step of a governed query: a table of groups with the column ``passes``, read by later steps where it is true.

    ``units`` and ``negative`` stand beside it for the report: units of a group, and whether a part was negative. A step that
    is not counted has none of these: later steps compare their groups with it.
    """

    name: str
    sql: str
    is_counted: bool = True


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
class Explanation:
    """What the gate says of a statement: permitted with lineage and rewritten SQL, or every reason against it."""

    permitted: bool
    query: GovernedQuery | None
    reasons: tuple[Reason, ...]
    open_lineage: Mapping[str, Any] = field(default_factory=dict)  # facets of OpenLineage
