"""The consent desk over HTTP, and what subjects and consumers do with a consent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field

from gongshu.access.types import Actor, Permission
from gongshu.base.days import Period
from gongshu.base.ids import ConsentId, ContractId, PartyId, ProductId
from gongshu.base.paging import PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX, Page, PageRequest
from gongshu.base.site import Site
from gongshu.consents import service
from gongshu.consents.types import Consent, ConsentNotice, ConsentStatus

router = APIRouter(tags=["consents"])
PUBLIC = {"x-permission": "public"}


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


def needs(permission: Permission) -> dict[str, str]:
    """Return the row of the access matrix."""
    return {"x-permission": permission.value}


@dataclass(frozen=True)
class ConsentView:
    """A consent without whom it is about, which is known as a keyed hash only."""

    id: ConsentId
    contract: ContractId
    consumer: PartyId
    operator: PartyId
    product: ProductId
    purpose: str
    period: Period
    status: ConsentStatus
    given_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True)
class ConsentBody:
    """Who agreed (the product's key fields, kept nowhere), for how long, and that the desk told and asked the subject."""

    subject: Annotated[dict[str, Annotated[str, Field(max_length=200)]], Field(max_length=10)]
    days: int
    is_confirmed: bool = False


@dataclass(frozen=True)
class GivenConsentView:
    """A new consent with the token for the consumer and the subject's withdrawal code, shown this once."""

    consent: ConsentView
    token: str
    secret: str


@dataclass(frozen=True)
class SecretBody:
    """The code on the subject's slip."""

    secret: Annotated[str, Field(max_length=200)]


@dataclass(frozen=True)
class TokenView:
    """The token of a consent, for its consumer."""

    token: str


@dataclass(frozen=True)
class OwnConsentView:
    """What a subject agreed to, in words, and how it stands."""

    consent: ConsentView
    notice: ConsentNotice


def _view(consent: Consent) -> ConsentView:
    terms = consent.terms
    return ConsentView(
        consent.id, consent.contract, terms.consumer, consent.operator, terms.product, terms.purpose, terms.period,
        consent.status, consent.given_at, consent.withdrawn_at,
    )  # fmt: skip


@router.get("/contracts/{contract_id}/consent-notice", openapi_extra=needs(Permission.OPERATE_CONSENT_WRITE))
def consent_notice(
    site: SiteOf, actor: ActorOf, contract_id: ContractId, days: Annotated[int, Query(ge=1, le=3660)] = 30
) -> ConsentNotice:
    """Show what a subject is told before agreeing to calls under a contract."""
    return service.notice(site, actor, contract_id, days)


@router.post(
    "/contracts/{contract_id}/consents", status_code=201, openapi_extra=needs(Permission.OPERATE_CONSENT_WRITE)
)
def give_consent(
    site: SiteOf, actor: ActorOf, contract_id: ContractId, body: ConsentBody, response: Response
) -> GivenConsentView:
    """Record that a subject agreed. Token and withdrawal code are shown this once."""
    given = service.give(site, actor, contract_id, body.subject, body.days, is_confirmed=body.is_confirmed)
    response.headers["Cache-Control"] = "no-store"
    return GivenConsentView(_view(given.consent), given.token, given.secret)


@router.get("/consents", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def list_consents(site: SiteOf, actor: ActorOf, page: PageOf) -> Page[ConsentView]:
    """List the consents that the own organisation may use or recorded, newest first."""
    found = service.list_consents(site, actor, page)
    return Page(tuple(_view(consent) for consent in found.rows), found.next_after)


@router.get("/consents/{consent_id}", openapi_extra=needs(Permission.READ_CONTRACT_VIEW))
def get_consent(site: SiteOf, actor: ActorOf, consent_id: ConsentId) -> ConsentView:
    """Show a consent to its consumer, to the operator that recorded it, and to supervisors."""
    return _view(service.get_consent(site, actor, consent_id))


@router.get("/consents/{consent_id}/token", openapi_extra=needs(Permission.CONSUME_KEY_CREATE))
def consent_token(site: SiteOf, actor: ActorOf, consent_id: ConsentId) -> TokenView:
    """Give the consumer the token of a consent, to be sent with each call about this subject."""
    return TokenView(service.token_of(site, actor, consent_id))


@router.post("/consents/{consent_id}/withdrawal", openapi_extra=needs(Permission.OPERATE_CONSENT_WRITE))
def withdraw_at_desk(site: SiteOf, actor: ActorOf, consent_id: ConsentId) -> ConsentView:
    """Withdraw a consent at the desk. Calls with it are refused within two seconds."""
    return _view(service.withdraw(site, actor, consent_id))


@router.post("/own-consents/{consent_id}", openapi_extra=PUBLIC)
def show_own_consent(site: SiteOf, consent_id: ConsentId, body: SecretBody) -> OwnConsentView:
    """Show a subject the own consent, by its number and the code on the slip. Nobody need sign in."""
    consent, notice = service.show_own(site, consent_id, body.secret)
    return OwnConsentView(_view(consent), notice)


@router.post("/own-consents/{consent_id}/withdrawal", openapi_extra=PUBLIC)
def withdraw_own_consent(site: SiteOf, actor: ActorOf, consent_id: ConsentId, body: SecretBody) -> ConsentView:
    """Withdraw the own consent. Calls with it are refused within two seconds."""
    return _view(service.withdraw_own(site, actor, consent_id, body.secret))
