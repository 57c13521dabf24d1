"""Format-preserving pseudonyms: the published vectors of FF1, and what a pseudonym keeps."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gongshu.policies import service as policies
from gongshu.policies.rules.pseudonyms import ff1, is_in_range
from gongshu.policies.rules.pseudonyms import pseudonyms as of_column
from gongshu.policies.service import Texts
from gongshu.policies.types import Mask, MaskKind

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
KEYS = {"aes": bytes(range(32)), "sm4": bytes(range(16))}
AES_128 = "2B7E151628AED2A6ABF7158809CF4F3C"
AES_192 = AES_128 + "EF4359D8D580AA4F"
AES_256 = AES_192 + "7F036D6F04FC6A94"
CODES = st.from_regex(r"[0-9A-Za-z\-]{8,18}", fullmatch=True) | st.from_regex(r"9199[0-9]{13}[0-9X]", fullmatch=True)


@pytest.mark.parametrize(
    ("key", "radix", "tweak", "plain", "enciphered"),
    [  # NIST SP 800-38G, samples of FF1
        (AES_128, 10, "", "0123456789", "2433477484"),
        (AES_128, 10, "39383736353433323130", "0123456789", "6124200773"),
        (AES_128, 36, "3737373770717273373737", "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
        (AES_192, 10, "", "0123456789", "2830668132"),
        (AES_192, 10, "39383736353433323130", "0123456789", "2496655549"),
        (AES_192, 36, "3737373770717273373737", "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
        (AES_256, 10, "", "0123456789", "6657667009"),
        (AES_256, 10, "39383736353433323130", "0123456789", "1001623463"),
        (AES_256, 36, "3737373770717273373737", "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
    ],
)
def test_ff1_gives_the_published_answers(key: str, radix: int, tweak: str, plain: str, enciphered: str) -> None:
    digits = np.array([[int(c, 36) for c in plain]] * 3, dtype=np.uint8)
    found = ff1("aes", bytes.fromhex(key), bytes.fromhex(tweak), [radix] * len(plain), digits)
    assert ["".join(DIGITS[i] for i in row) for row in found] == [enciphered] * 3


def pseudonyms(cipher: str, key: bytes, values: list[str | None]) -> list[str | None]:
    """Return the pseudonyms of values that make one column."""
    return of_column(cipher, key, Texts.of(values)).values()


def form(text: str) -> str:
    """Return the class of every character."""
    return "".join("0" if c.isdigit() else "a" if c.islower() else "A" if c.isupper() else c for c in text)


@pytest.mark.parametrize("cipher", ["aes", "sm4"])
@given(values=st.lists(CODES, min_size=1, max_size=30, unique=True))
def test_a_pseudonym_keeps_the_form_and_tells_different_values_apart(cipher: str, values: list[str | None]) -> None:
    found = pseudonyms(cipher, KEYS[cipher], values)
    assert found == pseudonyms(cipher, KEYS[cipher], values)
    shown = [p for p in found if p is not None]
    assert len(shown) == len(set(shown))
    for value, pseudonym in zip(values, found, strict=True):
        radices = [10 if c == "0" else 26 for c in form(value) if c in "0aA"]
        assert (pseudonym is not None) == is_in_range(radices)
        assert pseudonym is None or form(pseudonym) == form(value)


def test_the_ciphers_and_the_keys_give_different_pseudonyms() -> None:
    codes = [f"{i:018d}" for i in range(200)]
    found = [
        pseudonyms("aes", KEYS["aes"], codes),
        pseudonyms("sm4", KEYS["sm4"], codes),
        pseudonyms("aes", os.urandom(32), codes),
        codes,
    ]
    assert len({value for column in found for value in column}) == 4 * len(codes)


@pytest.mark.parametrize("value", ["", "12345", "甲乙丙", "A" * 60, None])
def test_what_could_be_tried_one_by_one_or_does_not_fit_gets_no_pseudonym(value: str | None) -> None:
    assert pseudonyms("aes", KEYS["aes"], [value]) == [None]


@given(values=st.lists(st.none() | st.text(max_size=20) | CODES, max_size=40), rows=st.integers(1, 7))
def test_a_value_has_the_same_pseudonym_whatever_stands_beside_it(values: list[str | None], rows: int) -> None:
    alone = [pseudonyms("aes", KEYS["aes"], [value])[0] for value in values]
    parts = [of_column("aes", KEYS["aes"], part).values() for part in Texts.of(values).parts(rows)]
    assert [value for part in parts for value in part] == alone


@pytest.mark.parametrize(
    ("kind", "parameter", "data_type", "fits"),
    [
        (MaskKind.NAME, "", "text", True),
        (MaskKind.NAME, "3", "text", False),
        (MaskKind.NAME, "", "integer", False),
        (MaskKind.PHONE, "", "integer", True),
        (MaskKind.MONTH, "", "date", True),
        (MaskKind.MONTH, "", "text", False),
        (MaskKind.BAND, "", "decimal", True),
        (MaskKind.BAND, "100", "integer", True),
        (MaskKind.BAND, "0", "integer", False),
        (MaskKind.BAND, "1); DROP", "integer", False),
        (MaskKind.BAND, "10", "text", False),
        (MaskKind.KEYED_HASH, "", "date", True),
        (MaskKind.PSEUDONYM, "sm4", "text", True),
        (MaskKind.PSEUDONYM, "des", "text", False),
        (MaskKind.PSEUDONYM, "", "decimal", False),
    ],
)
def test_a_mask_fits_a_type_with_its_parameter(kind: MaskKind, parameter: str, data_type: str, fits: bool) -> None:
    fault = policies.mask_fault("c", data_type, Mask(kind, parameter))
    assert (fault is None) == fits
    assert fault is None or (fault.code, dict(fault.facts)["column"]) == ("mask-unfit", "c")


def test_every_kind_of_mask_has_its_form() -> None:
    assert set(policies.MASKS) == set(MaskKind)
