"""Products, the market, and orders."""

from dataclasses import replace
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.days import Period, local_day, start_of_day
from gongshu.base.ids import ListingId, OrderId, ProductId, ReleaseId
from gongshu.base.money import Tier
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.consents import service as consents
from gongshu.console.definitions import read_definition, series_of
from gongshu.console.forms import Filled, Form, read_hours
from gongshu.console.pictures import tier_rows
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.policies.types import UsagePolicy
from gongshu.products import service as products
from gongshu.products.types import ListingStatus, Pack, PriceStage, Pricing, ProductKind, TierMethod

router = APIRouter()

TIERS_SHOWN, STAGES_SHOWN, PACKS_SHOWN = 3, 3, 2
TERM_DAYS_DRAFT = 180


@router.get("/products")
def list_products(request: Request, after: str = "") -> Response:
    """List the product versions that one may know of."""
    listed = products.list_products(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "products.html", listed=listed)


@router.post("/products")
def define_product(request: Request, form: Filled) -> Response:
    """Make a product of a release."""
    release = ReleaseId(form.text("release"))
    title, summary, kind = form.text("title"), form.text("summary"), form.choice("kind", ProductKind)
    definition = read_definition(form, kind)
    form.check()
    made = products.define_product(
        site_of(request), actor_of(request), release_id=release, title=title, summary=summary, kind=kind,
        definition=definition,
    )  # fmt: skip
    return done(request, f"/products/{made.id}", "The product is defined. List it to offer it on the market.")


@router.get("/products/{product_id}")
def show_product(request: Request, product_id: ProductId) -> Response:
    """Show a product version: where it comes from, how it is served, and its listings."""
    site, actor = site_of(request), actor_of(request)
    product = products.get_product(site, actor, product_id)
    every = products.list_listings(site, actor, PageRequest(limit=PAGE_ROWS_MAX), listed_only=False).rows
    listings = tuple(listing for listing in every if listing.product_id == product.id)
    return page(
        request, "product.html", product=product, listings=listings, tier_rows=tier_rows, tiers_shown=TIERS_SHOWN,
        is_listed=any(listing.status is ListingStatus.LISTED for listing in listings), methods=tuple(TierMethod),
        stages_shown=STAGES_SHOWN, packs_shown=PACKS_SHOWN, needs_consent=consents.needs_consent(product),
        chart=series_of(site, actor, product),
    )  # fmt: skip


def _read_tiers(form: Form) -> tuple[Tier, ...]:
    """Return the tiers of a form: rows with a rate; the last one has no upper bound."""
    filled = [number for number in range(TIERS_SHOWN) if form.text(f"rate-{number}", is_required=False)]
    tiers = []
    for number in filled:
        bound = form.text(f"up-to-{number}", is_required=False)
        tiers.append(Tier(form.whole(f"up-to-{number}") if bound else None, form.decimal(f"rate-{number}")))
    return tuple(tiers)


def _read_pricing(form: Form) -> Pricing:
    """Return what the price has besides its tiers; what is left empty is not part of it."""

    def filled(name: str) -> bool:
        return bool(form.text(name, is_required=False))

    stages = tuple(
        PriceStage(form.text(f"stage-{n}"), form.day(f"stage-start-{n}"), form.whole(f"stage-percent-{n}"))
        for n in range(STAGES_SHOWN)
        if filled(f"stage-{n}")
    )
    packs = tuple(
        Pack(form.whole(f"pack-units-{n}"), form.yuan_minor(f"pack-price-{n}"), form.whole(f"pack-months-{n}"))
        for n in range(PACKS_SHOWN)
        if filled(f"pack-units-{n}")
    )
    return Pricing(
        method=form.choice("method", TierMethod) or TierMethod.MARGINAL, stages=stages, packs=packs,
        period_fee_minor=form.yuan_minor("period_fee") if filled("period_fee") else 0,
        period_units=form.whole("period_units") if filled("period_units") else 0,
        cap_minor=form.yuan_minor("cap") if filled("cap") else None,
    )  # fmt: skip


@router.post("/products/{product_id}/list")
def list_product(request: Request, product_id: ProductId, form: Filled) -> Response:
    """Put a product on the market."""
    tiers, pricing = _read_tiers(form), _read_pricing(form)
    form.check()
    products.list_product(
        site_of(request), actor_of(request), product_id, tiers=tiers, charges_no_record=form.is_set("charges_no_record"),
        pricing=pricing,
    )  # fmt: skip
    return done(request, f"/products/{product_id}", "The product is on the market.")


@router.post("/listings/{listing_id}/delist")
def delist(request: Request, listing_id: ListingId, form: Filled) -> Response:
    """Take a listing off the market."""
    reason = form.text("reason")
    form.check()
    listing = products.delist(site_of(request), actor_of(request), listing_id, reason)
    return done(request, f"/products/{listing.product_id}", "The listing is off the market.")


@router.get("/market")
def show_market(request: Request, after: str = "") -> Response:
    """Show what is offered. Open to everybody."""
    listed = products.list_listings(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "market.html", listed=listed, tier_rows=tier_rows)


@router.get("/market/{listing_id}")
def show_listing(request: Request, listing_id: ListingId) -> Response:
    """Show one offer, and to consumers the form to order it."""
    site, actor = site_of(request), actor_of(request)
    listing = products.get_listing(site, actor, listing_id)
    product = products.get_product(site, actor, listing.product_id)
    today = site.today()
    return page(
        request, "listing.html", listing=listing, product=product, chart=None, tier_rows=tier_rows, start=today,
        end=today + timedelta(days=TERM_DAYS_DRAFT), needs_consent=consents.needs_consent(product),
    )  # fmt: skip


def read_policy(form: Form, purposes: tuple[str, ...]) -> UsagePolicy:
    """Return the usage policy of a form: first and last day, and the three limits of calls."""
    first, last = form.day("first_day"), form.day("last_day")
    total, per_day, per_second = form.whole("calls_max"), form.whole("per_day"), form.whole("per_second")
    form.check()
    period = Period(start_of_day(first), start_of_day(last + timedelta(days=1)))
    return UsagePolicy(
        purposes, period, total, per_day, per_second, form.lines("addresses"), read_hours(form, "hours"),
        certificates=form.lines("certificates"), is_signed_only=form.is_set("is_signed_only"),
    )  # fmt: skip


@router.post("/market/{listing_id}/order")
def place_order(request: Request, listing_id: ListingId, form: Filled) -> Response:
    """Order an offer under a proposed usage policy."""
    site, actor = site_of(request), actor_of(request)
    policy = read_policy(form, (form.text("purpose"),))
    if local_day(policy.period.start) == site.today():
        # The day has begun; the contract cannot be used before it is signed anyway.
        policy = replace(policy, period=Period(site.now(), policy.period.end))
    order = products.place_order(site, actor, listing_id, policy)
    return done(request, f"/orders/{order.id}", "The order is placed. The operator draws up the contract.")


@router.get("/orders")
def list_orders(request: Request, after: str = "") -> Response:
    """List the orders of one's organisation."""
    listed = products.list_orders(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "orders.html", listed=listed)


@router.get("/orders/{order_id}")
def show_order(request: Request, order_id: OrderId) -> Response:
    """Show an order and, to the operator, the button that draws up the contract."""
    site, actor = site_of(request), actor_of(request)
    order = products.get_order(site, actor, order_id)
    return page(request, "order.html", order=order, listing=products.get_listing(site, actor, order.listing_id))


@router.post("/orders/{order_id}/contract")
def draw_up_contract(request: Request, order_id: OrderId) -> Response:
    """Draw up the contract of an order."""
    contract = products.draw_up_contract(site_of(request), actor_of(request), order_id)
    return done(request, f"/contracts/{contract.id}", "The contract is drawn up. The operator signs first.")
