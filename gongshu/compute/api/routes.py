"""The gate, jobs and synthetic rows over HTTP. No route shows a value of the data."""

import base64
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.decisions import Reason
from gongshu.base.ids import EntitlementId, JobId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.catalog.types import DataType
from gongshu.compute import service
from gongshu.compute.types import (
    BudgetCharge,
    DerivedRelation,
    Engine,
    EngineQuery,
    Explanation,
    GovernedQuery,
    Job,
    JobProgress,
    JointAgreement,
    JointKind,
    JointLearners,
    ModelMeasure,
    PrivacyBudget,
    ProgramInput,
    Stage,
    StatementParameter,
    VerificationDefinition,
    VerificationField,
)

router = APIRouter(tags=["compute"])

SQL_CHARS_MAX = 20_000
PARAMETER_CHARS_MAX = 1_000
PROGRAM_CHARS_MAX = 1_000_000
SYNTHETIC_ROWS_MAX = 1_000


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as the server's middleware resolved it."""
    return cast(Actor, request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


class ParameterText(BaseModel):
    """A value for ``$name`` of a statement, or for the n-th ``?`` (then the name is n), with its declared type."""

    name: str = Field(max_length=63)
    data_type: DataType
    value: str = Field(max_length=PARAMETER_CHARS_MAX)
    characters_max: int = Field(default=100, ge=1, le=PARAMETER_CHARS_MAX)


class Statement(BaseModel):
    """One governed statement, with the values of its parameters."""

    sql: str = Field(max_length=SQL_CHARS_MAX)
    parameters: list[ParameterText] = Field(default=[], max_length=100)

    def values(self) -> tuple[StatementParameter, ...]:
        """Return the parameters as the service takes them."""
        return tuple(StatementParameter(p.name, p.data_type, p.value, p.characters_max) for p in self.parameters)


class SqlJob(Statement):
    """A statement to be run for real."""

    title: str = Field(max_length=200)
    engine: Engine | None = None


class DerivedText(Statement):
    """A query that gets a name."""

    name: str = Field(max_length=63)


class FieldText(BaseModel):
    """An input field of a verification and the column it is compared with."""

    name: str = Field(max_length=80, pattern=r"^[a-z][a-z0-9_]*$")
    column: str = Field(max_length=200)
    is_required: bool = True
    is_key: bool = False


class InputText(BaseModel):
    """A relation that a program reads, and its columns."""

    relation: str = Field(max_length=200)
    columns: list[str] = Field(max_length=200)


class ProgramText(BaseModel):
    """A Python program, what it reads, and the files that it will write."""

    code: str = Field(max_length=PROGRAM_CHARS_MAX)
    inputs: list[InputText] = Field(max_length=50)
    outputs: list[str] = Field(max_length=50)


class PythonJob(ProgramText):
    """A program to be run for real."""

    title: str = Field(max_length=200)


class TableText(BaseModel):
    """The first rows of a table that a program wrote from synthetic rows."""

    name: str
    columns: list[str]
    rows: list[list[str | int | float | bool | None]]


class TrialText(BaseModel):
    """What came of a program on synthetic rows. ``failure`` is empty when it ran to its end."""

    failure: str
    printed: str
    tables: list[TableText]
    texts: dict[str, str]
    models: dict[str, ModelMeasure]


class VerificationJob(BaseModel):
    """A verification to be built: input fields → match, mismatch or no record."""

    title: str = Field(max_length=200)
    relation: str = Field(max_length=200)
    fields: list[FieldText] = Field(max_length=20)
    needs_consent: bool = False


class ReasonText(BaseModel):
    """One reason of a refusal in both languages."""

    code: str
    what_zh: str
    what_en: str
    fix_zh: str
    fix_en: str
    facts: dict[str, str]


class EngineQueryText(BaseModel):
    """How one engine runs a permitted statement, or why it has no form of it."""

    engine: Engine
    stages: tuple[Stage, ...]
    sql: str
    reasons: list[ReasonText]


class ExplanationText(BaseModel):
    """What the gate says: permitted with lineage and rewritten SQL, or every reason against it."""

    permitted: bool
    query: GovernedQuery | None
    reasons: list[ReasonText]
    open_lineage: dict[str, Any] = {}
    budget: PrivacyBudget | None = None
    engines: list[EngineQueryText] = []


class BudgetText(BaseModel):
    """The noise budget of an entitlement and what was taken from it; both empty where no noise is demanded."""

    budget: PrivacyBudget | None
    charges: list[BudgetCharge]


class RowsText(BaseModel):
    """Rows made of synthetic data."""

    columns: list[str]
    rows: list[list[str | int | float | bool | None]]


def _reason(reason: Reason) -> ReasonText:
    what, fix = reason.what, reason.fix
    return ReasonText(
        code=reason.code, what_zh=what.zh, what_en=what.en, fix_zh=fix.zh, fix_en=fix.en, facts=dict(reason.facts)
    )


def _explanation(found: Explanation) -> ExplanationText:
    return ExplanationText(
        permitted=found.permitted,
        query=found.query,
        reasons=[_reason(reason) for reason in found.reasons],
        open_lineage=dict(found.open_lineage),
        budget=found.budget,
        engines=[_written(one) for one in found.engines],
    )


def _written(one: EngineQuery) -> EngineQueryText:
    reasons = [_reason(reason) for reason in one.reasons]
    return EngineQueryText(engine=one.engine, stages=one.stages, sql=one.sql, reasons=reasons)


def _cell(value: Any) -> str | int | float | bool | None:
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return cast(str | int | float | bool | None, value)


def _rows(found: tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]) -> RowsText:
    columns, rows = found
    return RowsText(columns=list(columns), rows=[[_cell(value) for value in row] for row in rows])


@router.post(
    "/entitlements/{entitlement_id}/sql/explain", openapi_extra={"x-permission": Permission.DEVELOP_SQL_EXPLAIN.value}
)
def explain(site: Here, actor: By, entitlement_id: str, body: Statement) -> ExplanationText:
    """Ask the gate about a statement. Nothing runs."""
    return _explanation(service.explain(site, actor, EntitlementId(entitlement_id), body.sql, body.values()))


@router.post(
    "/entitlements/{entitlement_id}/sql/try", openapi_extra={"x-permission": Permission.DEVELOP_SYNTHETIC_READ.value}
)
def try_on_synthetic(site: Here, actor: By, entitlement_id: str, body: Statement) -> RowsText:
    """Run a statement on synthetic rows, thresholds included."""
    return _rows(service.try_on_synthetic(site, actor, EntitlementId(entitlement_id), body.sql, body.values()))


@router.get(
    "/entitlements/{entitlement_id}/relations/{relation}/synthetic-rows",
    openapi_extra={"x-permission": Permission.DEVELOP_SYNTHETIC_READ.value},
)
def synthetic_rows(  # noqa: PLR0917 - parameters of the route
    site: Here, actor: By, entitlement_id: str, relation: str, seed: Annotated[int, Query(ge=0, le=2**31)] = 1,
    rows: Annotated[int, Query(ge=1, le=SYNTHETIC_ROWS_MAX)] = 100,
) -> RowsText:  # fmt: skip
    """Return made-up rows of a relation, the same for the same seed."""
    return _rows(service.synthetic_rows(site, actor, EntitlementId(entitlement_id), relation, seed, rows))


@router.post(
    "/entitlements/{entitlement_id}/jobs/sql", status_code=201,
    openapi_extra={"x-permission": Permission.DEVELOP_JOB_SUBMIT.value},
)  # fmt: skip
def submit_sql(site: Here, actor: By, entitlement_id: str, body: SqlJob) -> Job:
    """Submit a statement to be run on real data; the result goes into quarantine."""
    entitlement = EntitlementId(entitlement_id)
    return service.submit_sql(site, actor, entitlement, body.title, body.sql, body.engine, body.values())


@router.post(
    "/entitlements/{entitlement_id}/jobs/verification", status_code=201,
    openapi_extra={"x-permission": Permission.DEVELOP_JOB_SUBMIT.value},
)  # fmt: skip
def submit_verification(site: Here, actor: By, entitlement_id: str, body: VerificationJob) -> Job:
    """Submit a verification to be built of real data; the artifact goes into quarantine."""
    fields = tuple(VerificationField(f.name, f.column, f.is_required, f.is_key) for f in body.fields)
    definition = VerificationDefinition(body.relation, fields, body.needs_consent)
    return service.submit_verification(site, actor, EntitlementId(entitlement_id), body.title, definition)


def _submission(body: ProgramText) -> service.Submission:
    inputs = tuple(ProgramInput(one.relation, tuple(one.columns)) for one in body.inputs)
    return service.Submission(body.code, inputs, tuple(body.outputs))


@router.post(
    "/entitlements/{entitlement_id}/python/try", openapi_extra={"x-permission": Permission.DEVELOP_SYNTHETIC_READ.value}
)
def try_python(site: Here, actor: By, entitlement_id: str, body: ProgramText) -> TrialText:
    """Run a program on synthetic rows, in the same kind of cell as on real ones; all that it prints and writes is shown."""
    found = service.try_python(site, actor, EntitlementId(entitlement_id), _submission(body))
    tables = [
        TableText(name=one.name, columns=list(one.columns), rows=[[_cell(value) for value in row] for row in one.rows])
        for one in found.tables
    ]
    return TrialText(
        failure=found.failure, printed=found.printed, tables=tables, texts=dict(found.texts), models=dict(found.models)
    )


@router.post(
    "/entitlements/{entitlement_id}/jobs/python", status_code=201,
    openapi_extra={"x-permission": Permission.DEVELOP_JOB_SUBMIT.value},
)  # fmt: skip
def submit_python(site: Here, actor: By, entitlement_id: str, body: PythonJob) -> Job:
    """Submit a program to be run on real data; what it prints and writes goes into quarantine."""
    return service.submit_python(site, actor, EntitlementId(entitlement_id), body.title, _submission(body))


@router.get(
    "/entitlements/{entitlement_id}/budget", openapi_extra={"x-permission": Permission.READ_SCENARIO_VIEW.value}
)
def read_budget(site: Here, actor: By, entitlement_id: str) -> BudgetText:
    """Return the noise budget of an entitlement: ε in thousandths, δ in 1e-12, granted, spent, and by which jobs."""
    found = service.read_budget(site, actor, EntitlementId(entitlement_id))
    return (
        BudgetText(budget=found.budget, charges=list(found.charges)) if found else BudgetText(budget=None, charges=[])
    )


@router.get("/jobs", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def list_jobs(site: Here, actor: By, page: Asked) -> Page[Job]:
    """Return jobs that the actor may know of, newest first."""
    return service.list_jobs(site, actor, page)


@router.get("/jobs/{job_id}", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def get_job(site: Here, actor: By, job_id: str) -> Job:
    """Return a job: its plan, its report, the digests of its files."""
    return service.get_job(site, actor, JobId(job_id))


@router.get("/jobs/{job_id}/lineage", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def job_lineage(site: Here, actor: By, job_id: str) -> dict[str, Any]:
    """Return the column lineage of a job's result as facets of OpenLineage (ColumnLineageDatasetFacet)."""
    return service.job_lineage(site, actor, JobId(job_id))


@router.get(
    "/entitlements/{entitlement_id}/derived-relations",
    openapi_extra={"x-permission": Permission.DEVELOP_SQL_EXPLAIN.value},
)
def list_derived(site: Here, actor: By, page: Asked, entitlement_id: str) -> Page[DerivedRelation]:
    """Return the queries with names that statements of the entitlement can read like relations."""
    return service.list_derived(site, actor, EntitlementId(entitlement_id), page)


@router.post(
    "/entitlements/{entitlement_id}/derived-relations", status_code=201,
    openapi_extra={"x-permission": Permission.DEVELOP_SQL_EXPLAIN.value},
)  # fmt: skip
def create_derived(site: Here, actor: By, entitlement_id: str, body: DerivedText) -> DerivedRelation:
    """Give a query a name. It never allows more than its sources do at the moment of each use."""
    return service.create_derived(site, actor, EntitlementId(entitlement_id), body.name, body.sql)


@router.delete(
    "/entitlements/{entitlement_id}/derived-relations/{name}",
    openapi_extra={"x-permission": Permission.DEVELOP_SQL_EXPLAIN.value},
)
def drop_derived(site: Here, actor: By, entitlement_id: str, name: str) -> DerivedRelation:
    """Take a derived relation away; refused while another one is derived from it."""
    return service.drop_derived(site, actor, EntitlementId(entitlement_id), name)


# ----------------------------------------------------------------------------------------------------------- joint


class HalfText(BaseModel):
    """Our own side of a joint task. ``is_padded``: the peer learns ``rows_max`` and not how many keys there are."""

    relation: str = Field(max_length=200)
    key_column: str = Field(max_length=200)
    rows_max: int = Field(ge=1, le=5_000_000)
    address: str = Field(max_length=300)
    value_column: str = Field(default="", max_length=200)
    value_scale: int = Field(default=0, ge=0, le=6)
    is_padded: bool = False

    def half(self) -> service.JointHalf:
        """Return it as the service wants it."""
        return service.JointHalf(**self.model_dump())


class ProposalText(BaseModel):
    """A joint task to be proposed. Limits of 0 seconds or days mean the parameters in force."""

    kind: JointKind
    purpose: str = Field(max_length=200)
    learners: JointLearners
    own: HalfText
    peer_brings_value: bool = False
    key_type: DataType = DataType.TEXT
    connect_seconds: int = Field(default=0, ge=0)
    silence_seconds: int = Field(default=0, ge=0)
    runtime_seconds: int = Field(default=0, ge=0)
    valid_days: int = Field(default=0, ge=0)


class LetterText(BaseModel):
    """A letter of the peer as it is, and the fingerprint of its certificate as told over another channel."""

    letter: str = Field(max_length=65_536)
    fingerprint: str = Field(max_length=200)


class AnswerText(LetterText):
    """A proposal of the peer, and our side."""

    own: HalfText


class LetterFile(BaseModel):
    """A letter for the peer, as it is."""

    letter: str


class FingerprintText(BaseModel):
    """The fingerprint of this node's certificate."""

    fingerprint: str


AGREE = {"x-permission": Permission.DEVELOP_JOINT_AGREE.value}


@router.get("/joint-node", openapi_extra=AGREE)
def joint_fingerprint(site: Here, actor: By) -> FingerprintText:
    """Return the fingerprint of this node's certificate, to be told to the peer over another channel."""
    return FingerprintText(fingerprint=service.joint_fingerprint(site, actor))


@router.post("/entitlements/{entitlement_id}/joint-agreements", status_code=201, openapi_extra=AGREE)
def propose_joint(site: Here, actor: By, entitlement_id: str, body: ProposalText) -> JointAgreement:
    """Propose a joint task under one's own entitlement; its letter is for the peer."""
    terms = service.JointTerms(**body.model_dump(exclude={"own"}))
    return service.propose_joint(site, actor, EntitlementId(entitlement_id), terms, body.own.half())


@router.post("/entitlements/{entitlement_id}/joint-agreements/answers", status_code=201, openapi_extra=AGREE)
def answer_joint(site: Here, actor: By, entitlement_id: str, body: AnswerText) -> JointAgreement:
    """Answer a peer's proposal with one's own side; the letter of the answer is for the peer."""
    return service.answer_joint(
        site, actor, EntitlementId(entitlement_id), body.letter.encode(), body.fingerprint, body.own.half()
    )


@router.post("/joint-agreements/confirmations", openapi_extra=AGREE)
def confirm_joint(site: Here, actor: By, body: LetterText) -> JointAgreement:
    """Take the peer's answer or confirmation: both have signed now, and our run waits in the queue."""
    return service.confirm_joint(site, actor, body.letter.encode(), body.fingerprint)[0]


@router.get("/joint-agreements", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def list_joint(site: Here, actor: By, page: Asked) -> Page[JointAgreement]:
    """Return joint agreements that the actor may know of, newest first."""
    return service.list_joint(site, actor, page)


@router.get("/joint-agreements/{joint_id}", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def get_joint(site: Here, actor: By, joint_id: str) -> JointAgreement:
    """Return a joint agreement: both sides, thresholds, limits, signatures, and its job."""
    return service.get_joint(site, actor, joint_id)


@router.get("/joint-agreements/{joint_id}/letter", openapi_extra=AGREE)
def joint_letter(site: Here, actor: By, joint_id: str) -> LetterFile:
    """Return the letter that the peer needs next, as a file of text."""
    return LetterFile(letter=service.joint_letter(site, actor, joint_id).decode())


@router.post("/joint-agreements/{joint_id}/runs", status_code=201, openapi_extra=AGREE)
def run_joint_again(site: Here, actor: By, joint_id: str) -> Job:
    """Queue our side once more, where the peer's node did not come."""
    return service.run_joint_again(site, actor, joint_id)[1]


@router.post("/joint-agreements/{joint_id}/withdrawal", openapi_extra=AGREE)
def withdraw_joint(site: Here, actor: By, joint_id: str) -> JointAgreement:
    """Withdraw an agreement that has not come to a meeting."""
    return service.withdraw_joint(site, actor, joint_id)


@router.get("/jobs/{job_id}/progress", openapi_extra={"x-permission": Permission.READ_JOB_VIEW.value})
def progress_of(site: Here, actor: By, job_id: str) -> JobProgress | None:
    """Return how far a job is, in percent and by phase; null for one that does not tell."""
    return service.progress_of(site, actor, JobId(job_id))
