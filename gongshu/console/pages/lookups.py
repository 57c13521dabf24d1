"""Look-ups: which tags are answered of whom."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import EntitlementId
from gongshu.compute import service as compute
from gongshu.compute.types import LookupDefinition, LookupKey, LookupOutput
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.policies import service as policies
from gongshu.policies.types import Use
from gongshu.scenarios import service as scenarios

router = APIRouter()


@router.get("/entitlements/{entitlement_id}/lookup")
def show_lookup_form(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show the form of a look-up: by which columns a subject is named, and which are answered as tags."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    columns = {
        resource.name: {
            use: [c for c in resource.policy.columns if use in policies.closed(c.uses) and c.column not in unit]
            for use, unit in ((Use.COMPARE, ()), (Use.REVEAL, resource.policy.unit))
        }
        for resource in entitlement.resources
    }
    return page(
        request, "lookup-form.html", entitlement=entitlement, columns=columns, by=Use.COMPARE, shown=Use.REVEAL
    )  # fmt: skip


@router.post("/entitlements/{entitlement_id}/lookup")
def submit_lookup(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Submit the definition of a look-up: each subject's tags are enciphered."""
    title, relation = form.text("title"), form.text("relation")
    keys, outputs = [], []
    for column in form.names("key-"):
        name = form.text(f"key-{column}", is_required=False)
        if name:
            keys.append(LookupKey(name, column))
    for column in form.names("tag-"):
        name = form.text(f"tag-{column}", is_required=False)
        if name:
            bounds = form.text(f"bounds-{column}", is_required=False).replace("，", ",").split(",")
            outputs.append(LookupOutput(name, column, tuple(bound.strip() for bound in bounds if bound.strip())))
    form.check()
    definition = LookupDefinition(relation, tuple(keys), tuple(outputs))
    job = compute.submit_lookup(site_of(request), actor_of(request), entitlement_id, title, definition)
    return done(request, f"/jobs/{job.id}", "Submitted. Code and inputs are frozen by digest.")
