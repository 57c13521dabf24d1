"""Registrations: filed by the supplier, taken through their steps by the registrar, opened to objection by anybody."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import RegistrationId, ResourceId
from gongshu.base.paging import PageRequest
from gongshu.catalog import service as catalog
from gongshu.console.drafts import MATERIAL_DRAFTS
from gongshu.console.forms import Filled, Form
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.registry import service as registry
from gongshu.registry.types import MATERIALS, CancellationGround, Material

router = APIRouter()


@router.get("/registrations")
def list_registrations(request: Request, after: str = "") -> Response:
    """List the cases that one may read."""
    listed = registry.list_registrations(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "registrations.html", listed=listed)


def _read_materials(form: Form) -> tuple[Material, ...]:
    return tuple(Material(code, form.text(f"material-{code}", is_required=False)) for code in MATERIALS)


@router.get("/resources/{resource_id}/register")
def register_form(request: Request, resource_id: ResourceId) -> Response:
    """Show the form of a first registration with its seven groups of material."""
    resource = catalog.get_resource(site_of(request), actor_of(request), resource_id)
    return page(
        request, "registration-form.html", resource=resource, registration=None, materials=MATERIALS,
        drafts=MATERIAL_DRAFTS, number=resource.latest_version,
    )  # fmt: skip


@router.post("/resources/{resource_id}/register")
def submit(request: Request, resource_id: ResourceId, form: Filled) -> Response:
    """File a first registration."""
    title, summary, number = form.text("title"), form.text("summary"), form.whole("version")
    materials = _read_materials(form)
    form.check()
    made = registry.submit(
        site_of(request), actor_of(request), resource_id=resource_id, version_number=number, title=title,
        summary=summary, materials=materials,
    )  # fmt: skip
    return done(request, f"/registrations/{made.id}", "The registration is filed. The registrar accepts or returns it.")


@router.get("/registrations/{registration_id}")
def show_registration(request: Request, registration_id: RegistrationId) -> Response:
    """Show a case, its steps with their due days, and what can be done next."""
    site, actor = site_of(request), actor_of(request)
    registration = registry.get_registration(site, actor, registration_id)
    return page(
        request, "registration.html", registration=registration, terms=registration.terms, materials=MATERIALS,
        grounds=tuple(CancellationGround), resource=catalog.get_resource(site, actor, registration.terms.resource),
    )  # fmt: skip


@router.get("/registrations/{registration_id}/resubmit")
def resubmit_form(request: Request, registration_id: RegistrationId) -> Response:
    """Show the form of a case that was returned, as it was filed."""
    site, actor = site_of(request), actor_of(request)
    registration = registry.get_registration(site, actor, registration_id)
    resource = catalog.get_resource(site, actor, registration.terms.resource)
    return page(
        request, "registration-form.html", resource=resource, registration=registration, materials=MATERIALS,
        drafts=MATERIAL_DRAFTS, number=registration.terms.version_number,
    )  # fmt: skip


@router.post("/registrations/{registration_id}/resubmit")
def resubmit(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """File again after a return."""
    title, summary, number = form.text("title"), form.text("summary"), form.whole("version")
    materials = _read_materials(form)
    form.check()
    registry.resubmit(
        site_of(request), actor_of(request), registration_id, title=title, summary=summary, materials=materials,
        version_number=number,
    )  # fmt: skip
    return done(request, f"/registrations/{registration_id}", "Filed again; a new receipt date starts.")


@router.post("/registrations/{registration_id}/accept")
def accept(request: Request, registration_id: RegistrationId) -> Response:
    """Accept a case: the formal review starts."""
    registry.accept(site_of(request), actor_of(request), registration_id)
    return done(request, f"/registrations/{registration_id}", "Accepted. The formal review runs.")


@router.post("/registrations/{registration_id}/return")
def return_for_supplement(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Return a case with one complete list of defects."""
    registry.return_for_supplement(site_of(request), actor_of(request), registration_id, form.lines("defects"))
    return done(request, f"/registrations/{registration_id}", "Returned with the list of defects.")


@router.post("/registrations/{registration_id}/refuse")
def refuse(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Refuse a case."""
    reason = form.text("reason", is_required=False)
    registry.refuse(site_of(request), actor_of(request), registration_id, reason)
    return done(request, f"/registrations/{registration_id}", "Refused; the registrant reads why.")


@router.post("/registrations/{registration_id}/pass")
def pass_review(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Pass the formal review: the publicity starts."""
    explanation = form.text("explanation", is_required=False)
    registry.pass_review(site_of(request), actor_of(request), registration_id, explanation)
    return done(request, f"/registrations/{registration_id}", "The review is passed. The publicity runs.")


@router.post("/registrations/{registration_id}/object")
def object_to(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Object to a registration in publicity."""
    evidence = form.text("evidence", is_required=False)
    registry.object_to(site_of(request), actor_of(request), registration_id, evidence)
    return done(request, "/portal", "Your objection is recorded; the publicity pauses.")


@router.post("/registrations/{registration_id}/objection")
def decide_objection(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Uphold or dismiss an objection."""
    upholds, reason = form.text("upholds") == "yes", form.text("reason", is_required=False)
    form.check()
    registry.decide_objection(site_of(request), actor_of(request), registration_id, upholds=upholds, reason=reason)
    return done(request, f"/registrations/{registration_id}", "The objection is decided.")


@router.post("/registrations/{registration_id}/code")
def assign_code(request: Request, registration_id: RegistrationId) -> Response:
    """Assign the code after an unchallenged publicity."""
    registry.assign_code(site_of(request), actor_of(request), registration_id)
    return done(request, f"/registrations/{registration_id}", "The code is assigned.")


@router.post("/registrations/{registration_id}/cancel")
def cancel(request: Request, registration_id: RegistrationId, form: Filled) -> Response:
    """Cancel a coded registration."""
    ground, reason = form.choice("ground", CancellationGround), form.text("reason", is_required=False)
    form.check()
    registry.cancel(
        site_of(request), actor_of(request), registration_id, ground=ground or CancellationGround.BY_LAW, reason=reason
    )
    return done(request, f"/registrations/{registration_id}", "The registration is cancelled.")
