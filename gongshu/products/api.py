"""Products, market, orders and contracts over HTTP."""

from dataclasses import dataclass
from datetime import UTC
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, Field

from gongshu.access.types import Actor, Permission
from gongshu.base.days import Period
from gongshu.base.ids import ContractId, ListingId, OrderId, ProductId, ReleaseId
from gongshu.base.money import Tier
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.policies.types import Hours, UsagePolicy
from gongshu.products import service
from gongshu.products.types import (
    NO_DEFINITION,
    PLAIN,
    Contract,
    Definition,
    Listing,
    Order,
    Pricing,
    ProductKind,
    ProductVersion,
)

router = APIRouter(tags=["products"])


def site_of(request: Request) -> Site:
    """Return the site that serves the request."""
    return cast("Site", request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who is asking, as resolved at the edge."""
    return cast("Actor", request.state.actor)


def page_of(limit: Annotated[int, Query(ge=1, le=PAGE_ROWS_MAX)] = PAGE_ROWS_DEFAULT, after: str = "") -> PageRequest:
    """Return which part of a list is asked for."""
    return PageRequest(limit, after)


SiteOf = Annotated[Site, Depends(site_of)]
ActorOf = Annotated[Actor, Depends(actor_of)]
PageOf = Annotated[PageRequest, Depends(page_of)]


def needs(*permissions: Permission) -> dict[str, str | list[str]]:
    """Return the row of the access matrix: the permission, or those of which either side holds its own."""
    values = [permission.value for permission in permissions]
    return {"x-permission": values[0] if len(values) == 1 else values}


@dataclass(frozen=True)
class ProductBody:
    """What the operator says of a release to make it a product."""

    release_id: ReleaseId
    title: str
    summary: str
    purpose: str = ""
    kind: ProductKind | None = None
    definition: Definition = NO_DEFINITION


@dataclass(frozen=True)
class ListingBody:
    """The price: tiers of yuan per charged call, and what it has besides."""

    product_id: ProductId
    tiers: tuple[Tier, ...]
    charges_no_record: bool = False
    pricing: Pricing = PLAIN


@dataclass(frozen=True)
class PeriodBody:
    """From ``start`` (inclusive) to ``end`` (exclusive), each with its time zone."""

    start: AwareDatetime
    end: AwareDatetime


@dataclass(frozen=True)
class PolicyBody:
    """The usage policy that a consumer proposes."""

    purposes: tuple[str, ...]
    period: PeriodBody
    calls_max: int
    calls_per_day_max: int
    calls_per_second_max: int
    addresses: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    hours: Annotated[tuple[Hours, ...], Field(max_length=24)] = ()
    fields: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    certificates: Annotated[tuple[str, ...], Field(max_length=20)] = ()
    is_signed_only: bool = False

    def policy(self) -> UsagePolicy:
        """Return the policy, in UTC."""
        period = Period(self.period.start.astimezone(UTC), self.period.end.astimezone(UTC))
        return UsagePolicy(
            self.purposes, period, self.calls_max, self.calls_per_day_max, self.calls_per_second_max, self.addresses,
            self.hours, self.fields, self.certificates, self.is_signed_only,
        )  # fmt: skip


@dataclass(frozen=True)
class OrderBody:
    """What a consumer asks for."""

    listing_id: ListingId
    policy: PolicyBody


@dataclass(frozen=True)
class ReasonBody:
    """Why something is ended; the other side reads it."""

    reason: str = ""


@router.post("/products", status_code=201, openapi_extra=needs(Permission.OPERATE_PRODUCT_WRITE))
def define_product(site: SiteOf, actor: ActorOf, body: ProductBody) -> ProductVersion:
    """Make a product of a release."""
    return service.define_product(
        site, actor, release_id=body.release_id, title=body.title, summary=body.summary, purpose=body.purpose,
        kind=body.kind, definition=body.definition,
    )  # fmt: skip


@router.get("/products", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def list_products(site: SiteOf, actor: ActorOf, page: PageOf) -> Page[ProductVersion]:
    """List products, newest first."""
    return service.list_products(site, actor, page)


@router.get("/products/{product_id}", openapi_extra=needs(Permission.READ_LISTING_VIEW))
def get_product(site: SiteOf, actor: ActorOf, product_id: ProductId) -> ProductVersion:
    """Show a product."""
    return service.get_product(site, actor, product_id)


@router.post("/listings", status_code=201, openapi_extra=needs(Permission.OPERATE_LISTING_WRITE))
def list_product(site: SiteOf, actor: ActorOf, body: ListingBody) -> Listing:
    """Put a product on the market."""
    return service.list_product(
        site,
        actor,
        body.product_id,
        tiers=body.tiers,
        charges_no_record=body.charges_no_record,
        pricing=body.pricing,
    )


@router.get("/listings", openapi_extra=needs(Permission.READ_LISTING_VIEW))
def list_listings(
    site: SiteOf, actor: ActorOf, page: PageOf, *, listed_only: Annotated[bool, Query()] = True
) -> Page[Listing]:
    """Show the market."""
    return service.list_listings(site, actor, page, listed_only=listed_only)


@router.get("/listings/{listing_id}", openapi_extra=needs(Permission.READ_LISTING_VIEW))
def get_listing(site: SiteOf, actor: ActorOf, listing_id: ListingId) -> Listing:
    """Show a listing."""
    return service.get_listing(site, actor, listing_id)


@router.post("/listings/{listing_id}/delist", openapi_extra=needs(Permission.OPERATE_LISTING_WRITE))
def delist(site: SiteOf, actor: ActorOf, listing_id: ListingId, body: ReasonBody) -> Listing:
    """Take a listing off the market."""
    return service.delist(site, actor, listing_id, body.reason)


@router.post("/orders", status_code=201, openapi_extra=needs(Permission.CONSUME_ORDER_PLACE))
def place_order(site: SiteOf, actor: ActorOf, body: OrderBody) -> Order:
    """Order a listed product under a usage policy."""
    return service.place_order(site, actor, body.listing_id, body.policy.policy())


@router.get("/orders", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def list_orders(site: SiteOf, actor: ActorOf, page: PageOf) -> Page[Order]:
    """List orders, newest first."""
    return service.list_orders(site, actor, page)


@router.get("/orders/{order_id}", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def get_order(site: SiteOf, actor: ActorOf, order_id: OrderId) -> Order:
    """Show an order."""
    return service.get_order(site, actor, order_id)


@router.post("/orders/{order_id}/contract", status_code=201, openapi_extra=needs(Permission.OPERATE_CONTRACT_SIGN))
def draw_up_contract(site: SiteOf, actor: ActorOf, order_id: OrderId) -> Contract:
    """Draw up the contract of an order."""
    return service.draw_up_contract(site, actor, order_id)


@router.get("/contracts", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def list_contracts(site: SiteOf, actor: ActorOf, page: PageOf) -> Page[Contract]:
    """List contracts, newest first."""
    return service.list_contracts(site, actor, page)


@router.get("/contracts/{contract_id}", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def get_contract(site: SiteOf, actor: ActorOf, contract_id: ContractId) -> Contract:
    """Show a contract."""
    return service.get_contract(site, actor, contract_id)


EITHER_SIDE = needs(Permission.CONSUME_CONTRACT_SIGN, Permission.OPERATE_CONTRACT_SIGN)


@router.post("/contracts/{contract_id}/sign", openapi_extra=EITHER_SIDE)
def sign_contract(site: SiteOf, actor: ActorOf, contract_id: ContractId) -> Contract:
    """Sign a contract for one's own side."""
    return service.sign_contract(site, actor, contract_id)


@router.post("/contracts/{contract_id}/terminate", openapi_extra=EITHER_SIDE)
def terminate_contract(site: SiteOf, actor: ActorOf, contract_id: ContractId, body: ReasonBody) -> Contract:
    """End a contract early."""
    return service.terminate_contract(site, actor, contract_id, body.reason)
