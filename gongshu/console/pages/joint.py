"""Joint computing: proposing and answering, the letters between two installations, and how far a run is."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import EntitlementId
from gongshu.base.paging import PageRequest
from gongshu.catalog.types import DataType
from gongshu.compute import service as compute
from gongshu.compute.types import Job, JobProgress, JointAgreement, JointKind, JointLearners, JointStatus
from gongshu.console.forms import Filled, Form
from gongshu.console.meeting import course_of, learnings
from gongshu.console.render import actor_of, done, is_fragment, page, site_of
from gongshu.policies.types import Use
from gongshu.scenarios import service as scenarios

router = APIRouter()

LETTER_BYTES_READ_MAX = 1 << 20
KEY_TYPES = (DataType.TEXT, DataType.INTEGER, DataType.DATE)
AWAITS_LETTER = frozenset({JointStatus.PROPOSED, JointStatus.ANSWERED})


@router.get("/joint")
def list_joint(request: Request, after: str = "") -> Response:
    """List the joint agreements that one may know of."""
    listed = compute.list_joint(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "joint-list.html", listed=listed)


@router.get("/joint/{agreement_id}")
def show_joint(request: Request, agreement_id: str) -> Response:
    """Show an agreement: both sides, what each learns, the letters, and how far its run is."""
    kept = compute.get_joint(site_of(request), actor_of(request), agreement_id)
    job, progress = _run_of(request, kept)
    is_own = kept.developer == actor_of(request).party
    return page(
        request, "joint.html", kept=kept, job=job, course=course_of(job, progress), learnings=learnings(kept),
        fingerprint_of=compute.fingerprint_of, is_own=is_own,
        awaits_letter=is_own and kept.status in AWAITS_LETTER,
        has_letter=is_own and (kept.status in AWAITS_LETTER or (kept.status is JointStatus.AGREED and kept.number == 0)),
        may_run_again=is_own and kept.status is JointStatus.AGREED and job is not None and course_of(job, None).is_over,
    )  # fmt: skip


def _run_of(request: Request, kept: JointAgreement) -> tuple[Job | None, JobProgress | None]:
    if kept.job is None:
        return None, None
    site, actor = site_of(request), actor_of(request)
    return compute.get_job(site, actor, kept.job), compute.progress_of(site, actor, kept.job)


@router.get("/joint/{agreement_id}/progress")
def show_progress(request: Request, agreement_id: str) -> Response:
    """Show the bar and the picture again; the page is loaded anew once the run is over."""
    kept = compute.get_joint(site_of(request), actor_of(request), agreement_id)
    job, progress = _run_of(request, kept)
    course = course_of(job, progress)
    if course.is_over and is_fragment(request):
        return Response(headers={"HX-Refresh": "true"})
    return page(request, "joint-course.html", kept=kept, job=job, course=course)


@router.get("/joint/{agreement_id}/letter")
def download_letter(request: Request, agreement_id: str) -> Response:
    """Give the letter that the peer needs next, as a file."""
    content = compute.joint_letter(site_of(request), actor_of(request), agreement_id)
    kept = compute.get_joint(site_of(request), actor_of(request), agreement_id)
    name = f"{kept.id[-12:]}-{kept.status}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/json", headers=headers)


@router.get("/entitlements/{entitlement_id}/joint")
def show_joint_form(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show the two forms: propose a task, or answer a peer's proposal."""
    site, actor = site_of(request), actor_of(request)
    entitlement = scenarios.get_entitlement(site, actor, entitlement_id)
    policies = [resource.policy for resource in entitlement.resources]
    keys = [column for policy in policies for column in policy.unit if Use.JOIN in policy.of(column).uses]
    values = [c.column for policy in policies for c in policy.columns if Use.TOTAL in c.uses and c.mask is None]
    return page(
        request, "joint-form.html", entitlement=entitlement, relations=_pairs([r.name for r in entitlement.resources]),
        keys=_pairs(keys), values=_pairs(values), kinds=tuple(JointKind), learners=tuple(JointLearners),
        key_types=KEY_TYPES, fingerprint=compute.joint_fingerprint(site, actor),
    )  # fmt: skip


def _pairs(names: list[str]) -> list[tuple[str, str]]:
    """Return value and words of each choice, once: here the words are the names."""
    return [(name, name) for name in dict.fromkeys(names)]


def _half(form: Form) -> compute.JointHalf:
    return compute.JointHalf(
        relation=form.text("relation"), key_column=form.text("key"), rows_max=form.whole("rows_max"),
        address=form.text("address"), value_column=form.text("value", is_required=False),
        value_scale=form.whole("scale") if form.text("scale", is_required=False) else 0,
        is_padded=form.is_set("pad"),
    )  # fmt: skip


def _letter(form: Form) -> bytes:
    content = b""
    for sent in form.files("letter"):
        with sent.file:
            content = content or sent.file.read(LETTER_BYTES_READ_MAX)
    return content


@router.post("/entitlements/{entitlement_id}/joint")
def propose(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Propose a joint task."""
    half = _half(form)
    kind = form.choice("kind", JointKind) or JointKind.COUNT
    terms = compute.JointTerms(
        kind=kind, purpose=form.text("purpose"),
        learners=form.choice("learners", JointLearners) or JointLearners.PROPOSER,
        peer_brings_value=kind is JointKind.SUMS and not half.value_column,
        key_type=form.choice("key_type", DataType) or DataType.TEXT,
    )  # fmt: skip
    form.check()
    kept = compute.propose_joint(site_of(request), actor_of(request), entitlement_id, terms, half)
    return done(request, f"/joint/{kept.id}", "Proposed. Hand the letter to the peer.")


@router.post("/entitlements/{entitlement_id}/joint/answers")
def answer(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Answer a peer's proposal with our side."""
    half, letter, fingerprint = _half(form), _letter(form), form.text("fingerprint")
    form.check()
    site, actor = site_of(request), actor_of(request)
    kept = compute.answer_joint(site, actor, entitlement_id, letter, fingerprint, half)
    return done(request, f"/joint/{kept.id}", "Answered. Hand the letter to the peer.")


@router.post("/joint/confirmations")
def confirm(request: Request, form: Filled) -> Response:
    """Take the peer's answer or confirmation."""
    letter, fingerprint = _letter(form), form.text("fingerprint")
    form.check()
    kept, _ = compute.confirm_joint(site_of(request), actor_of(request), letter, fingerprint)
    return done(request, f"/joint/{kept.id}", "Agreed by both. The run waits in the queue.")


@router.post("/joint/{agreement_id}/runs")
def run_again(request: Request, agreement_id: str) -> Response:
    """Queue our side once more."""
    kept, _ = compute.run_joint_again(site_of(request), actor_of(request), agreement_id)
    return done(request, f"/joint/{kept.id}", "The run waits in the queue.")


@router.post("/joint/{agreement_id}/withdrawal")
def withdraw(request: Request, agreement_id: str) -> Response:
    """Withdraw an agreement."""
    kept = compute.withdraw_joint(site_of(request), actor_of(request), agreement_id)
    return done(request, f"/joint/{kept.id}", "Withdrawn.")
