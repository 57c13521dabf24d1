"""Signed notes, checkpoints and proofs as C2SP writes them."""

import pytest

from gongshu.audit.rules.notes import (
    NOTE_CHARS_MAX,
    open_checkpoint,
    open_note,
    origin_of,
    proof_text,
    public_bytes,
    read_proof,
    read_verifier_key,
    sign_checkpoint,
    sign_note,
    verifier_key,
)
from gongshu.audit.types import InclusionProof

# The example of Go's note package, the reference implementation of signed notes.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_BODY = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_NOTE = f"{GO_BODY}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
SEED = bytes(range(32))
PUBLIC = public_bytes(SEED)
NAME = origin_of(PUBLIC)
CHECKPOINT = sign_checkpoint(5, b"r" * 32, SEED)


def test_a_note_of_the_reference_implementation_opens():
    assert open_note(GO_NOTE, *read_verifier_key(GO_KEY)) == GO_BODY
    assert verifier_key(*read_verifier_key(GO_KEY)) == GO_KEY


@pytest.mark.parametrize(
    "key", ["", "a+b", GO_KEY.replace("c7", "c8"), GO_KEY.replace("Peter", "Pete"), GO_KEY[:-4], GO_KEY.replace("+ARpc", "+Ahpc"), GO_KEY + "="]
)  # fmt: skip
def test_what_is_no_verifier_key_is_refused(key):
    with pytest.raises(ValueError):
        read_verifier_key(key)


@pytest.mark.parametrize(
    ("note", "problem"),
    [
        ("", "no signed note"), (GO_NOTE[:-1], "no signed note"), ("x" * NOTE_CHARS_MAX + "\n", "no signed note"),
        (GO_BODY, "no signatures"), (GO_NOTE.replace("answer", "Answer"), "does not verify"),
        (GO_NOTE.replace("— Peter", "- Peter"), "malformed"), (GO_NOTE.replace("— Peter", "— Pete r"), "malformed"),
        (GO_NOTE.replace("— Peter", "— Paul"), "not signed by this"), (GO_NOTE.replace("x08go", "x08gp"), "not signed by this"),
        (GO_NOTE.replace("nAM=\n", "nAN=\n"), "canonical"), (GO_NOTE + "\n", "malformed|no signed|not signed"),
    ],
)  # fmt: skip
def test_a_note_that_was_changed_does_not_open(note, problem):
    with pytest.raises(ValueError, match=problem):
        open_note(note, *read_verifier_key(GO_KEY))


def test_signatures_of_others_are_left_aside():
    assert open_note(GO_NOTE + "— witness.example/w TnKKVHLX\n", *read_verifier_key(GO_KEY)) == GO_BODY


def test_a_body_may_hold_empty_lines():
    body = "one\n\ntwo\n"
    assert open_note(sign_note(body, NAME, SEED), NAME, PUBLIC) == body


def test_the_same_state_is_signed_with_the_same_bytes():
    assert sign_checkpoint(5, b"r" * 32, SEED) == CHECKPOINT
    assert CHECKPOINT.note.startswith(f"{NAME}\n5\ncnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=\n\n— {NAME} ")
    assert open_checkpoint(CHECKPOINT.note, NAME, PUBLIC) == CHECKPOINT


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (f"{NAME}\n5\n", "no checkpoint"), ("other\n5\nx\n", "no checkpoint"), (f"{NAME}\n5\nxx==\n", "canonical"),
        (f"{NAME}\n05\n{'A' * 43}=\n", "malformed"), (f"{NAME}\n-5\n{'A' * 43}=\n", "malformed"),
        (f"{NAME}\n\n{'A' * 43}=\n", "malformed"), (f"{NAME}\n٥\n{'A' * 43}=\n", "malformed"),
        (f"{NAME}\n{'9' * 19}\n{'A' * 43}=\n", "malformed"), (f"{NAME}\n5\nAAAA\n", "malformed"),
    ],
)  # fmt: skip
def test_a_signed_note_that_is_no_checkpoint_is_refused(body, problem):
    with pytest.raises(ValueError, match=problem):
        open_checkpoint(sign_note(body, NAME, SEED), NAME, PUBLIC)


def test_extension_lines_are_allowed():
    note = sign_note(f"{NAME}\n0\n{'A' * 43}=\nextension\n", NAME, SEED)
    assert open_checkpoint(note, NAME, PUBLIC).size == 0


def test_a_proof_is_the_text_of_the_standard_and_reads_back():
    proof = InclusionProof(3, b'{"a":1}', (b"x" * 32, b"y" * 32), CHECKPOINT.note)
    text = proof_text(proof)
    assert text.split("\n")[:6] == [
        "c2sp.org/tlog-proof@v1", "extra eyJhIjoxfQ==", "index 3", "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=",
        "eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXk=", "",
    ]  # fmt: skip
    assert text.endswith("\n\n" + CHECKPOINT.note)
    assert read_proof(text) == proof


@pytest.mark.parametrize(
    "text",
    [
        "", "c2sp.org/tlog-proof@v1\nindex 3\n\nx", "c2sp.org/tlog-proof@v1\nextra \nindx 3\n\nx",
        "c2sp.org/tlog-proof@v1\nextra \nindex x\n\nx", "c2sp.org/tlog-proof@v2\nextra \nindex 3\n\nx",
        "c2sp.org/tlog-proof@v1\nextra \nindex 3\n?\n\nx",
    ],
)  # fmt: skip
def test_what_is_no_proof_is_refused(text):
    with pytest.raises(ValueError):
        read_proof(text)
