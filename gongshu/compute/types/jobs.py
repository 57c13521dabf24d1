"""Jobs, their plans and reports, and the budgets that they are paid from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import EntitlementId, GrantId, JobId, PartyId, PersonId
from gongshu.catalog.types import DataType
from gongshu.compute.types.joint import JointTask
from gongshu.compute.types.programs import ModelMeasure, Program
from gongshu.compute.types.queries import Engine, EngineQuery, GovernedQuery, Price, StatementParameter
from gongshu.policies.types import Thresholds

NOBODY, NO_GRANT = PartyId(""), GrantId("")


class JobKind(StrEnum):
    """What a job makes: a governed aggregate table, the keyed hashes of a verification product, or what two nodes find.

    ``LOOKUP``: tags of subjects, each enciphered for who knows whom to ask about. ``PYTHON``: whatever a program writes; it
    never leaves without two people having looked.
    """

    SQL = "sql"
    VERIFICATION = "verification"
    JOINT = "joint"
    PYTHON = "python"
    LOOKUP = "lookup"


class JobStatus(StrEnum):
    """A job on its way."""

    SUBMITTED = "submitted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


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
    """Input fields → match, mismatch, no record; nothing else. Every column needs the use ``compare``.

    ``needs_consent``: calls carry the subject's consent (PIPL art. 13, 23, 29).
    """

    relation: str
    fields: tuple[VerificationField, ...]
    needs_consent: bool = False


@dataclass(frozen=True)
class LookupKey:
    """An input field of a look-up and the column that it names the subject by; ``data_type`` is filled in by the gate."""

    name: str
    column: str
    data_type: DataType = DataType.TEXT


@dataclass(frozen=True)
class LookupOutput:
    """A tag, band or score that a look-up answers, and the column that it is made of.

    ``bounds`` cut a number into bands, in rising order: ``("0", "100")`` gives below 0, from 0 to below 100, and from 100.
    """

    name: str
    column: str
    bounds: tuple[str, ...] = ()
    data_type: DataType = DataType.TEXT


@dataclass(frozen=True)
class LookupDefinition:
    """Who (``keys``, by ``compare``) → tags, bands, scores (``outputs``, by ``reveal``). Answered with consent only."""

    relation: str
    keys: tuple[LookupKey, ...]
    outputs: tuple[LookupOutput, ...]
    values_max: int = 0  # how many different values a tag may have; filled in by the gate


@dataclass(frozen=True)
class JobProgress:
    """How far a job is, in percent of the whole, and in which phase. ``id`` is the job's."""

    id: JobId
    percent: int
    phase: str
    at: datetime


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
    engine: Engine = Engine.DUCKDB  # ``query`` is in DuckDB's dialect; Spark's follows from it
    parameters: tuple[StatementParameter, ...] = ()  # with their values: they are in ``query`` as literals
    lookup: LookupDefinition | None = None

    @property
    def digest(self) -> str:
        """The digest of the plan."""
        return digest_of(self)


@dataclass(frozen=True)
class JobReport:
    """What may be told about a run: counts, never values.

    ``groups_withheld`` is exact only if at least two groups and ``units_min`` units were withheld; else it is ``None`` and
    ``some_withheld`` says that there may be some: of groups none and few are told alike. ``units_withheld_percent`` is the
    share of units that stand in withheld groups, each unit counted in every group that it is in: told under the same
    condition, rounded so that one step is at least ``units_min`` units.
    """

    rows: int
    some_withheld: bool
    groups_withheld: int | None
    runtime_ms: int
    defences: tuple[str, ...]
    needs_review: bool = False  # a unit's part of a sum was negative: the dominance rules say little then
    units_withheld_percent: int | None = None
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
