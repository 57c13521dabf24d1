"""The end of a grant, lifelines, and unusual use over HTTP."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Query, Request

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import GrantId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.grants.types import ExitRecord
from gongshu.supervision import service
from gongshu.supervision.types import Lifeline, UnusualContract

router = APIRouter(tags=["supervision"])

TRACE = {"x-permission": Permission.AUDIT_TRACE_READ.value}


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as resolved at the edge."""
    return cast("Actor", request.state.actor)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Kind = Annotated[str, Path(max_length=40)]
ObjectId = Annotated[str, Path(max_length=200)]


@dataclass(frozen=True)
class EndOfGrant:
    """Why the grant ends; all parties under it will read this."""

    reason: str


@router.post("/grants/{grant_id}/end", openapi_extra={"x-permission": Permission.AGENCY_GRANT_END.value})
def end_grant(site: Here, actor: By, grant_id: GrantId, body: EndOfGrant) -> ExitRecord:
    """End a grant and everything under it."""
    return service.end_grant(site, actor, grant_id, body.reason)


UNUSUAL = {"x-permission": [Permission.AUDIT_TRACE_READ.value, Permission.OPERATE_CONTRACT_SIGN.value]}
Month = Annotated[date, Query(ge=date(2000, 1, 1), lt=date(2200, 1, 1), description="Any day of the month")]


def page_of(limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT, after: str = "") -> PageRequest:
    """Return which part of a list is asked for."""
    return PageRequest(limit, after)


@router.get("/unusual-contracts", openapi_extra=UNUSUAL)
def list_unusual(
    site: Here, actor: By, month: Month, page: Annotated[PageRequest, Depends(page_of)]
) -> Page[UnusualContract]:
    """List contracts under which unusually many calls of a month found nobody: ids may be tried one after the other."""
    return service.list_unusual(site, actor, month, page)


@router.get("/lifelines/calls/{position}", openapi_extra=TRACE)
def lifeline_of_call(site: Here, actor: By, position: ObjectId) -> Lifeline:
    """Walk from a call's receipt back to the manifest of the data."""
    return service.lifeline_of_call(site, actor, position)


@router.get("/lifelines/{kind}/{object_id}/back", openapi_extra=TRACE)
def lifeline_back(site: Here, actor: By, kind: Kind, object_id: ObjectId) -> Lifeline:
    """Walk back to everything an object came from."""
    return service.lifeline_back(site, actor, kind, object_id)


@router.get("/lifelines/{kind}/{object_id}/forward", openapi_extra=TRACE)
def lifeline_forward(site: Here, actor: By, kind: Kind, object_id: ObjectId) -> Lifeline:
    """Walk forward to everything that came of an object, and to the yuan."""
    return service.lifeline_forward(site, actor, kind, object_id)
