"""Check characters of the field's identifiers: organisations, people, bank cards, and the platform's own codes.

The engine counts with the same arithmetic as SQL (``catalog.adapters``).
"""

from datetime import date

CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
"""GB 32100-2015: digits and capital letters without I, O, S, V, Z."""
CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
CREDIT_MODULUS = 31
ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
ID_CARD_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
ID_CARD_CHECKS = "10X98765432"
CODE_LENGTH = 18
BANK_CARD_LENGTHS = range(13, 20)

_CREDIT_VALUES = {character: value for value, character in enumerate(CREDIT_ALPHABET)}


def credit_check_character(body: str) -> str:
    """Return the check character (GB 32100-2015, MOD 31) of the 17 characters ``body``, all of the alphabet."""
    total = sum(_CREDIT_VALUES[character] * weight for character, weight in zip(body, CREDIT_WEIGHTS, strict=True))
    return CREDIT_ALPHABET[(CREDIT_MODULUS - total % CREDIT_MODULUS) % CREDIT_MODULUS]


def is_credit_code(text: str) -> bool:
    """Whether ``text`` is a unified social credit code with the right check character.

    The check digit of the organisation number inside (GB 11714) is not looked at: synthetic codes have a wrong one.
    """
    if len(text) != CODE_LENGTH or any(character not in _CREDIT_VALUES for character in text):
        return False
    return credit_check_character(text[:-1]) == text[-1]


def organisation_check_character(body: str) -> str:
    """Return the check character (GB 11714, MOD 11) of the 8 characters ``body`` of an organisation number."""
    values = (int(character, 36) for character in body)
    rest = 11 - sum(value * weight for value, weight in zip(values, ORGANISATION_WEIGHTS, strict=True)) % 11
    return {10: "X", 11: "0"}.get(rest, str(rest))


def id_card_check_character(body: str) -> str:
    """Return the check character (GB 11643, MOD 11-2) of the 17 digits ``body``."""
    total = sum(int(digit) * weight for digit, weight in zip(body, ID_CARD_WEIGHTS, strict=True))
    return ID_CARD_CHECKS[total % 11]


def is_id_card(text: str) -> bool:
    """Whether ``text`` is an 18-character ID number with the right check character and a date that exists."""
    body = text[:-1]
    if len(text) != CODE_LENGTH or not (body.isascii() and body.isdigit()):
        return False
    try:
        date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return id_card_check_character(body) == text[-1].upper()


def is_bank_card(text: str) -> bool:
    """Whether ``text`` has 13 to 19 digits and passes the Luhn check."""
    if len(text) not in BANK_CARD_LENGTHS or not (text.isascii() and text.isdigit()):
        return False
    total = 0
    for place, digit in enumerate(reversed(text)):
        doubled = int(digit) * (1 + place % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


MOD_37_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"
"""GB/T 17710 MOD 37-2: values 0 to 36; only a check character may be ``*``."""


def mod_37_check_character(body: str) -> str:
    """Return the check character of GB/T 17710 MOD 37-2 for ``body`` (NDI-TR-2025-04)."""
    carried = 0
    for character in body:
        carried = (carried + MOD_37_ALPHABET.index(character)) * 2 % 37
    return MOD_37_ALPHABET[(1 - carried) % 37]


def passes_mod_37(code: str) -> bool:
    """Whether the last character of ``code`` is the check character of what stands before it."""
    body, check = code[:-1], code[-1:]
    return bool(body) and set(body) <= set(MOD_37_ALPHABET[:-1]) and mod_37_check_character(body) == check
