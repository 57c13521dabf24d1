"""The table of jobs. It holds code, names, digests and counts; no row and no value."""

from gongshu.base.ids import GrantId, JobId
from gongshu.base.site import Transaction
from gongshu.base.tables import Documents, short
from gongshu.compute.types import Job, JobStatus

JOBS: Documents[Job] = Documents(
    "job", Job, short("developer"), short("operator"), short("entitlement"), short("grant"), short("status"),
    index=lambda job: {
        "developer": job.developer, "operator": job.operator, "entitlement": job.entitlement, "grant": job.grant,
        "status": job.status.value,
    },
)  # fmt: skip

UNFINISHED = (JobStatus.SUBMITTED.value, JobStatus.RUNNING.value)


def unfinished_under(tx: Transaction, grant_id: GrantId) -> tuple[Job, ...]:
    """Return the jobs under a grant that wait or run."""
    return JOBS.all(tx, grant=grant_id, status=UNFINISHED)


def waiting(tx: Transaction) -> tuple[JobId, ...]:
    """Return the jobs that wait or run, oldest first."""
    return tuple(job.id for job in JOBS.all(tx, status=UNFINISHED))
