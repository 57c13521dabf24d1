"""Statements and sums over HTTP."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from gongshu.access.types import Actor, Permission
from gongshu.base.ids import ContractId, StatementId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.billing import service
from gongshu.billing.types import Statement, Totals

router = APIRouter(tags=["billing"])


def site_of(request: Request) -> Site:
    """Return the site of the running server."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who asks, as resolved at the edge."""
    return cast("Actor", request.state.actor)


def page_of(
    limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT,
    after: Annotated[str, Query(max_length=80)] = "",
) -> PageRequest:
    """Return the part of a list that is asked for."""
    return PageRequest(limit, after)


Here = Annotated[Site, Depends(site_of)]
By = Annotated[Actor, Depends(actor_of)]
Asked = Annotated[PageRequest, Depends(page_of)]


@dataclass(frozen=True)
class NewStatement:
    """The contract to bill, and any day of the month."""

    contract_id: ContractId
    month: Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2200, 1, 1))]


@router.post("/statements", status_code=201, openapi_extra={"x-permission": Permission.OPERATE_STATEMENT_CREATE.value})
def create_statement(site: Here, actor: By, body: NewStatement) -> Statement:
    """Bill a month of a contract; the same usage gives the same statement."""
    return service.create_statement(site, actor, body.contract_id, body.month)


@router.get("/statements", openapi_extra={"x-permission": Permission.READ_BILLING_VIEW.value})
def list_statements(site: Here, actor: By, page: Asked, contract_id: str = "") -> Page[Statement]:
    """List statements, newest first."""
    return service.list_statements(site, actor, page, contract_id=ContractId(contract_id) if contract_id else None)


@router.get("/statements/{statement_id}", openapi_extra={"x-permission": Permission.READ_BILLING_VIEW.value})
def get_statement(site: Here, actor: By, statement_id: StatementId) -> Statement:
    """Show a statement."""
    return service.get_statement(site, actor, statement_id)


@router.get("/billing/totals", openapi_extra={"x-permission": Permission.READ_BILLING_VIEW.value})
def totals(site: Here, actor: By) -> Totals:
    """Sum up the newest statements."""
    return service.totals(site, actor)
