"""A node's certificate and signatures: the same for the same secret, and good for nothing else."""

import pytest

from gongshu.compute.adapters.joint import identity

SECRET, OTHER = b"1" * 32, b"2" * 32
OURS = identity.certificate(SECRET)
DIGEST = "ab" * 32


def test_a_certificate_is_the_same_for_the_same_secret_and_differs_for_another():
    assert identity.certificate(SECRET) == OURS
    assert identity.fingerprint(OURS) == identity.fingerprint(identity.certificate(SECRET))
    assert len(identity.fingerprint(OURS)) == 64
    assert identity.fingerprint(OURS) != identity.fingerprint(identity.certificate(OTHER))


def test_a_signature_is_over_one_digest_and_of_one_key():
    signature = identity.sign(SECRET, DIGEST)
    assert identity.is_signed(OURS, DIGEST, signature)
    assert not identity.is_signed(OURS, "ac" * 32, signature)
    assert not identity.is_signed(identity.certificate(OTHER), DIGEST, signature)


@pytest.mark.parametrize("signature", ["", "zz", "00", "3006020101020101", "x" * 10_000])
def test_what_is_no_signature_is_none(signature):
    assert not identity.is_signed(OURS, DIGEST, signature)


@pytest.mark.parametrize(
    "text",
    ["", "no certificate", OURS + OURS, OURS + " ", OURS[:-30], "é" + OURS, OURS.replace("CERT", "TREC"), "x" * 9_999],
)
def test_what_is_not_exactly_one_certificate_of_ours_has_no_fingerprint(text):
    assert identity.fingerprint(text) == ""
    assert not identity.is_signed(text, DIGEST, identity.sign(SECRET, DIGEST))


def test_a_key_derived_from_any_secret_is_a_key():
    for secret in (bytes(32), b"\xff" * 32):
        assert identity.is_signed(identity.certificate(secret), DIGEST, identity.sign(secret, DIGEST))
