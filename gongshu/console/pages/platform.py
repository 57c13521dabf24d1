"""Parties, people, and the demo clock: the platform administrator's pages."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from gongshu.access import service as access
from gongshu.access.types import Permission, Role
from gongshu.base.ids import PartyId
from gongshu.base.paging import PAGE_ROWS_MAX, PageRequest
from gongshu.console.clock import move_clock
from gongshu.console.forms import Filled, Form
from gongshu.console.render import actor_of, done, keep_session, page, site_of
from gongshu.parties import service as parties

router = APIRouter()

WORKING_DAYS_SHOWN = 60


def _read_roles(form: Form) -> frozenset[Role]:
    return frozenset(Role(value) for value in form.many("roles") if value in set(Role))


@router.get("/parties")
def list_parties(request: Request, after: str = "") -> Response:
    """List organisations, and to the administrator the form that admits one."""
    listed = parties.list_parties(site_of(request), actor_of(request), PageRequest(after=after))
    return page(request, "parties.html", listed=listed, roles=_offered())


def _offered() -> tuple[Role, ...]:
    return tuple(role for role in Role if role is not Role.PUBLIC)


@router.post("/parties")
def create_party(request: Request, form: Filled) -> Response:
    """Admit an organisation."""
    name, code, region = form.text("name"), form.text("credit_code"), form.text("region")
    form.check()
    made = parties.create_party(
        site_of(request), actor_of(request), name=name, credit_code=code, roles=_read_roles(form), region=region,
        is_public_institution=form.is_set("is_public_institution"),
        affiliates=tuple(PartyId(one) for one in form.many("affiliates")),
    )  # fmt: skip
    return done(request, f"/parties/{made.id}", "The organisation is admitted. Add its people next.")


@router.get("/parties/{party_id}")
def show_party(request: Request, party_id: PartyId) -> Response:
    """Show an organisation and, to those who may, its people."""
    site, actor = site_of(request), actor_of(request)
    found = parties.get_party(site, actor, party_id)
    people = parties.list_people(site, actor, party_id, PageRequest(limit=PAGE_ROWS_MAX))
    return page(request, "party.html", found=found, people=people.rows)


@router.post("/parties/{party_id}/people")
def create_person(request: Request, party_id: PartyId, form: Filled) -> Response:
    """Let a person act for an organisation."""
    name, login, password = form.text("name"), form.text("login"), form.text("password")
    form.check()
    parties.create_person(
        site_of(request), actor_of(request), party=party_id, name=name, login=login, password=password,
        roles=_read_roles(form),
    )  # fmt: skip
    return done(request, f"/parties/{party_id}", "The person can sign in.")


@router.get("/clock")
def show_clock(request: Request) -> Response:
    """Show the clock and the working days ahead; in demo mode it can be moved forward."""
    site = site_of(request)
    access.require(actor_of(request), Permission.ADMINISTER_CLOCK_MOVE)
    today = site.today()
    days = [today + timedelta(days=number) for number in range(WORKING_DAYS_SHOWN)]
    return page(
        request, "clock.html", days=[(day, site.calendar.is_working_day(day)) for day in days],
        lead_days=today.weekday(), due={n: site.calendar.due(today, n) for n in (3, 10, 20)},
    )  # fmt: skip


@router.post("/clock")
def move(request: Request, form: Filled) -> Response:
    """Move the demo clock forward by whole days. Sessions of the old day end, so the mover gets a fresh one."""
    site, actor = site_of(request), actor_of(request)
    days = form.whole("days")
    form.check()
    login = parties.get_person(site, actor, actor.person).login
    move_clock(site, actor, days)
    secret, _ = parties.sign_in_as(site, login)
    return keep_session(request, done(request, "/clock", "The clock has moved forward."), secret)
