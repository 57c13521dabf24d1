"""Entitlements, and what a developer does with one: governed SQL, explained as it is written, and verifications."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.decisions import Denied
from gongshu.base.ids import EntitlementId
from gongshu.base.paging import PageRequest
from gongshu.compute import service as compute
from gongshu.compute.types import Engine, Explanation, VerificationDefinition, VerificationField
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.console.statements import examples_for
from gongshu.policies.types import Use
from gongshu.scenarios import service as scenarios

router = APIRouter()

ROWS_SHOWN = 100


@router.get("/entitlements")
def list_entitlements(request: Request, after: str = "") -> Response:
    """List the entitlements that one may know of."""
    listed = scenarios.list_entitlements(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "entitlements.html", listed=listed)


@router.get("/entitlements/{entitlement_id}")
def show_entitlement(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show what may be computed with: columns with uses, thresholds, term."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    return page(
        request, "entitlement.html", entitlement=entitlement, uses=tuple(Use),
        is_in_force=entitlement.is_in_force(site_of(request).now()),
        statement=compute.read_budget(site_of(request), actor_of(request), entitlement_id),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- SQL


@router.get("/entitlements/{entitlement_id}/sql")
def show_editor(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show the editor of governed SQL with the columns that it may speak of."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    return page(
        request, "sql.html", entitlement=entitlement, uses=tuple(Use), examples=examples_for(entitlement),
        derived=compute.list_derived(site_of(request), actor_of(request), entitlement_id).rows,
        engines=tuple(Engine) if site_of(request).spark else (),
    )  # fmt: skip


@router.post("/entitlements/{entitlement_id}/explain")
def explain(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Say what the gate thinks of a statement: permitted with lineage, or every reason against it."""
    sql, given = form.text("sql", is_required=False), compute.read_parameters(form.lines("parameters"))
    if isinstance(given, Denied):
        return page(
            request, "explained.html", explanation=Explanation(permitted=False, query=None, reasons=given.reasons)
        )
    parameters = given.value
    explanation = compute.explain(site_of(request), actor_of(request), entitlement_id, sql, parameters) if sql else None
    return page(request, "explained.html", explanation=explanation)


@router.post("/entitlements/{entitlement_id}/try")
def try_on_synthetic(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Run a statement on synthetic rows and show the result."""
    sql, given = form.text("sql"), form.lines("parameters")
    form.check()
    parameters = compute.read_parameters(given).value_or_raise()
    columns, rows = compute.try_on_synthetic(site_of(request), actor_of(request), entitlement_id, sql, parameters)
    return page(request, "tried.html", columns=columns, rows=rows[:ROWS_SHOWN], total=len(rows))


@router.post("/entitlements/{entitlement_id}/jobs")
def submit_sql(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Submit a statement to run on the real data."""
    title, sql, engine = form.text("title"), form.text("sql"), form.choice("engine", Engine)
    given = form.lines("parameters")
    form.check()
    parameters = compute.read_parameters(given).value_or_raise()
    job = compute.submit_sql(site_of(request), actor_of(request), entitlement_id, title, sql, engine, parameters)
    return done(request, f"/jobs/{job.id}", "Submitted. Code and inputs are frozen by digest.")


@router.post("/entitlements/{entitlement_id}/derived")
def create_derived(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Give the statement a name, under which later ones read it."""
    name, sql = form.text("derived_name"), form.text("sql")
    form.check()
    compute.create_derived(site_of(request), actor_of(request), entitlement_id, name, sql)
    return done(request, f"/entitlements/{entitlement_id}/sql", "The derived relation can be read by its name.")


@router.post("/entitlements/{entitlement_id}/derived/{name}/drop")
def drop_derived(request: Request, entitlement_id: EntitlementId, name: str, form: Filled) -> Response:
    """Take a derived relation away."""
    form.check()
    compute.drop_derived(site_of(request), actor_of(request), entitlement_id, name)
    return done(request, f"/entitlements/{entitlement_id}/sql", "The derived relation is gone.")


# ---------------------------------------------------------------------------------------------------- verification


@router.get("/entitlements/{entitlement_id}/verification")
def show_verification_form(request: Request, entitlement_id: EntitlementId) -> Response:
    """Show the form of a verification: which input field is compared with which column."""
    entitlement = scenarios.get_entitlement(site_of(request), actor_of(request), entitlement_id)
    comparable = {
        resource.name: [column.column for column in resource.policy.columns if Use.COMPARE in column.uses]
        for resource in entitlement.resources
    }
    return page(request, "verification-form.html", entitlement=entitlement, comparable=comparable)


@router.post("/entitlements/{entitlement_id}/verification")
def submit_verification(request: Request, entitlement_id: EntitlementId, form: Filled) -> Response:
    """Submit the definition of a verification: its artifact is made of keyed hashes."""
    title, relation, key = form.text("title"), form.text("relation"), form.text("key", is_required=False)
    fields = []
    for column in form.names("field-"):
        name = form.text(f"field-{column}", is_required=False)
        if name:
            is_key = column == key
            is_required = is_key or form.is_set(f"required-{column}")
            fields.append(VerificationField(name, column, is_required=is_required, is_key=is_key))
    form.check()
    definition = VerificationDefinition(relation, tuple(fields), needs_consent=form.is_set("needs_consent"))
    job = compute.submit_verification(site_of(request), actor_of(request), entitlement_id, title, definition)
    return done(request, f"/jobs/{job.id}", "Submitted. Code and inputs are frozen by digest.")
