"""The consent desk, the consents of an organisation, and the page on which a subject sees and withdraws the own one."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.base.ids import ConsentId, ContractId
from gongshu.base.paging import PageRequest
from gongshu.consents import service as consents
from gongshu.console.forms import Filled
from gongshu.console.render import actor_of, done, page, site_of

router = APIRouter()

DAYS_DRAFT = 30


@router.get("/consents")
def list_consents(request: Request, after: str = "") -> Response:
    """List the consents that one's organisation may use or recorded."""
    listed = consents.list_consents(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "consents.html", listed=listed)


@router.get("/consents/{consent_id}")
def show_consent(request: Request, consent_id: ConsentId) -> Response:
    """Show a consent; to its consumer with the token."""
    site, actor = site_of(request), actor_of(request)
    consent = consents.get_consent(site, actor, consent_id)
    is_consumer = actor.party == consent.terms.consumer
    token = consents.token_of(site, actor, consent_id) if is_consumer else ""
    response = page(request, "consent.html", consent=consent, token=token, is_desk=actor.party == consent.operator)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.get("/contracts/{contract_id}/consent")
def show_desk(request: Request, contract_id: ContractId) -> Response:
    """Show the notice that a subject is told, and the form in which the desk records the consent."""
    notice = consents.notice(site_of(request), actor_of(request), contract_id, DAYS_DRAFT)
    return page(request, "consent-desk.html", notice=notice, days=DAYS_DRAFT)


@router.post("/contracts/{contract_id}/consent")
def give_consent(request: Request, contract_id: ContractId, form: Filled) -> Response:
    """Record a consent and show, this once, the subject's slip and the consumer's token."""
    subject = {name: form.text(f"subject-{name}") for name in form.names("subject-")}
    days = form.whole("days")
    form.check()
    given = consents.give(
        site_of(request), actor_of(request), contract_id, subject, days, is_confirmed=form.is_set("is_confirmed")
    )
    response = page(request, "consent-slip.html", given=given)
    response.headers["Cache-Control"] = "no-store"
    return response


@router.post("/consents/{consent_id}/withdraw")
def withdraw_at_desk(request: Request, consent_id: ConsentId) -> Response:
    """Withdraw a consent at the desk."""
    consents.withdraw(site_of(request), actor_of(request), consent_id)
    return done(request, f"/consents/{consent_id}", "The consent is withdrawn. Calls with it are refused from now on.")


@router.get("/portal/consent")
def show_own_form(request: Request) -> Response:
    """Ask for number and code of the own consent."""
    return page(request, "consent-own.html", number="", consent=None)


@router.post("/portal/consent")
def show_own(request: Request, form: Filled) -> Response:
    """Show a subject the own consent, or withdraw it."""
    number, secret = ConsentId(form.text("number")), form.text("secret")
    form.check()
    if form.is_set("withdraw"):
        consents.withdraw_own(site_of(request), actor_of(request), number, secret)
    consent, notice = consents.show_own(site_of(request), number, secret)
    response = page(request, "consent-own.html", number=number, consent=consent, notice=notice, secret=secret)
    response.headers["Cache-Control"] = "no-store"
    return response
