"""Implementation plans: written and submitted by the agency, decided by the authorising body."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import PlanId
from gongshu.base.paging import PageRequest
from gongshu.console.drafts import PLAN_DRAFTS
from gongshu.console.forms import Filled, Form
from gongshu.console.labels import sentence
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.grants import service as grants
from gongshu.grants.types import PLAN_PARTS, CollectiveDecision, Mode, Part

router = APIRouter()


def read_parts(form: Form, codes: dict[str, object]) -> tuple[Part, ...]:
    """Return the parts of a text: one field per code. Empty ones are the room's business to refuse."""
    return tuple(Part(code, form.text(f"part-{code}", is_required=False)) for code in codes)


def read_collective_decision(form: Form) -> CollectiveDecision:
    """Return the collective decision as it was recorded; the room says what is missing."""
    fields = (form.text(name, is_required=False) for name in ("body", "record_number", "minutes_digest"))
    return CollectiveDecision(*fields)


@router.get("/plans")
def list_plans(request: Request, after: str = "") -> Response:
    """List the plans that one may know of."""
    return page(
        request, "plans.html", listed=grants.list_plans(site_of(request), actor_of(request), PageRequest(after=after))
    )


@router.get("/plans/write")
def write_plan_form(request: Request) -> Response:
    """Show the form of a plan, with a draft in each of its twelve parts."""
    return page(request, "plan-form.html", plan=None, part_titles=PLAN_PARTS, drafts=PLAN_DRAFTS, modes=tuple(Mode))


@router.post("/plans")
def write_plan(request: Request, form: Filled) -> Response:
    """Keep a draft of a plan."""
    title, mode = form.text("title"), form.choice("mode", Mode)
    form.check()
    made = grants.write_plan(
        site_of(request), actor_of(request), title=title, mode=mode, parts=read_parts(form, dict(PLAN_PARTS))
    )
    return done(request, f"/plans/{made.id}", "The draft is kept. Submit it when it is complete.")


@router.get("/plans/{plan_id}")
def show_plan(request: Request, plan_id: PlanId) -> Response:
    """Show a plan and what can be done with it next."""
    plan = grants.get_plan(site_of(request), actor_of(request), plan_id)
    return page(request, "plan.html", plan=plan, part_titles=PLAN_PARTS)


@router.get("/plans/{plan_id}/rewrite")
def rewrite_plan_form(request: Request, plan_id: PlanId) -> Response:
    """Show the form of a plan as it stands."""
    plan = grants.get_plan(site_of(request), actor_of(request), plan_id)
    return page(request, "plan-form.html", plan=plan, part_titles=PLAN_PARTS, drafts=PLAN_DRAFTS, modes=tuple(Mode))


@router.post("/plans/{plan_id}/rewrite")
def rewrite_plan(request: Request, plan_id: PlanId, form: Filled) -> Response:
    """Write a draft anew."""
    title, mode = form.text("title"), form.choice("mode", Mode)
    form.check()
    grants.rewrite_plan(
        site_of(request), actor_of(request), plan_id, title=title, mode=mode, parts=read_parts(form, dict(PLAN_PARTS))
    )
    return done(request, f"/plans/{plan_id}", "The draft is kept. Submit it when it is complete.")


@router.post("/plans/{plan_id}/submit")
def submit_plan(request: Request, plan_id: PlanId) -> Response:
    """Submit a plan for decision."""
    grants.submit_plan(site_of(request), actor_of(request), plan_id)
    return done(request, f"/plans/{plan_id}", "The plan is submitted. The authorising body decides.")


@router.post("/plans/{plan_id}/decide")
def decide_plan(request: Request, plan_id: PlanId, form: Filled) -> Response:
    """Approve or reject a plan by a collective decision."""
    approves = form.text("approves") == "yes"
    reason = form.text("reason", is_required=False)
    form.check()
    grants.decide_plan(site_of(request), actor_of(request), plan_id, approves, read_collective_decision(form), reason)
    said = sentence("The plan is in effect.") if approves else sentence("The plan goes back to the agency.")
    return done(request, f"/plans/{plan_id}", said)
