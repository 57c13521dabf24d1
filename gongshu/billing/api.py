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
from gongshu.billing.types import Adjustment, Confirmation, Dispute, DisputeStatus, PackUse, Statement, Totals

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


@dataclass(frozen=True)
class MonthToBill:
    """Any day of the month to bill."""

    month: Annotated[date, Field(ge=date(2000, 1, 1), lt=date(2200, 1, 1))]


@dataclass(frozen=True)
class Objection:
    """Why a statement is wrong; call numbers of receipts where single calls are meant."""

    reason: Annotated[str, Field(max_length=2_000)]
    positions: Annotated[tuple[str, ...], Field(max_length=1_000)] = ()


@dataclass(frozen=True)
class Settlement:
    """The operator's answer to an objection. ``amount_minor`` fen are owed more (negative: less) when it is accepted."""

    outcome: DisputeStatus
    answer: Annotated[str, Field(max_length=2_000)]
    amount_minor: Annotated[int, Field(ge=-(10**12), le=10**12)] = 0


@dataclass(frozen=True)
class NewAdjustment:
    """What is owed more (negative: less) in fen, and why."""

    amount_minor: Annotated[int, Field(ge=-(10**12), le=10**12)]
    reason: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True)
class PackChoice:
    """The place of a pack in the contract's price, from 1."""

    number: Annotated[int, Field(ge=1, le=100)]


@router.post(
    "/billing/months", status_code=201, openapi_extra={"x-permission": Permission.OPERATE_STATEMENT_CREATE.value}
)
def create_statements(site: Here, actor: By, body: MonthToBill) -> list[Statement]:
    """Bill a month for every contract of the operator's; running it again gives the same statements."""
    return list(service.create_statements(site, actor, body.month))


@router.post(
    "/statements/{statement_id}/confirmation", status_code=201,
    openapi_extra={"x-permission": Permission.CONSUME_STATEMENT_CONFIRM.value},
)  # fmt: skip
def confirm_statement(site: Here, actor: By, statement_id: StatementId) -> Confirmation:
    """Agree with a statement: from then on only adjusting entries change what is owed."""
    return service.confirm_statement(site, actor, statement_id)


@router.post(
    "/statements/{statement_id}/disputes", status_code=201,
    openapi_extra={"x-permission": Permission.CONSUME_DISPUTE_RAISE.value},
)  # fmt: skip
def raise_dispute(site: Here, actor: By, statement_id: StatementId, body: Objection) -> Dispute:
    """Object to a statement."""
    return service.raise_dispute(site, actor, statement_id, body.reason, body.positions)


@router.get("/disputes", openapi_extra={"x-permission": Permission.READ_BILLING_VIEW.value})
def list_disputes(site: Here, actor: By, page: Asked, statement_id: str = "") -> Page[Dispute]:
    """List disputes, newest first."""
    return service.list_disputes(site, actor, page, statement_id=statement_id)


@router.post(
    "/disputes/{dispute_id}/withdrawal", openapi_extra={"x-permission": Permission.CONSUME_DISPUTE_RAISE.value}
)
def withdraw_dispute(site: Here, actor: By, dispute_id: str) -> Dispute:
    """Take an objection back."""
    return service.withdraw_dispute(site, actor, dispute_id)


@router.post(
    "/disputes/{dispute_id}/decision", openapi_extra={"x-permission": Permission.OPERATE_STATEMENT_ADJUST.value}
)
def decide_dispute(site: Here, actor: By, dispute_id: str, body: Settlement) -> Dispute:
    """Accept or reject an objection; an amount becomes an adjusting entry."""
    return service.decide_dispute(site, actor, dispute_id, body.outcome, body.answer, body.amount_minor)[0]


@router.get(
    "/statements/{statement_id}/adjustments", openapi_extra={"x-permission": Permission.READ_BILLING_VIEW.value}
)
def list_adjustments(site: Here, actor: By, page: Asked, statement_id: StatementId) -> Page[Adjustment]:
    """List the adjusting entries of a statement."""
    return service.list_adjustments(site, actor, statement_id, page)


@router.post(
    "/statements/{statement_id}/adjustments", status_code=201,
    openapi_extra={"x-permission": Permission.OPERATE_STATEMENT_ADJUST.value},
)  # fmt: skip
def adjust(site: Here, actor: By, statement_id: StatementId, body: NewAdjustment) -> Adjustment:
    """Put right what is owed by an entry beside the statement."""
    return service.adjust(site, actor, statement_id, body.amount_minor, body.reason)


@router.get("/contracts/{contract_id}/packs", openapi_extra={"x-permission": Permission.READ_CONTRACT_VIEW.value})
def list_packs(site: Here, actor: By, page: Asked, contract_id: ContractId) -> Page[PackUse]:
    """List the prepaid packs bought under a contract."""
    return service.list_packs(site, actor, contract_id, page)


@router.post(
    "/contracts/{contract_id}/packs", status_code=201, openapi_extra={"x-permission": Permission.CONSUME_PACK_BUY.value}
)
def buy_pack(site: Here, actor: By, contract_id: ContractId, body: PackChoice) -> PackUse:
    """Buy a prepaid pack of the contract's price; it is billed with this month."""
    return service.buy_pack(site, actor, contract_id, body.number)
