"""Jobs for those who may know of them, and their end with a grant."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import NOT_FOUND, Refused
from gongshu.base.ids import GrantId, JobId
from gongshu.base.paging import FIRST_PAGE, Page, PageRequest, page_where
from gongshu.base.site import Site, Transaction
from gongshu.compute import store
from gongshu.compute.adapters import folders
from gongshu.compute.rules import jobs, programs
from gongshu.compute.rules.lineage import column_lineage_facet
from gongshu.compute.types import Job, Relation
from gongshu.grants.types import Disposal, DisposalKind
from gongshu.scenarios import service as scenarios

DUTY = "停止运行；清除工作目录中的投影和中间结果"


def job_in(tx: Transaction, job_id: JobId) -> Job:
    """Return a job inside the caller's transaction; refused with ``not-found``."""
    return store.JOBS.get(tx, job_id)


def get_job(site: Site, actor: Actor, job_id: JobId) -> Job:
    """Return a job that the actor may know of."""
    access.require(actor, Permission.READ_JOB_VIEW)
    with site.db.reading() as tx:
        found = store.JOBS.find(tx, job_id)
    if found is None or not jobs.sees(actor, found):
        raise Refused((NOT_FOUND.because(kind="job", id=job_id),))
    return programs.as_seen(actor, found)


def job_lineage(site: Site, actor: Actor, job_id: JobId) -> dict[str, Any]:
    """Return the column lineage of a job's result as facets of OpenLineage; of a job without a statement, none."""
    job = get_job(site, actor, job_id)
    if job.plan.query is None:
        return {}
    with site.db.reading() as tx:
        entitlement = scenarios.entitlement_in(tx, job.entitlement)
    relations = tuple(Relation(r.name, r.resource, (), r.policy) for r in entitlement.resources)
    return column_lineage_facet(job.plan.query, relations)


def list_jobs(site: Site, actor: Actor, page: PageRequest = FIRST_PAGE) -> Page[Job]:
    """Return jobs that the actor may know of, newest first."""
    access.require(actor, Permission.READ_JOB_VIEW)
    with site.db.reading() as tx:
        found = page_where(lambda ask: store.JOBS.page(tx, ask), lambda job: jobs.sees(actor, job), page)
    return replace(found, rows=tuple(programs.as_seen(actor, job) for job in found.rows))


def waiting_jobs(site: Site) -> tuple[JobId, ...]:
    """Return the jobs that wait, or ran when a worker was killed, oldest first. For the worker."""
    with site.db.reading() as tx:
        return store.waiting(tx)


def waiting_joint_jobs(site: Site) -> frozenset[JobId]:
    """Return those of the waiting jobs that need a peer's node to come: they may take long and must not hold up others."""
    with site.db.reading() as tx:
        return store.waiting_joint(tx)


def output_folder(site: Site, job: Job) -> Path:
    """Return where the files of a job lie, in quarantine. Shown to nobody until egress releases them."""
    return folders.output_folder(site.home, job.id)


def stop_under_in(tx: Transaction, site: Site, actor: Actor, grant_id: GrantId, reason: str) -> tuple[Disposal, ...]:
    """Stop every job under a grant that waits or runs, in the transaction that ends the grant; each with its audit entry.

    A run that is under way finds its job stopped when it ends, and throws its files away.
    """
    disposals = []
    for job in store.unfinished_under(tx, grant_id):
        decision = jobs.decide_job_step(job, "stop", site.now(), "grant-ended")
        audit.record(
            tx, site, actor=actor, action="job.stop", subject=job.ref, decision=decision,
            origins=(job.plan.entitlement,), facts={"reason": reason},
        )  # fmt: skip
        store.JOBS.save(tx, job, decision.value_or_raise())
        tx.after_commit(partial(folders.remove, folders.kept_folder(site.home, job.id)))
        disposals.append(Disposal(DisposalKind.JOB, job.ref, DUTY))
    return tuple(disposals)
