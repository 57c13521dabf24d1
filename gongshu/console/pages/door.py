"""Signing in and out, and the language of the pages."""

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from gongshu.access.types import Role
from gongshu.base.decisions import Refused
from gongshu.console.forms import Filled
from gongshu.console.labels import Word, word
from gongshu.console.language import LANGUAGE_COOKIE, Language
from gongshu.console.render import SESSION_COOKIE, actor_of, done, keep_session, page, render_refusal, site_of
from gongshu.parties import service as parties

router = APIRouter()

LANGUAGE_SECONDS = 365 * 24 * 3600

DOES: dict[Role, Word] = {
    Role.SUPPLIER: word("does", "Takes in data, grades its columns, sets their uses, registers the resource"),
    Role.REGISTRAR: word("does", "Accepts, reviews, publishes and codes registrations"),
    Role.AUTHORISING_BODY: word("does", "Decides on implementation plans"),
    Role.IMPLEMENTING_AGENCY: word("does", "Writes plan and agreement, issues and ends grants, decides scenarios"),
    Role.OPERATOR: word("does", "Signs, applies for scenarios, releases, lists products, settles"),
    Role.ASSESSOR: word("does", "Scores scenarios blindly by five criteria"),
    Role.DEVELOPER: word("does", "Writes governed SQL on synthetic rows, submits jobs"),
    Role.REVIEWER: word("does", "Looks at outputs in quarantine and votes"),
    Role.CONSUMER: word("does", "Orders, signs, calls products and pays"),
    Role.AUDITOR: word("does", "Verifies the log and walks every call back to its source"),
    Role.PLATFORM_ADMINISTRATOR: word("does", "Admits organisations and people, moves the demo clock"),
}
ROLE_ICONS: dict[Role, str] = {
    Role.SUPPLIER: "database", Role.REGISTRAR: "certificate", Role.AUTHORISING_BODY: "gavel",
    Role.IMPLEMENTING_AGENCY: "building-community", Role.OPERATOR: "briefcase", Role.ASSESSOR: "scale",
    Role.DEVELOPER: "code", Role.REVIEWER: "rubber-stamp", Role.CONSUMER: "building-bank",
    Role.AUDITOR: "eye", Role.PLATFORM_ADMINISTRATOR: "settings",
}  # fmt: skip


def inside(path: str) -> str:
    """Return ``path`` if it is a place of this site, else the start page: nobody is led elsewhere by a link."""
    parts = urlsplit(path)
    is_ours = not parts.scheme and not parts.netloc and parts.path.startswith("/") and "\\" not in path
    return parts.path if is_ours and not parts.path.startswith("//") else "/"


@router.get("/sign-in")
def show_door(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name in the address
    """Show the sign-in; in demo mode with one button per person."""
    site = site_of(request)
    people = parties.list_demo_people(site) if site.is_demo else ()
    order = list(Role)
    return page(
        request, "sign-in.html", next=inside(next), does=DOES, icons=ROLE_ICONS,
        people=sorted(people, key=lambda pair: (min(order.index(role) for role in pair[0].roles), pair[0].login)),
    )  # fmt: skip


def _enter(request: Request, secret: str, where: str) -> Response:
    return keep_session(request, done(request, where), secret)


@router.post("/sign-in")
def sign_in(request: Request, form: Filled) -> Response:
    """Sign in with login and password."""
    login, password = form.text("login"), form.text("password")
    form.check()
    secret, _ = parties.sign_in(site_of(request), login, password)
    return _enter(request, secret, inside(form.text("next", is_required=False)))


@router.post("/sign-in-as")
def sign_in_as(request: Request, form: Filled) -> Response:
    """Sign in as a person of the demo, by one click; everywhere else refused by the service."""
    login = form.text("login")
    form.check()
    secret, _ = parties.sign_in_as(site_of(request), login)
    return _enter(request, secret, inside(form.text("next", is_required=False)))


@router.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session."""
    try:
        parties.sign_out(site_of(request), actor_of(request), request.cookies.get(SESSION_COOKIE, ""))
    except Refused as refused:
        return render_refusal(request, refused.reasons)
    response = done(request, "/sign-in")
    response.delete_cookie(SESSION_COOKIE)
    return response


@router.post("/language")
def choose_language(form: Filled) -> Response:
    """Keep the language that was chosen, and go back to where one was."""
    chosen = form.choice("language", Language) or Language.CHINESE
    response = RedirectResponse(inside(form.text("next", is_required=False)), status_code=303)
    response.set_cookie(LANGUAGE_COOKIE, chosen.value, max_age=LANGUAGE_SECONDS, httponly=True, samesite="lax")
    return response
