"""The table of jobs. It holds code, names, digests and counts; no row and no value."""

from gongshu.base.ids import EntitlementId, GrantId, JobId
from gongshu.base.paging import Page, PageRequest
from gongshu.base.site import Transaction
from gongshu.base.tables import SHORT_CHARS_MAX, Documents, never_negative, short
from gongshu.compute.types import (
    BudgetCharge,
    DerivedRelation,
    Job,
    JobKind,
    JobProgress,
    JobStatus,
    JointAgreement,
    PrivacyBudget,
)

JOBS: Documents[Job] = Documents(
    "job", Job, short("developer"), short("operator"), short("entitlement"), short("grant"), short("status"),
    index=lambda job: {
        "developer": job.developer, "operator": job.operator, "entitlement": job.entitlement, "grant": job.grant,
        "status": job.status.value,
    },
)  # fmt: skip

DERIVED: Documents[DerivedRelation] = Documents(
    "derived_relation", DerivedRelation, short("entitlement"), short("state"),
    index=lambda derived: {
        "entitlement": derived.entitlement, "state": "dropped" if derived.dropped_at else "in_use",
    },
)  # fmt: skip

AGREEMENTS: Documents[JointAgreement] = Documents(
    "joint_agreement", JointAgreement, short("developer"), short("operator"), short("grant"), short("status"),
    short("nonce"), short("address"),
    index=lambda kept: {
        "developer": kept.developer, "operator": kept.operator, "grant": kept.grant, "status": kept.status.value,
        "nonce": kept.proposal.nonce, "address": kept.own.address[:SHORT_CHARS_MAX] if kept.own else "",
    },
)  # fmt: skip

BUDGETS: Documents[PrivacyBudget] = Documents(
    "privacy_budget", PrivacyBudget, never_negative("epsilon_milli_left"), never_negative("delta_pico_left"),
    index=lambda budget: {
        "epsilon_milli_left": budget.epsilon_milli_left, "delta_pico_left": budget.delta_pico_left,
    },
)  # fmt: skip

CHARGES: Documents[BudgetCharge] = Documents(
    "budget_charge", BudgetCharge, short("entitlement"), short("plan_digest"),
    index=lambda charge: {"entitlement": charge.entitlement, "plan_digest": charge.plan_digest},
)  # fmt: skip

PROGRESS: Documents[JobProgress] = Documents("job_progress", JobProgress)

UNFINISHED = (JobStatus.SUBMITTED.value, JobStatus.RUNNING.value)


def unfinished_under(tx: Transaction, grant_id: GrantId) -> tuple[Job, ...]:
    """Return the jobs under a grant that wait or run."""
    return JOBS.all(tx, grant=grant_id, status=UNFINISHED)


def waiting(tx: Transaction) -> tuple[JobId, ...]:
    """Return the jobs that wait or run, oldest first."""
    return tuple(job.id for job in JOBS.all(tx, status=UNFINISHED))


def derived_under(tx: Transaction, entitlement_id: EntitlementId) -> tuple[DerivedRelation, ...]:
    """Return the derived relations of an entitlement, oldest first."""
    return DERIVED.all(tx, entitlement=entitlement_id, state="in_use")


def derived_page(tx: Transaction, entitlement_id: EntitlementId, page: PageRequest) -> Page[DerivedRelation]:
    """Return one page of the derived relations of an entitlement, oldest first."""
    return DERIVED.page(tx, page, newest_first=False, entitlement=entitlement_id, state="in_use")


def waiting_joint(tx: Transaction) -> frozenset[JobId]:
    """Return those of the jobs that wait or run which need a peer's node to come."""
    return frozenset(job.id for job in JOBS.all(tx, status=UNFINISHED) if job.plan.kind is JobKind.JOINT)


def put_progress(tx: Transaction, progress: JobProgress) -> None:
    """Keep how far a job is, in place of what was kept before."""
    before = PROGRESS.find(tx, progress.id)
    if before is None:
        PROGRESS.add(tx, progress)
    else:
        PROGRESS.save(tx, before, progress)
