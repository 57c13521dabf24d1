"""Jobs: what ran on the real data, on what, and what may be told about it."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import JobId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.compute import service as compute
from gongshu.compute.types import JobStatus
from gongshu.console.meeting import course_of
from gongshu.console.render import actor_of, is_fragment, page, site_of
from gongshu.egress import service as egress

router = APIRouter()


@router.get("/jobs")
def list_jobs(request: Request, after: str = "") -> Response:
    """List the jobs that one may know of."""
    listed = compute.list_jobs(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "jobs.html", listed=listed)


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: JobId) -> Response:
    """Show a job: frozen code and inputs, how it ran, and the output that came of it."""
    site, actor = site_of(request), actor_of(request)
    job = compute.get_job(site, actor, job_id)
    outputs = egress.list_outputs(site, actor, PageRequest(limit=PAGE_ROWS_MAX)).rows
    is_running = job.status in {JobStatus.SUBMITTED, JobStatus.RUNNING}
    own = [output for output in outputs if output.job_id == job.id]
    # The page asks again until the job has ended and its output, checked by the machine, is there.
    keeps_asking = is_running or (job.status is JobStatus.SUCCEEDED and bool(job.files) and not own)
    if is_fragment(request):
        return Response(status_code=204) if keeps_asking else Response(headers={"HX-Refresh": "true"})
    course = course_of(job, compute.progress_of(site, actor, job.id)) if job.plan.joint else None
    return page(request, "job.html", job=job, outputs=own, keeps_asking=keeps_asking, course=course)
