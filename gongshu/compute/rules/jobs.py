"""Jobs on their way: statuses as a table, limits, who may see them, what may be told about a run."""

from dataclasses import replace
from datetime import datetime

from gongshu.access.types import Actor, Role
from gongshu.base.decisions import Decision, Denied, Kind, Permitted, decide, decide_step, rule
from gongshu.base.digest import Ref, canonical_json, sha256_hex
from gongshu.compute.types import (
    Engine,
    GovernedQuery,
    Job,
    JobKind,
    JobLimits,
    JobPlan,
    JobReport,
    JobStatus,
    JointAgreement,
    LookupDefinition,
    OutputFile,
    StatementParameter,
    VerificationDefinition,
)
from gongshu.policies.types import Thresholds

SUBMITTED, RUNNING = JobStatus.SUBMITTED, JobStatus.RUNNING
SUCCEEDED, FAILED, STOPPED = JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED

TRANSITIONS: dict[tuple[JobStatus, str], tuple[JobStatus, str]] = {
    (SUBMITTED, "run"): (RUNNING, "platform"),
    (RUNNING, "run"): (RUNNING, "platform"),  # taken up again after the worker was killed
    (RUNNING, "succeed"): (SUCCEEDED, "platform"),
    (RUNNING, "fail"): (FAILED, "platform"),
    (SUBMITTED, "stop"): (STOPPED, "implementing_agency"),
    (RUNNING, "stop"): (STOPPED, "implementing_agency"),
}

LIMITS = JobLimits(
    memory_bytes_max=2 << 30, runtime_seconds_max=600, output_rows_max=1_000_000, output_bytes_max=1 << 30
)
SYNTHETIC_LIMITS = JobLimits(
    memory_bytes_max=1 << 30, runtime_seconds_max=60, output_rows_max=100_000, output_bytes_max=1 << 28
)
OVERSIGHT = frozenset({Role.AUDITOR, Role.AUTHORISING_BODY, Role.IMPLEMENTING_AGENCY, Role.REVIEWER})
"""Roles that see every job. None of them sees a value: a job holds code, names and counts."""
TITLE_CHARACTERS_MAX = 200
SHARE_STEPS = (1, 2, 5, 10, 20, 25, 50)
"""Per cent. Each goes into 100 without a rest."""

JOB_TITLE_MISSING = rule(
    "job-title-missing", Kind.INVALID, zh="请填写任务名称（不超过 {limit} 字）。",
    en="The job needs a title of at most {limit} characters.",
    fix_zh="例如：企业区域分布。", fix_en="For example: enterprises by region.",
)  # fmt: skip
JOB_FAILED = rule(
    "job-failed", Kind.CONFLICT, zh="任务 {job} 未能完成（{failure}）。", en="The job {job} did not finish ({failure}).",
    fix_zh="请按代码检查语句、数据量或限额后重新提交。", fix_en="Look up the code, change statement or amount of data, and submit again.",
)  # fmt: skip
INPUT_CHANGED = rule(
    "input-changed", Kind.CONFLICT, zh="任务冻结的数据版本 {version} 已不是登记的版本。",
    en="The version {version} that the job froze is no longer the registered one.",
    fix_zh="请重新提交任务。", fix_en="Submit the job again.",
)  # fmt: skip
TRIAL_FAILED = rule(
    "trial-failed", Kind.INVALID, zh="在合成数据上运行失败（{failure}）。", en="The statement did not run on synthetic rows ({failure}).",
    fix_zh="请简化语句后重试。", fix_en="Simplify the statement and try again.",
)  # fmt: skip


def decide_title(title: str) -> Decision[str]:
    """Permit a title that is there and fits."""
    plain = title.strip()
    is_good = 0 < len(plain) <= TITLE_CHARACTERS_MAX
    return decide(plain, None if is_good else JOB_TITLE_MISSING.because(limit=TITLE_CHARACTERS_MAX))


def plan_query(  # noqa: PLR0917 - the parts of a plan
    entitlement: Ref, sql: str, query: GovernedQuery, inputs: tuple[Ref, ...], thresholds: Thresholds,
    engine: Engine = Engine.DUCKDB, parameters: tuple[StatementParameter, ...] = (),
) -> JobPlan:  # fmt: skip
    """Freeze a permitted statement, written for its engine: code, parameters and inputs by digest."""
    return JobPlan(
        JobKind.SQL, entitlement, sql, sha256_hex(sql.encode()), inputs, query, None, thresholds, LIMITS, engine=engine,
        parameters=parameters,
    )  # fmt: skip


def plan_verification(
    entitlement: Ref, definition: VerificationDefinition, inputs: tuple[Ref, ...], thresholds: Thresholds
) -> JobPlan:
    """Freeze a permitted verification."""
    code = canonical_json(definition)
    return JobPlan(
        JobKind.VERIFICATION, entitlement, code.decode(), sha256_hex(code), inputs, None, definition, thresholds, LIMITS
    )


def plan_lookup(
    entitlement: Ref, definition: LookupDefinition, inputs: tuple[Ref, ...], thresholds: Thresholds
) -> JobPlan:
    """Freeze a permitted look-up."""
    code = canonical_json(definition)
    return JobPlan(
        JobKind.LOOKUP,
        entitlement,
        code.decode(),
        sha256_hex(code),
        inputs,
        None,
        None,
        thresholds,
        LIMITS,
        lookup=definition,
    )


def is_over(job: Job) -> bool:
    """Whether nothing can happen to ``job`` any more."""
    return not any(status is job.status for status, _ in TRANSITIONS)


def decide_job_step(job: Job, action: str, now: datetime, failure: str = "") -> Decision[Job]:
    """Take one step of the table. ``failure`` says why a job fails or stops."""
    step = decide_step("job", TRANSITIONS, job.status, action)
    if isinstance(step, Denied):
        return step
    is_end = step.value in {SUCCEEDED, FAILED, STOPPED}
    return Permitted(
        replace(job, status=step.value, failure_code=failure, finished_at=now if is_end else job.finished_at)
    )


def decide_success(job: Job, files: tuple[OutputFile, ...], report: JobReport, now: datetime) -> Decision[Job]:
    """End a running job with its files."""
    step = decide_job_step(job, "succeed", now)
    return step if isinstance(step, Denied) else Permitted(replace(step.value, files=files, report=report))


def report_of(
    *, rows: int, groups: int, units: int, units_min: int, runtime_ms: int, defences: tuple[str, ...], negative: bool,
    has_groups: bool = False, members: int = 0, of_members: int = 0,
) -> JobReport:  # fmt: skip
    """Return what may be told: the number of withheld groups only if it is at least two and of ``units_min`` units.

    So with the share of units in them (``members`` of ``of_members``, see ``share_of``): else "some" (controls §3).

    Where rows were grouped (``has_groups``), none and few are told alike: the difference would say that somebody is there.
    """
    is_exact = (groups >= 2 and units >= units_min) or not (groups or has_groups)
    return JobReport(
        rows=rows, some_withheld=groups > 0 or has_groups, groups_withheld=groups if is_exact else None, runtime_ms=runtime_ms,
        defences=defences, needs_review=negative,
        units_withheld_percent=share_of(members, of_members, units_min) if is_exact and groups else None,
    )  # fmt: skip


def share_of(members: int, of_members: int, units_min: int) -> int | None:
    """Return a share in per cent, rounded to the smallest step that stands for at least ``units_min`` units.

    A finer one would tell, beside the number of all units, how many fewer than ``units_min`` there are. ``None`` where even
    a half is finer than that.
    """
    fitting = [step for step in SHARE_STEPS if step * of_members >= 100 * units_min]
    if not fitting or not of_members:
        return None
    return (200 * members + fitting[0] * of_members) // (2 * fitting[0] * of_members) * fitting[0]


def sees(actor: Actor, job: Job | JointAgreement) -> bool:
    """Whether ``actor`` may know of a job or a joint agreement: its developer, the operator, and those who oversee."""
    return actor.party in {job.developer, job.operator} or bool(OVERSIGHT & actor.roles)
