"""Beyond one machine each side shows its certificate and accepts exactly the peer's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from gongshu.compute.adapters.joint import party
from gongshu.compute.rules.joint import JointKind, JointLimits


def make_certificate(folder, name):
    """Write a self-signed certificate and its key."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def shown(folder, own, peer):
    return party.Certificates(folder / f"{own}.pem", folder / f"{own}.key", folder / f"{peer}.pem")


def meet(pair, agreed, first, second):
    runs = [pair.bring(side, agreed, ((f"K{number}", None) for number in range(50))) for side in (0, 1)]
    with ThreadPoolExecutor(2) as both:
        told = [
            both.submit(party.run_party, run, pair.station(side, certificates))
            for side, (run, certificates) in enumerate(zip(runs, (first, second), strict=True))
        ]
        return [one.result() for one in told]


def test_parties_with_each_others_certificates_meet(pair, agreed):
    for name in ("bank", "government"):
        make_certificate(pair.folder, name)
    told = meet(
        pair, agreed(JointKind.INTERSECTION),
        shown(pair.folder, "bank", "government"), shown(pair.folder, "government", "bank"),
    )  # fmt: skip
    assert [one.code for one in told] == ["", ""]
    assert told[0].count == 50


@pytest.mark.slow
@pytest.mark.parametrize("second", ["impostor", ""])
def test_a_stranger_is_not_met(pair, agreed, second):
    for name in ("bank", "government", "impostor"):
        make_certificate(pair.folder, name)
    told = meet(
        pair, agreed(JointKind.INTERSECTION, limits=JointLimits(8, 5, 30)),
        shown(pair.folder, "bank", "government"), shown(pair.folder, second, "bank") if second else None,
    )  # fmt: skip
    assert [one.code for one in told] == ["joint-peer-absent"] * 2
    pair.assert_nothing_is_left()
