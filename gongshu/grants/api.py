"""Plans, agreements and grants over HTTP."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import AgreementId, GrantId, PlanId, ResourceId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.grants import service
from gongshu.grants.types import (
    Agreement,
    CollectiveDecision,
    ExitRecord,
    Grant,
    GrantTerms,
    Mode,
    Part,
    Plan,
    ResourceScope,
    SelectionMethod,
)

router = APIRouter(tags=["grants"])

READS = {"x-permission": Permission.READ_GRANT_VIEW.value}
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


class PartText(BaseModel):
    """One mandatory part and its text."""

    code: str = Field(max_length=20)
    text: str = Field(max_length=TEXT_CHARS_MAX)


class PlanText(BaseModel):
    """An implementation plan; a draft may be incomplete."""

    title: str = Field(max_length=200)
    mode: Mode | None = None
    parts: list[PartText] = Field(max_length=30)


class PlanDecision(BaseModel):
    """The decision on a plan, with the record of the body that took it."""

    approves: bool
    decision: CollectiveDecision | None = None
    reason: str = Field("", max_length=2000)


class NewAgreement(BaseModel):
    """An agreement to propose."""

    plan_id: str = Field(max_length=80)
    selection: SelectionMethod | None = None
    terms: GrantTerms
    parts: list[PartText] = Field(max_length=30)


class Signature(BaseModel):
    """A signature; the agency adds its collective decision."""

    decision: CollectiveDecision | None = None


class ReasonGiven(BaseModel):
    """Why."""

    reason: str = Field(max_length=2000)


def _parts(given: list[PartText]) -> tuple[Part, ...]:
    return tuple(Part(part.code, part.text) for part in given)


@router.post("/plans", status_code=201, openapi_extra={"x-permission": Permission.AGENCY_PLAN_WRITE.value})
def write_plan(body: PlanText, site: Here, actor: By) -> Plan:
    """Write a plan as a draft."""
    return service.write_plan(site, actor, title=body.title, mode=body.mode, parts=_parts(body.parts))


@router.get("/plans", openapi_extra=READS)
def list_plans(page: Asked, site: Here, actor: By) -> Page[Plan]:
    """List plans that one may know of."""
    return service.list_plans(site, actor, page)


@router.get("/plans/{plan_id}", openapi_extra=READS)
def get_plan(plan_id: str, site: Here, actor: By) -> Plan:
    """Show a plan."""
    return service.get_plan(site, actor, PlanId(plan_id))


@router.put("/plans/{plan_id}", openapi_extra={"x-permission": Permission.AGENCY_PLAN_WRITE.value})
def rewrite_plan(plan_id: str, body: PlanText, site: Here, actor: By) -> Plan:
    """Write a draft or a rejected plan anew."""
    return service.rewrite_plan(
        site, actor, PlanId(plan_id), title=body.title, mode=body.mode, parts=_parts(body.parts)
    )


@router.post("/plans/{plan_id}/submission", openapi_extra={"x-permission": Permission.AGENCY_PLAN_WRITE.value})
def submit_plan(plan_id: str, site: Here, actor: By) -> Plan:
    """Submit a plan."""
    return service.submit_plan(site, actor, PlanId(plan_id))


@router.post("/plans/{plan_id}/decision", openapi_extra={"x-permission": Permission.AUTHORISE_PLAN_DECIDE.value})
def decide_plan(plan_id: str, body: PlanDecision, site: Here, actor: By) -> Plan:
    """Approve or reject a plan."""
    return service.decide_plan(site, actor, PlanId(plan_id), body.approves, body.decision, body.reason)


@router.get("/resources/{resource_id}/scope", openapi_extra=READS)
def offer_scope(resource_id: str, site: Here, actor: By) -> ResourceScope:
    """Show the widest scope that could be agreed for a registered resource now."""
    return service.offer_scope(site, actor, ResourceId(resource_id))


@router.post("/agreements", status_code=201, openapi_extra={"x-permission": Permission.AGENCY_AGREEMENT_WRITE.value})
def propose_agreement(body: NewAgreement, site: Here, actor: By) -> Agreement:
    """Propose an agreement under an effective plan."""
    return service.propose_agreement(
        site, actor, plan_id=PlanId(body.plan_id), selection=body.selection, terms=body.terms, parts=_parts(body.parts)
    )


@router.get("/agreements", openapi_extra=READS)
def list_agreements(page: Asked, site: Here, actor: By) -> Page[Agreement]:
    """List agreements that one may know of."""
    return service.list_agreements(site, actor, page)


@router.get("/agreements/{agreement_id}", openapi_extra=READS)
def get_agreement(agreement_id: str, site: Here, actor: By) -> Agreement:
    """Show an agreement."""
    return service.get_agreement(site, actor, AgreementId(agreement_id))


@router.post(
    "/agreements/{agreement_id}/signature",
    openapi_extra={"x-permission": [Permission.AGENCY_AGREEMENT_SIGN.value, Permission.OPERATE_AGREEMENT_SIGN.value]},
)
def sign_agreement(agreement_id: str, body: Signature, site: Here, actor: By) -> Agreement:
    """Sign for one's own side; the operator's side needs ``operate:agreement:sign``."""
    return service.sign_agreement(site, actor, AgreementId(agreement_id), body.decision)


@router.post(
    "/agreements/{agreement_id}/withdrawal", openapi_extra={"x-permission": Permission.AGENCY_AGREEMENT_WRITE.value}
)
def withdraw_agreement(agreement_id: str, body: ReasonGiven, site: Here, actor: By) -> Agreement:
    """Take an agreement back before the operator has signed."""
    return service.withdraw_agreement(site, actor, AgreementId(agreement_id), body.reason)


@router.post(
    "/agreements/{agreement_id}/grant", status_code=201,
    openapi_extra={"x-permission": Permission.AGENCY_GRANT_ISSUE.value},
)  # fmt: skip
def issue_grant(agreement_id: str, site: Here, actor: By) -> Grant:
    """Issue the grant of a signed agreement."""
    return service.issue_grant(site, actor, AgreementId(agreement_id))


@router.get("/grants", openapi_extra=READS)
def list_grants(page: Asked, site: Here, actor: By) -> Page[Grant]:
    """List grants that one may know of."""
    return service.list_grants(site, actor, page)


@router.get("/grants/{grant_id}", openapi_extra=READS)
def get_grant(grant_id: str, site: Here, actor: By) -> Grant:
    """Show a grant."""
    return service.get_grant(site, actor, GrantId(grant_id))


@router.get("/grants/{grant_id}/exit-record", openapi_extra=READS)
def exit_record(grant_id: str, site: Here, actor: By) -> ExitRecord:
    """Show what stopped with an ended grant, and what is to be disposed of."""
    return service.exit_record(site, actor, GrantId(grant_id))
