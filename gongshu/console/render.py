"""From a template to an answer: the language, the frame around each page, refusals, and what follows a form."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import date, datetime
from enum import Enum, StrEnum
from functools import cache, partial
from importlib.resources import files
from typing import Any, cast
from urllib.parse import quote, unquote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission, Role
from gongshu.base.days import CHINA
from gongshu.base.decisions import Kind, Reason, Refused
from gongshu.base.digest import canonical_json
from gongshu.base.ids import PartyId, PersonId
from gongshu.base.money import yuan
from gongshu.base.site import Site
from gongshu.catalog.types import Fault
from gongshu.console.codes import (
    CHECKS,
    CRITERIA,
    DEFENCES,
    DUTIES,
    FACTS,
    KINDS,
    OFFICES,
    PURPOSES,
    QUALITY_RULES,
    UNITS,
)
from gongshu.console.labels import Word, label_of, tone_of
from gongshu.console.language import Language, language_of, words
from gongshu.console.navigation import groups_for
from gongshu.console.pictures import last_day
from gongshu.parties import service as parties
from gongshu.policies.service import hours_text

SESSION_COOKIE = "gongshu_session"
FLASH_COOKIE = "gongshu_flash"
FLASH_SECONDS_MAX = 30
DIGEST_CHARS_SHOWN = 12
ID_CHARS_SHOWN = 8
REFUSED_STATUS = 422


def site_of(request: Request) -> Site:
    """Return the installation this request came to."""
    return cast(Site, request.app.state.site)


def actor_of(request: Request) -> Actor:
    """Return who is asking, as the edge resolved it."""
    return cast(Actor, request.state.actor)


def gateway_of(request: Request) -> str:
    """Return the address of the gateway, as the server knows it."""
    return str(getattr(request.app.state, "gateway_address", "http://127.0.0.1:8001"))


def translate(request: Request) -> Callable[[Word], str]:
    """Return what says a word in the language of ``request``."""
    return partial(_word, language_of(request))


def party_names(request: Request) -> Callable[[str], str]:
    """Return what names parties by their id."""
    return _Names(site_of(request), actor_of(request), language_of(request)).party


def is_fragment(request: Request) -> bool:
    """Whether the page itself asked (htmx) and wants a part of it, not a whole page."""
    return "hx-request" in request.headers


def page(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Return a whole page, or the part of one that ``template`` is."""
    language = language_of(request)
    flash = unquote(request.cookies.get(FLASH_COOKIE, "")) if not is_fragment(request) else ""
    html = _environment(language).get_template(template).render(**_frame(request, language), flash=flash, **context)
    response = HTMLResponse(html, status, headers={"Vary": "Cookie, Accept-Language, HX-Request"})
    if flash:
        response.delete_cookie(FLASH_COOKIE)
    return response


def done(request: Request, where: str, message: str = "", **facts: object) -> Response:
    """Return what follows a form that did something: go to ``where`` and say ``message`` (a msgid) there."""
    goes_on = Response(headers={"HX-Redirect": where}) if is_fragment(request) else None
    response = goes_on or RedirectResponse(where, status_code=303)
    if message:
        said = words(language_of(request)).gettext(message) % facts
        response.set_cookie(FLASH_COOKIE, quote(said), max_age=FLASH_SECONDS_MAX, httponly=True, samesite="lax")
    return response


def keep_session(request: Request, response: Response, secret: str) -> Response:
    """Return ``response`` with the cookie of a session: unreadable to scripts, sent over TLS only where there is TLS."""
    response.set_cookie(
        SESSION_COOKIE, secret, httponly=True, samesite="lax", secure=request.url.scheme == "https", path="/"
    )
    return response


def render_refusal(request: Request, reasons: tuple[Reason, ...], status: int = REFUSED_STATUS) -> Response:
    """Return why something was refused: what is wrong, by which rule, and the smallest fix, in the page's language.

    A form of a page gets the part to show above itself; somebody unknown who opens a page is led to the sign-in.
    """
    if is_fragment(request):
        return page(request, "reasons.html", status=status, reasons=reasons)
    kinds = {reason.rule.kind for reason in reasons}
    if Kind.UNAUTHENTICATED in kinds and request.method == "GET":
        return RedirectResponse(f"/sign-in?next={quote(request.url.path)}", status_code=303)
    # After a failure inside, the frame must not ask the services that may have failed.
    template = "failure.html" if Kind.INTERNAL in kinds else "refusal.html"
    return page(request, template, status=status, reasons=reasons)


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("gongshu.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    translations = words(language)
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(
        say=language.of,
        label=partial(_label, language),
        tone=tone_of,
        word=partial(_word, language),
        kind=partial(_named, language, KINDS),
        purpose=partial(_named, language, PURPOSES),
        check=partial(_named, language, CHECKS),
        duty=partial(_named, language, DUTIES),
        quality_rule=partial(_named, language, QUALITY_RULES),
        fault=lambda code: _label(language, Fault(code)) if code in set(Fault) else code,
        criterion=partial(_named, language, CRITERIA),
        format_note=lambda text, count: text % {"n": count},
        uses_by_column=lambda policies: {policy.column: policy.uses for policy in policies},
        quota=lambda pair: _share(*pair),
        items_by_code=lambda items: {item.code: item.text for item in items},
        hours=hours_text,
        yuan=lambda minor: f"¥{yuan(minor)}",
        number=lambda value: f"{value:,}",
        day=_day,
        moment=_moment,
        digest=lambda value: str(value)[:DIGEST_CHARS_SHOWN],
        short_id=_short_id,
        size=_size,
        brief=_brief,
        unit=partial(_named, language, UNITS),
        defence=partial(_named, language, DEFENCES),
        office=partial(_named, language, OFFICES),
        fact=partial(_named, language, FACTS),
        share=_share,
        json_attribute=lambda value: canonical_json(value).decode(),
    )
    labelled = partial(_labelled, language)
    environment.globals.update(
        labelled=labelled, language=language, Language=Language, static=_static, icon=icon, last_day=last_day,
    )  # fmt: skip
    return environment


def _frame(request: Request, language: Language) -> dict[str, Any]:
    """What every page needs: who asks, the token of its forms, where one can go, the names behind ids."""
    site, actor = site_of(request), actor_of(request)
    names = _Names(site, actor, language)
    is_known = bool(getattr(request.state, "csrf", ""))
    return {
        "request": request,
        "path": request.url.path,
        "actor": actor,
        "is_known": is_known,
        "csrf": getattr(request.state, "csrf", ""),
        "is_demo": site.is_demo,
        "now": site.now(),
        "today": site.today(),
        "menu": groups_for(actor.roles, is_known=is_known),
        "may": lambda permission: access.may(actor, Permission[permission]),
        "party": names.party,
        "person": names.person,
        "is_fragment": is_fragment(request),
        "other_language": Language.CHINESE if language is Language.ENGLISH else Language.ENGLISH,
    }


class _Names:
    """Names of parties and people, asked once per page. An id that may not be known stays an id."""

    def __init__(self, site: Site, actor: Actor, language: Language) -> None:
        self._site, self._actor = site, actor
        self._parties: dict[str, str] = {name: _word(language, office) for name, office in OFFICES.items()}
        self._people: dict[str, str] = {"system": self._parties["platform"], "anonymous": self._parties["public"]}

    def party(self, party_id: str) -> str:
        if party_id not in self._parties:
            try:
                self._parties[party_id] = parties.get_party(self._site, self._actor, PartyId(party_id)).name
            except Refused:
                self._parties[party_id] = party_id
        return self._parties[party_id]

    def person(self, person_id: str | None) -> str:
        if not person_id:
            return "—"
        if person_id not in self._people:
            if self._actor.roles <= {Role.PUBLIC}:  # who handled a case is told to those who have signed in
                return _short_id(person_id)
            try:
                access.require(self._actor, Permission.READ_PARTY_VIEW)
                with self._site.db.reading() as tx:
                    found = parties.person_in(tx, PersonId(person_id))
                self._people[person_id] = f"{found.name} · {self.party(found.party)}"
            except Refused:
                self._people[person_id] = _short_id(person_id)
        return self._people[person_id]


def _word(language: Language, entry: Word) -> str:
    return words(language).pgettext(*entry)


def _label(language: Language, member: Enum) -> str:
    return _word(language, label_of(member))


def _labelled(language: Language, members: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """Return pairs of value and words, as a choice in a form wants them."""
    return [(member.value, _label(language, member)) for member in members]


def _named(language: Language, table: dict[str, Word], code: str) -> str:
    """Return the word for a code, or the code itself: rooms may have more codes than there are words."""
    return _word(language, table[code]) if code in table else code


def _day(value: date | datetime | None) -> str:
    if value is None:
        return "—"
    if isinstance(value, datetime):
        value = value.astimezone(CHINA).date()
    return value.isoformat()


def _moment(value: datetime | None) -> str:
    return "—" if value is None else value.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _short_id(value: str) -> str:
    """The kind and the random end of an id; the full id stands in the title beside it."""
    name, colon, part = value.partition(":")
    kind, dash, rest = name.rpartition("-")
    return f"{kind}{dash}{rest[-ID_CHARS_SHOWN:]}{colon}{part}"


def _brief(text: str, chars: int) -> str:
    """The beginning of a text that must fit into a box; a remark in brackets at its end goes first."""
    text = text.partition("（")[0] or text
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GB"


def _share(part: int, whole: int) -> str:
    """A percentage that says 100 only when it is all, and 0 only when it is nothing."""
    if whole == 0:
        return "—"
    percent = 100 * part / whole
    if 0 < part < whole:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f}%" if 0 < part < whole else f"{percent:.0f}%"


@cache
def _static(name: str) -> str:
    """Return the address of a static file with a mark that changes when the file does."""
    file = files("gongshu.console").joinpath("static", name)
    mark = hashlib.sha256(file.read_bytes()).hexdigest()[:8] if file.is_file() else "0"
    return f"/static/{name}?{mark}"


def icon(name: str) -> Markup:
    """Return an icon of the sheet. Decorative: the word beside it speaks."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(
        _static("vendor/icons.svg"), name
    )
