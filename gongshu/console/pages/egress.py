"""Outputs in quarantine, their two reviews, and releases."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access.types import Actor
from gongshu.base.decisions import Reason, Refused
from gongshu.base.ids import OutputId, ReleaseId
from gongshu.base.paging import PageRequest
from gongshu.base.site import Site
from gongshu.compute import service as compute
from gongshu.compute.types import JobKind, JobReport
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.egress import service as egress
from gongshu.egress.types import CheckVerdict, Output, OutputStatus, Preview, ReviewKind
from gongshu.products import service as products

router = APIRouter()

PREVIEW_ROWS = 50


@router.get("/outputs")
def list_outputs(request: Request, after: str = "", status: str = "") -> Response:
    """List the outputs that one may know of, or those with one status."""
    wanted = OutputStatus(status) if status in set(OutputStatus) else None
    listed = egress.list_outputs(site_of(request), actor_of(request), PageRequest(after=after), status=wanted)
    return page(request, "outputs.html", listed=listed, chosen=status, statuses=tuple(OutputStatus))


@router.get("/outputs/{output_id}")
def show_output(request: Request, output_id: OutputId) -> Response:
    """Show an output: what the machine found, and to a reviewer the ballot."""
    site, actor = site_of(request), actor_of(request)
    output = egress.get_output(site, actor, output_id)
    worst = [verdict for verdict in reversed(tuple(CheckVerdict)) if any(f.verdict is verdict for f in output.findings)]
    return page(
        request, "output.html", output=output, kinds=tuple(ReviewKind), worst=worst[0] if worst else CheckVerdict.PASS,
        has_voted=any(vote.reviewer == actor.person for vote in output.votes), report=_report(site, actor, output),
    )  # fmt: skip


def _report(site: Site, actor: Actor, output: Output) -> JobReport | None:
    """Return what may be told of the run behind a result of rows, if the actor may know of it."""
    if output.kind not in {JobKind.SQL, JobKind.JOINT}:
        return None
    try:
        return compute.get_job(site, actor, output.job_id).report
    except Refused:
        return None


@router.get("/outputs/{output_id}/rows")
def preview_output(request: Request, output_id: OutputId, after: str = "", file: str = "") -> Response:
    """Show rows of a table or lines of a text to a reviewer; each look is in the log."""
    preview: Preview | None
    reasons: tuple[Reason, ...] = ()
    try:
        preview = egress.preview_output(
            site_of(request), actor_of(request), output_id, PageRequest(limit=PREVIEW_ROWS, after=after), file=file
        )
    except Refused as refused:
        preview, reasons = None, refused.reasons
    return page(request, "output-rows.html", preview=preview, reasons=reasons, output_id=output_id)


@router.post("/outputs/{output_id}/submit")
def submit_for_review(request: Request, output_id: OutputId, form: Filled) -> Response:
    """Ask for the two reviews."""
    context = form.text("context")
    form.check()
    egress.submit_for_review(site_of(request), actor_of(request), output_id, context)
    return done(request, f"/outputs/{output_id}", "Submitted. Two independent reviewers look at it next.")


@router.post("/outputs/{output_id}/vote")
def vote(request: Request, output_id: OutputId, form: Filled) -> Response:
    """Give one of the two reviews, bound to the digest that the page showed."""
    kind, digest = form.choice("kind", ReviewKind) or ReviewKind.SECURITY, form.text("digest")
    approves, reason = form.text("approves") == "yes", form.text("reason", is_required=False)
    form.check()
    egress.vote(site_of(request), actor_of(request), output_id, kind, digest, approves=approves, reason=reason)
    return done(request, f"/outputs/{output_id}", "Your review is recorded, bound to the digest you saw.")


@router.post("/outputs/{output_id}/release")
def release(request: Request, output_id: OutputId) -> Response:
    """Let exactly the reviewed bytes leave."""
    made = egress.release(site_of(request), actor_of(request), output_id)
    return done(request, f"/releases/{made.id}", "Released: exactly the reviewed bytes. Define a product of it.")


@router.get("/releases")
def list_releases(request: Request, after: str = "") -> Response:
    """List releases."""
    listed = egress.list_releases(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "releases.html", listed=listed)


@router.get("/releases/{release_id}")
def show_release(request: Request, release_id: ReleaseId) -> Response:
    """Show a release, and to the operator the form that makes a product of it."""
    site, actor = site_of(request), actor_of(request)
    return page(
        request, "release.html", release=egress.get_release(site, actor, release_id),
        kinds=products.kinds_of_release(site, actor, release_id),
    )  # fmt: skip
