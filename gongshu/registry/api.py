"""Registrations over HTTP; publicity and codes are open to everybody."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.decisions import NOT_FOUND, Refused
from gongshu.base.ids import RegistrationId, ResourceId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.registry import service
from gongshu.registry.types import CancellationGround, Material, Publicity, PublicRecord, Registration

router = APIRouter(tags=["registry"])

DECIDES = {"x-permission": Permission.REGISTER_REGISTRATION_DECIDE.value}
SUBMITS = {"x-permission": Permission.SUPPLY_REGISTRATION_SUBMIT.value}
PUBLIC = {"x-permission": "public"}
READS = {"x-permission": Permission.READ_REGISTRATION_VIEW.value}
TEXT_CHARS_MAX = 20_000


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as the server's middleware resolved it."""
    return cast(Actor, request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


class MaterialText(BaseModel):
    """One group of material."""

    code: str = Field(max_length=20)
    text: str = Field(max_length=TEXT_CHARS_MAX)


class Filing(BaseModel):
    """What is filed: the public items and the seven groups of material."""

    version_number: int = Field(ge=1)
    title: str = Field(max_length=200)
    summary: str = Field(max_length=2000)
    materials: list[MaterialText] = Field(max_length=20)

    def given(self) -> tuple[Material, ...]:
        """Return the materials as types."""
        return tuple(Material(material.code, material.text) for material in self.materials)


class FirstFiling(Filing):
    """A first registration of a resource."""

    resource_id: str = Field(max_length=80)


class Defects(BaseModel):
    """The complete list of defects."""

    defects: list[Annotated[str, Field(max_length=1000)]] = Field(max_length=100)


class Explanation(BaseModel):
    """Why the review took longer than its term; empty when it did not."""

    explanation: str = Field("", max_length=2000)


class ReasonGiven(BaseModel):
    """A reason, told to the registrant."""

    reason: str = Field(max_length=2000)


class Objection(BaseModel):
    """Facts and evidence against a registration in publicity."""

    evidence: str = Field(max_length=TEXT_CHARS_MAX)


class ObjectionDecision(BaseModel):
    """Whether the objection is upheld, and why."""

    upholds: bool
    reason: str = Field(max_length=2000)


class Cancellation(BaseModel):
    """On which ground a registration is cancelled, and why."""

    ground: CancellationGround
    reason: str = Field(max_length=2000)


@router.post("/registrations", status_code=201, openapi_extra=SUBMITS)
def submit(body: FirstFiling, site: Here, actor: By) -> Registration:
    """File a first registration."""
    return service.submit(
        site, actor, resource_id=ResourceId(body.resource_id), version_number=body.version_number, title=body.title,
        summary=body.summary, materials=body.given(),
    )  # fmt: skip


@router.get("/registrations", openapi_extra=READS)
def list_registrations(page: Asked, site: Here, actor: By) -> Page[Registration]:
    """List registrations that one may read."""
    return service.list_registrations(site, actor, page)


@router.get("/registrations/{registration_id}", openapi_extra=READS)
def get_registration(registration_id: str, site: Here, actor: By) -> Registration:
    """Show a registration."""
    return service.get_registration(site, actor, RegistrationId(registration_id))


@router.post("/registrations/{registration_id}/resubmission", openapi_extra=SUBMITS)
def resubmit(registration_id: str, body: Filing, site: Here, actor: By) -> Registration:
    """File again after a return."""
    return service.resubmit(
        site, actor, RegistrationId(registration_id), title=body.title, summary=body.summary, materials=body.given(),
        version_number=body.version_number,
    )  # fmt: skip


@router.post("/registrations/{registration_id}/return", openapi_extra=DECIDES)
def return_for_supplement(registration_id: str, body: Defects, site: Here, actor: By) -> Registration:
    """Return a case with one complete list of defects."""
    return service.return_for_supplement(site, actor, RegistrationId(registration_id), tuple(body.defects))


@router.post("/registrations/{registration_id}/acceptance", openapi_extra=DECIDES)
def accept(registration_id: str, site: Here, actor: By) -> Registration:
    """Accept a case; the formal review starts."""
    return service.accept(site, actor, RegistrationId(registration_id))


@router.post("/registrations/{registration_id}/refusal", openapi_extra=DECIDES)
def refuse(registration_id: str, body: ReasonGiven, site: Here, actor: By) -> Registration:
    """Refuse a case at acceptance or review."""
    return service.refuse(site, actor, RegistrationId(registration_id), body.reason)


@router.post("/registrations/{registration_id}/review", openapi_extra=DECIDES)
def pass_review(registration_id: str, body: Explanation, site: Here, actor: By) -> Registration:
    """Pass the formal review; the publicity starts."""
    return service.pass_review(site, actor, RegistrationId(registration_id), body.explanation)


@router.post("/registrations/{registration_id}/objection", status_code=204, openapi_extra=READS)
def object_to(registration_id: str, body: Objection, site: Here, actor: By) -> None:
    """Object during the publicity, with real name and evidence. Answers nothing of the case itself."""
    service.object_to(site, actor, RegistrationId(registration_id), body.evidence)


@router.post("/registrations/{registration_id}/objection/decision", openapi_extra=DECIDES)
def decide_objection(registration_id: str, body: ObjectionDecision, site: Here, actor: By) -> Registration:
    """Decide on an objection."""
    return service.decide_objection(
        site, actor, RegistrationId(registration_id), upholds=body.upholds, reason=body.reason
    )


@router.post("/registrations/{registration_id}/code", openapi_extra=DECIDES)
def assign_code(registration_id: str, site: Here, actor: By) -> Registration:
    """Assign the code after the publicity."""
    return service.assign_code(site, actor, RegistrationId(registration_id))


@router.post("/registrations/{registration_id}/cancellation", openapi_extra=DECIDES)
def cancel(registration_id: str, body: Cancellation, site: Here, actor: By) -> Registration:
    """Cancel a coded registration."""
    return service.cancel(site, actor, RegistrationId(registration_id), ground=body.ground, reason=body.reason)


@router.get("/publicity", openapi_extra=PUBLIC)
def list_publicity(page: Asked, site: Here) -> Page[Publicity]:
    """List the cases in publicity: four items each."""
    return service.list_publicity(site, page)


@router.get("/codes/{code}", openapi_extra=PUBLIC)
def find_public(code: str, site: Here) -> PublicRecord:
    """Verify a registration code; ``not-found``: no valid registration has it."""
    found = service.find_public(site, code)
    if found is None:
        raise Refused((NOT_FOUND.because(kind="code", id=code[:80]),))
    return found
