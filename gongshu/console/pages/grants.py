"""Agreements and grants: from the terms to the signature, to the end with its exit record."""

from datetime import timedelta
from decimal import Decimal

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access.types import Role
from gongshu.base.days import Period, add_years, start_of_day
from gongshu.base.decisions import Reason, Refused
from gongshu.base.ids import AgreementId, GrantId, PartyId, PlanId, ResourceId
from gongshu.base.money import Tier
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.catalog import service as catalog
from gongshu.catalog.types import Resource
from gongshu.console.drafts import AGREEMENT_DRAFTS, EXIT_DUTY_DRAFTS, PURPOSE_DRAFT
from gongshu.console.forms import Filled, Form, read_policy_uses
from gongshu.console.pages.plans import read_collective_decision, read_parts
from gongshu.console.pictures import split_rows
from gongshu.console.preview import stops_of
from gongshu.console.render import actor_of, done, page, site_of
from gongshu.grants import service as grants
from gongshu.grants.types import (
    AGREEMENT_PARTS,
    GrantStatus,
    GrantTerms,
    Mode,
    PriceRule,
    ResourceScope,
    Right,
    SelectionMethod,
)
from gongshu.parties import service as parties
from gongshu.policies.types import Use
from gongshu.supervision import service as supervision

router = APIRouter()

SPLIT_TIERS_SHOWN = 3
TERM_YEARS_DRAFT = 3
EVERY = PageRequest(limit=PAGE_ROWS_MAX)


# ------------------------------------------------------------------------------------------------------ agreements


@router.get("/agreements")
def list_agreements(request: Request, after: str = "") -> Response:
    """List the agreements that one may know of."""
    listed = grants.list_agreements(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "agreements.html", listed=listed)


@router.get("/agreements/write")
def write_agreement_form(request: Request, plan: PlanId) -> Response:
    """Show the form of an agreement under a plan: what every resource offers, and drafts of the thirteen parts."""
    site, actor = site_of(request), actor_of(request)
    found = grants.get_plan(site, actor, plan)
    offers: list[tuple[Resource, ResourceScope]] = []
    withheld: list[tuple[Resource, tuple[Reason, ...]]] = []
    for resource in catalog.list_resources(site, actor, EVERY).rows:
        try:
            offers.append((resource, grants.offer_scope(site, actor, resource.id)))
        except Refused as refused:
            withheld.append((resource, refused.reasons))
    operators = [one for one in parties.list_parties(site, actor, EVERY).rows if Role.OPERATOR in one.roles]
    start = site.today()
    return page(
        request, "agreement-form.html", plan=found, offers=offers, withheld=withheld, operators=operators,
        selections=tuple(SelectionMethod), rights=tuple(Right), modes=tuple(Mode), uses=tuple(Use), start=start,
        end=add_years(start, TERM_YEARS_DRAFT) - timedelta(days=1), part_titles=AGREEMENT_PARTS,
        drafts=AGREEMENT_DRAFTS, duties=EXIT_DUTY_DRAFTS, purpose=PURPOSE_DRAFT, tiers_shown=SPLIT_TIERS_SHOWN,
    )  # fmt: skip


def _read_split(form: Form) -> tuple[Tier, ...]:
    tiers = []
    for number in range(SPLIT_TIERS_SHOWN):
        if not form.text(f"share-{number}", is_required=False):
            continue
        bound = form.text(f"split-to-{number}", is_required=False)
        percent = form.decimal(f"share-{number}")
        rate = str((Decimal(percent) / 100).normalize())
        tiers.append(Tier(form.yuan_minor(f"split-to-{number}") if bound else None, rate))
    return tuple(tiers)


def _read_terms(request: Request, form: Form, agency: PartyId) -> GrantTerms:
    site, actor = site_of(request), actor_of(request)
    first, last = form.day("first_day"), form.day("last_day")
    price = PriceRule(
        ceiling_minor=form.yuan_minor("ceiling"), split=_read_split(form),
        treasury_share=str((Decimal(form.decimal("treasury_percent")) / 100).normalize()),
    )  # fmt: skip
    operator = form.text("operator")
    form.check()
    scope = []
    for resource_id in form.many("resource"):
        offered = grants.offer_scope(site, actor, ResourceId(resource_id))
        narrowed = read_policy_uses(form, f"uses-{resource_id}-", offered.policy)
        scope.append(ResourceScope(offered.resource, offered.name, offered.registration, offered.supplier, narrowed))
    start = start_of_day(first)
    return GrantTerms(
        agency=agency, operator=PartyId(operator), mode=form.choice("mode", Mode),
        rights=frozenset(Right(right) for right in form.many("rights")),
        purposes=form.lines("purposes"),
        period=Period(max(start, site.now()) if first == site.today() else start, start_of_day(last + timedelta(days=1))),
        scope=tuple(scope), price=price, exit_duties=form.lines("exit_duties"),
    )  # fmt: skip


@router.post("/agreements")
def propose_agreement(request: Request, form: Filled) -> Response:
    """Propose the agreement to the operator."""
    site, actor = site_of(request), actor_of(request)
    plan = PlanId(form.text("plan"))
    made = grants.propose_agreement(
        site, actor, plan_id=plan, selection=form.choice("selection", SelectionMethod),
        terms=_read_terms(request, form, actor.party), parts=read_parts(form, dict(AGREEMENT_PARTS)),
    )  # fmt: skip
    return done(request, f"/agreements/{made.id}", "The agreement is proposed. The agency signs first.")


@router.get("/agreements/{agreement_id}")
def show_agreement(request: Request, agreement_id: AgreementId) -> Response:
    """Show an agreement, and the signature that comes next."""
    site, actor = site_of(request), actor_of(request)
    agreement = grants.get_agreement(site, actor, agreement_id)
    issued = [one for one in grants.list_grants(site, actor, EVERY).rows if one.agreement.id == agreement.id]
    return page(
        request, "agreement.html", agreement=agreement, terms=agreement.terms, issued=issued, uses=tuple(Use),
        rights=tuple(Right), part_titles=AGREEMENT_PARTS, split_rows=split_rows,
    )  # fmt: skip


@router.post("/agreements/{agreement_id}/sign")
def sign_agreement(request: Request, agreement_id: AgreementId, form: Filled) -> Response:
    """Sign for one's own side; the agency files its collective decision with it."""
    site, actor = site_of(request), actor_of(request)
    decision = read_collective_decision(form) if form.is_set("with_decision") else None
    grants.sign_agreement(site, actor, agreement_id, decision)
    return done(request, f"/agreements/{agreement_id}", "The agreement is signed for your side.")


@router.post("/agreements/{agreement_id}/withdraw")
def withdraw_agreement(request: Request, agreement_id: AgreementId, form: Filled) -> Response:
    """Take an agreement back before the operator has signed."""
    grants.withdraw_agreement(site_of(request), actor_of(request), agreement_id, form.text("reason", is_required=False))
    return done(request, f"/agreements/{agreement_id}", "The agreement is withdrawn.")


@router.post("/agreements/{agreement_id}/grant")
def issue_grant(request: Request, agreement_id: AgreementId) -> Response:
    """Issue the grant."""
    grant = grants.issue_grant(site_of(request), actor_of(request), agreement_id)
    return done(request, f"/grants/{grant.id}", "The grant is in force. The operator can apply for scenarios.")


# ---------------------------------------------------------------------------------------------------------- grants


@router.get("/grants")
def list_grants(request: Request, after: str = "") -> Response:
    """List the grants that one may know of."""
    listed = grants.list_grants(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "grants.html", listed=listed)


@router.get("/grants/{grant_id}")
def show_grant(request: Request, grant_id: GrantId) -> Response:
    """Show a grant: who, what, how long, at what price; after its end the exit record."""
    site, actor = site_of(request), actor_of(request)
    grant = grants.get_grant(site, actor, grant_id)
    has_ended = grant.status is GrantStatus.ENDED
    period, now = grant.terms.period, site.now()
    passed = min(max((now - period.start) / (period.end - period.start), 0), 1)
    return page(
        request, "grant.html", grant=grant, terms=grant.terms, uses=tuple(Use), rights=tuple(Right),
        record=grants.exit_record(site, actor, grant_id) if has_ended else None, split_rows=split_rows,
        passed_percent=round(100 * passed),
    )  # fmt: skip


@router.get("/grants/{grant_id}/end")
def preview_end(request: Request, grant_id: GrantId) -> Response:
    """Show what the end of a grant would stop, before anything happens."""
    site, actor = site_of(request), actor_of(request)
    return page(
        request, "grant-end.html", grant=grants.get_grant(site, actor, grant_id),
        stops=stops_of(site, actor, grant_id),
    )  # fmt: skip


@router.post("/grants/{grant_id}/end")
def end_grant(request: Request, grant_id: GrantId, form: Filled) -> Response:
    """End a grant, and everything under it, from this second."""
    supervision.end_grant(site_of(request), actor_of(request), grant_id, form.text("reason", is_required=False))
    return done(request, f"/grants/{grant_id}", "The grant has ended, and everything under it has stopped.")
