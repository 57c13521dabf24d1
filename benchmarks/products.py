"""A home folder with one verification product, as the control plane would have left it for the gateway."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from gongshu.base.days import Period
from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId, PartyId, ProductId
from gongshu.compute.adapters import artifacts
from gongshu.compute.rules import verification
from gongshu.compute.types import VerificationDefinition, VerificationField
from gongshu.delivery import adapters
from gongshu.delivery.types import Snapshot, SnapshotContract, SnapshotProduct
from gongshu.policies.types import UsagePolicy
from gongshu.products.types import Definition, ProductKind
from gongshu.server.wiring import FileKeys

SECRET = "gsk_bench"  # noqa: S105 - opens nothing but this benchmark
PURPOSE = "inclusive-finance"
PRODUCT = ProductId("product-0123456789abcdef0123456789ab")
CONTRACT = ContractId("contract-0123456789abcdef0123456789ab")
CALLS_MAX = 10**9
AGE_SECONDS_MAX = 3600
DEFINITION = VerificationDefinition(
    "enterprise",
    (
        VerificationField("credit_code", "credit_code", is_required=True, is_key=True),
        VerificationField("name", "name", is_required=True),
        VerificationField("legal_representative", "legal_representative", is_required=False),
    ),
)


def rows(enterprises: int) -> Iterator[tuple[str, str, str]]:
    """Yield credit code, name and legal representative of enterprises that do not exist."""
    for number in range(enterprises):
        yield f"91350000MA{number:08d}F", f"enterprise {number}", f"person {number}"


def make_home(home: Path, enterprises: int, issued_at: datetime) -> ProductId:
    """Write artifact, keys and signed snapshot, and return the product to call."""
    keys = FileKeys(home / "keys")
    path = home / "releases" / "release-1" / "verification.lmdb"
    path.parent.mkdir(parents=True)
    salt = verification.salt_of(keys.secret("verification"), "plan")
    key = verification.artifact_key(keys.secret("verification"), salt)
    records = filter(None, (verification.record_of(DEFINITION, key, row) for row in rows(enterprises)))
    artifacts.build(records, verification.header_of(DEFINITION, salt), path.parent, path)
    product = SnapshotProduct(
        PRODUCT, "b" * 64, sha256_hex(path.read_bytes()), str(path.relative_to(home)), ProductKind.VERIFY,
        Definition(verification=DEFINITION),
    )  # fmt: skip
    period = Period(issued_at - timedelta(days=1), issued_at + timedelta(days=30))
    contract = SnapshotContract(
        CONTRACT, "a" * 64, PRODUCT, PartyId("bank"), UsagePolicy((PURPOSE,), period, CALLS_MAX, CALLS_MAX, CALLS_MAX),
        charges_no_record=False, is_free=False, key_ids={sha256_hex(SECRET.encode()): KeyId("key-1")},
        product_digest="b" * 64,
    )  # fmt: skip
    snapshot = Snapshot(1, issued_at, AGE_SECONDS_MAX, (contract,), (product,))
    seed = keys.secret("snapshot-signing")
    adapters.write_snapshot(home, snapshot, seed)
    return PRODUCT
