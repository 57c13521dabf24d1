"""Products of every kind behind a gateway: a released file, its definition, and as many buyers as a test wants."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from gongshu.base.digest import sha256_hex
from gongshu.base.ids import ContractId, KeyId, PartyId
from gongshu.delivery.types import Snapshot, SnapshotContract, SnapshotProduct
from gongshu.products.types import NO_DEFINITION, Definition, ProductKind
from tests.gateways import PRODUCT, PURPOSE, World

ROWS = 400
TABLE = f"""
    SELECT '地区' || (i % 9) AS region, DATE '2024-01-01' + CAST(i % 37 AS INTEGER) AS day, i AS number,
        CAST(i * 1.5 AS DECIMAL(12, 2)) AS amount, i % 2 = 0 AS is_open,
        CASE WHEN i % 50 = 0 THEN '=HYPERLINK("http://x")' WHEN i % 50 = 1 THEN '-1+1' WHEN i % 50 = 2 THEN NULL
            ELSE '备注，' || i END AS remark
    FROM range({ROWS}) t(i)
"""


def write_table(path: Path, query: str = TABLE) -> Path:
    """Write a released table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as engine:
        engine.sql(query).write_parquet(str(path))
    return path


def secret_of(buyer: int) -> str:
    """Return the secret of a buyer's key."""
    return f"gsk_buyer_{buyer}"


def contract_of(buyer: int) -> ContractId:
    """Return a buyer's contract."""
    return ContractId(f"contract-{buyer}")


@dataclass
class ServedWorld(World):
    """A gateway's world with one product of any kind, and ``buyers`` contracts for it."""

    kind: ProductKind = ProductKind.TABLE
    definition: Definition = NO_DEFINITION
    file: Path = field(default=Path())
    buyers: int = 1

    def snapshot(self) -> Snapshot:
        """Return the snapshot as it would be published now."""
        product = SnapshotProduct(
            PRODUCT, "p" * 64, sha256_hex(self.file.read_bytes()), str(self.file.relative_to(self.home)), self.kind,
            self.definition,
        )  # fmt: skip
        contracts = tuple(
            SnapshotContract(
                contract_of(buyer),
                "c" * 64,
                PRODUCT,
                PartyId(f"buyer-{buyer}"),
                self.policy,
                charges_no_record=False,
                is_free=False,
                key_ids={sha256_hex(secret_of(buyer).encode()): KeyId(f"key-{buyer}")},
                product_digest="p" * 64,
            )
            for buyer in range(self.buyers)
        )  # fmt: skip
        contracts = tuple(replace(contract, **self.contract_changes) for contract in contracts)
        return Snapshot(self.number, self.clock(), self.age_seconds_max, contracts, (product,))


def headers_of(request_id: str, buyer: int = 0, **changes: str) -> dict[str, str]:
    """Return the headers of a buyer's call."""
    made = {"authorization": f"Bearer {secret_of(buyer)}", "x-request-id": request_id, "x-purpose": PURPOSE}
    return made | {name.replace("_", "-"): value for name, value in changes.items()}


def path_of(action: str) -> str:
    """Return where calls to the product go."""
    return f"/v1/products/{PRODUCT}/{action}"
