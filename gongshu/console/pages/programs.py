"""Python jobs: an editor with declared inputs and outputs, a trial on synthetic rows, and submission for real."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import EntitlementId
from gongshu.compute import service as compute
from gongshu.compute.types import ProgramInput
from gongshu.console.forms import Filled, Form
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.console.statements import program_for
from gongshu.scenarios import service as scenarios
from gongshu.scenarios.types import Entitlement

router = APIRouter()


@router.get("/entitlements/{entitlement_id}/python")
def show_editor(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show the editor of programs with the columns that one may be given, and in which form."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    forms = {resource.name: compute.program_columns(resource.policy) for resource in entitlement.resources}
    return page(
        request, "python.html", entitlement=entitlement, forms=forms, example=program_for(entitlement, forms),
    )  # fmt: skip


def _submission(entitlement: Entitlement, form: Form) -> compute.Submission:
    """Read code, ticked columns and names of files; ``check`` was not called yet."""
    chosen = {resource.name: form.many(f"read-{resource.name}") for resource in entitlement.resources}
    inputs = tuple(ProgramInput(name, columns) for name, columns in chosen.items() if columns)
    return compute.Submission(form.text("code"), inputs, form.lines("outputs"))


@router.post("/entitlements/{entitlement_id}/python/try")
def try_on_synthetic(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Run a program on synthetic rows and show all that it printed and wrote."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    given = _submission(entitlement, form)
    form.check()
    return page(
        request, "python-tried.html",
        trial=compute.try_python(site_of(request), actor_of(request), entitlement_id, given),
    )  # fmt: skip


@router.post("/entitlements/{entitlement_id}/python")
def submit(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Submit a program to run on the real data."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    given, title = _submission(entitlement, form), form.text("title")
    form.check()
    job = compute.submit_python(site_of(request), actor_of(request), entitlement_id, title, given)
    return done(request, f"/jobs/{job.id}", "Submitted. Code and inputs are frozen by digest.")
