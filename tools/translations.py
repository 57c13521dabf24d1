"""The message catalogs of the console: extract the messages, bring the ``.po`` files up to date, say what is missing.

``python tools/translations.py`` rewrites ``gongshu/console/locale/*/LC_MESSAGES/messages.po``: new messages are added
empty (English is filled with itself), stale ones are dropped. A test fails while one is missing.
"""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

CONSOLE = Path(__file__).parent.parent / "gongshu" / "console"
LOCALES = ("zh_CN", "en")
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {
    "templates/**.html": {
        "extensions": "jinja2.ext.do", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true",
        "silent": "false",
    }
}  # fmt: skip
KEYWORDS = {
    "_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "word": ((1, "c"), 2),  # gongshu.console.labels.word
    "done": (3,),  # gongshu.console.render.done: what is said on the next page
    "sentence": None,  # gongshu.console.labels.sentence
}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands in every header, so that a rewrite changes messages only."""
HEADER = """# The words of the console. Written by tools/translations.py; translate here, then run it again."""
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%")
Key = tuple[str, str | tuple[str, ...]]


def extract() -> Catalog:
    """Return every message of the console's Python files and templates."""
    catalog = Catalog(charset="utf-8", fuzzy=False)
    found = extract_from_dir(CONSOLE, METHODS, OPTIONS, keywords=KEYWORDS)
    for path, _line, message, _comments, context in sorted(found, key=lambda item: (item[0], item[1])):
        catalog.add(message, locations=[(path, None)], context=context)
    return catalog


def po_path(locale: str) -> Path:
    """Return where the catalog of a language is kept."""
    return CONSOLE / "locale" / locale / "LC_MESSAGES" / "messages.po"


def read(locale: str) -> Catalog:
    """Return the catalog of a language; an empty one when there is none yet."""
    path = po_path(locale)
    if not path.exists():
        return Catalog(locale=locale, fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def keys(catalog: Catalog) -> dict[Key, str | tuple[str, ...]]:
    """Return message and translation by context and msgid."""
    return {(message.context or "", _plain(message.id)): _plain(message.string) for message in catalog if message.id}


def _plain(text: object) -> str | tuple[str, ...]:
    return tuple(text) if isinstance(text, list | tuple) else str(text)


def faults(locale: str) -> list[str]:
    """Return what is wrong with a catalog: messages that are missing, untranslated, fuzzy or stale."""
    wanted, catalog = keys(extract()), read(locale)
    present = keys(catalog)
    found = [f"missing: {key}" for key in wanted if key not in present]
    found += [f"stale: {key}" for key in present if key not in wanted]
    found += [f"untranslated: {key}" for key, text in present.items() if not (all(text) if text else False)]
    found += [f"fuzzy: {message.id}" for message in catalog if message.fuzzy and message.id]
    return found


def update(locale: str) -> None:
    """Bring the catalog of a language up to date with the messages."""
    template, old = extract(), keys(read(locale))
    catalog = Catalog(
        locale=locale, project="gongshu", version="1", fuzzy=False, charset="utf-8", creation_date=SINCE,
        revision_date=SINCE, last_translator="gongshu", language_team="gongshu", header_comment=HEADER,
    )  # fmt: skip
    for message in template:
        if not message.id:
            continue
        known = old.get((message.context or "", _plain(message.id)), "")
        if not known and locale == "en":
            known = _plain(message.id)
        text = known if isinstance(known, str) else known[: catalog.num_plurals]
        added = catalog.add(message.id, text or None, context=message.context)
        added.locations = [(path, None) for path in sorted({path for path, _ in message.locations})]
        added.flags -= {"fuzzy"}
    path = po_path(locale)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalog, width=120, sort_output=True, omit_header=False, include_lineno=False)


def main() -> int:
    """Rewrite the catalogs and print what is left to translate."""
    for locale in LOCALES:
        update(locale)
        for fault in faults(locale):
            print(f"{locale}: {fault}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
