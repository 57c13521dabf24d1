"""The two languages of the pages: which one a browser wants, and the words for it.

Chinese unless the browser prefers English or the visitor chose; the choice is kept in a cookie. Catalogs are read from
their ``.po`` files at start, so that no compiled file can be stale.
"""

import gettext
from enum import StrEnum
from functools import cache
from importlib.resources import files
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

from gongshu.base.decisions import Text

LANGUAGE_COOKIE = "gongshu_language"
LANGUAGES_LOOKED_AT_MAX = 10


class Language(StrEnum):
    """A language of the console; the value is what ``<html lang>`` and the cookie say."""

    CHINESE = "zh-CN"
    ENGLISH = "en"

    @property
    def folder(self) -> str:
        """The folder of its catalog under ``locale/``."""
        return self.value.replace("-", "_")

    def of(self, text: Text) -> str:
        """Return the sentence of a rule in this language."""
        return text.en if self is Language.ENGLISH else text.zh


def negotiate(accept_language: str) -> Language:
    """Return the first language of an ``Accept-Language`` header that we speak; Chinese when there is none."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept_language.split(",")[:LANGUAGES_LOOKED_AT_MAX]):
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        wanted.append((-weight, place, tag.split("-")[0].lower()))
    for weight_below_zero, _, tag in sorted(wanted):
        if tag in {"zh", "en"} and weight_below_zero < 0:
            return Language.ENGLISH if tag == "en" else Language.CHINESE
    return Language.CHINESE


def language_of(request: Request) -> Language:
    """Return the language for this request: the cookie's, else the browser's, else Chinese."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in set(Language):
        return Language(chosen)
    return negotiate(request.headers.get("accept-language", ""))


@cache
def words(language: Language) -> gettext.GNUTranslations:
    """Return the catalog of ``language``."""
    source = files("gongshu.console").joinpath("locale", language.folder, "LC_MESSAGES", "messages.po")
    with source.open("rb") as file:
        catalog = read_po(file, locale=language.folder)
    compiled = BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
