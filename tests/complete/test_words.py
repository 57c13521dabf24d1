"""The console has a word for everything, in both languages."""

import subprocess
import sys
from enum import Enum
from pathlib import Path

import pytest

from gongshu.access.types import Role
from gongshu.console import labels
from gongshu.console.language import Language, words

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import translations  # noqa: E402 - a script, not a module of the package


@pytest.mark.parametrize("locale", translations.LOCALES)
def test_no_message_is_missing_untranslated_or_stale(locale: str) -> None:
    assert translations.faults(locale) == []


@pytest.mark.parametrize("locale", translations.LOCALES)
def test_a_translation_keeps_the_placeholders_of_its_message(locale: str) -> None:
    for (context, message), text in translations.keys(translations.read(locale)).items():
        asked = placeholders(message[-1] if isinstance(message, tuple) else message)
        last = text if isinstance(text, str) else text[-1]  # the plural: a singular may say "one" instead of a number
        assert placeholders(last) == asked, (context, message)


def placeholders(text: str) -> set[str]:
    """Return the names of the placeholders, and whether there is a literal percent sign."""
    return set(translations.PLACEHOLDER.findall(text))


def enumerations() -> set[type[Enum]]:
    """Return every enumeration that has at least one word."""
    return {type(member) for member, _ in labels._LABELS}


@pytest.mark.parametrize("enumeration", sorted(enumerations(), key=lambda one: one.__qualname__))
def test_every_member_has_a_word_and_a_colour(enumeration: type[Enum]) -> None:
    for member in enumeration:
        context, text = labels.label_of(member)
        assert words(Language.CHINESE).pgettext(context, text) != text
        assert labels.tone_of(member)


def test_words_of_one_enumeration_differ() -> None:
    for enumeration in enumerations():
        found = [labels.label_of(member) for member in enumeration]
        assert len(set(found)) == len(found), enumeration


def test_every_role_knows_what_it_does() -> None:
    from gongshu.console.pages.door import DOES, ROLE_ICONS

    assert set(DOES) == set(ROLE_ICONS) == set(Role) - {Role.PUBLIC}


def test_every_icon_that_a_page_uses_is_taken_from_npm() -> None:
    listed = {
        line.strip()
        for line in (ROOT / "frontend" / "icons.txt").read_text("utf-8").splitlines()
        if line.strip() and not line.startswith("#")
    }
    used = subprocess.run(
        ["grep", "-rhoE", r'icon\("[a-z0-9-]+"\)', str(ROOT / "gongshu" / "console" / "templates")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = {line.split('"')[1] for line in used.splitlines()}
    from gongshu.console.navigation import GROUPS
    from gongshu.console.pages.door import ROLE_ICONS

    names |= {place.icon for group in GROUPS for place in group.places} | set(ROLE_ICONS.values())
    assert names - listed == set()
