"""Keyed hashes: the published vectors of AES-CMAC, and that a whole column is hashed as each value by itself."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from gongshu.policies.rules.keyed_hashes import cmac, hash_key, keyed_hashes
from gongshu.policies.service import Texts

KEY_128 = "2b7e151628aed2a6abf7158809cf4f3c"
KEY_256 = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
MESSAGE = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
KEY = hash_key(b"a secret")


@pytest.mark.parametrize(
    ("key", "length", "tag"),
    [  # RFC 4493 §4 and NIST's examples for SP 800-38B
        (KEY_128, 0, "bb1d6929e95937287fa37d129b756746"),
        (KEY_128, 16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (KEY_128, 40, "dfa66747de9ae63030ca32611497c827"),
        (KEY_128, 64, "51f0bebf7e3b9d92fc49741779363cfe"),
        (KEY_256, 0, "028962f61b7bf89efc6b551f4667d983"),
        (KEY_256, 16, "28a7023f452e8f82bd4bf28d8c37c35c"),
        (KEY_256, 40, "aaf3d8f1de5640c232f5b169b9c911e6"),
        (KEY_256, 64, "e1992190549f6ed5696a2c056c315410"),
    ],
)
def test_cmac_gives_the_published_answers(key: str, length: int, tag: str) -> None:
    rows = np.frombuffer(MESSAGE[:length] * 3, dtype=np.uint8).reshape(3, length)
    assert [row.tobytes().hex() for row in cmac(bytes.fromhex(key), rows)] == [tag] * 3


@given(values=st.lists(st.none() | st.text(max_size=70), max_size=40), rows=st.integers(1, 9))
def test_a_column_is_hashed_as_each_value_by_itself(values: list[str | None], rows: int) -> None:
    expected: list[str | None] = []
    for value in values:
        mac = CMAC(AES(KEY))
        mac.update((value or "").encode())
        expected.append(None if value is None else mac.finalize().hex())
    found = [keyed_hashes(KEY, part).values() for part in Texts.of(values).parts(rows)]
    assert [one for part in found for one in part] == expected
    assert Texts.of(values).values() == values
