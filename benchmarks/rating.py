"""Rating: a month of 100 million usage records becomes a statement for each of 1 000 contracts.

The records lie in tables of a million each, as collecting leaves them; every table is hashed again, all are counted in one
pass, and each contract's month is priced, split, recorded and audited. The limit is one pass of the engine over the
same files without prices (what reading alone costs).
"""

import tempfile
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb

from gongshu.base.digest import Ref
from gongshu.base.ids import ContractId
from gongshu.base.money import Tier
from gongshu.base.tables import METADATA
from gongshu.billing import service as billing
from gongshu.metering import store as metering_store
from gongshu.metering.adapters import tables
from gongshu.metering.adapters.segments import sha256_of_file
from gongshu.metering.types import CollectedCount, UsageCount, UsageTable
from gongshu.products import store as products_store
from gongshu.products.types import Contract, Pricing
from gongshu.server.wiring import make_site
from tests import samples, world
from tests.world import OPERATOR

RECORDS, PER_TABLE, CONTRACTS = 100_000_000, 1_000_000, 1_000
MARCH = date(2026, 3, 1)
START = datetime(2026, 2, 28, 16, tzinfo=UTC)
SECONDS = 31 * 86_400


def _write(path: Path, contracts: list[Contract], number: int, rows: int, records: int) -> None:
    """Write one table: calls in the order of time, contracts mixed, a seventh not charged."""
    with duckdb.connect() as engine:
        engine.execute("CREATE TABLE c (i INTEGER, id VARCHAR, digest VARCHAR, product VARCHAR)")
        engine.execute(
            "INSERT INTO c SELECT unnest(?), unnest(?), unnest(?), unnest(?)",
            [
                list(range(len(contracts))), [c.id for c in contracts], [c.digest for c in contracts],
                [c.terms.product_id for c in contracts],
            ],
        )  # fmt: skip
        first = number * rows
        engine.execute(
            f"""
            COPY (
                SELECT TIMESTAMP '2026-02-28 16:00:00' + to_microseconds((({first} + r) * {SECONDS * 1_000_000 // records})) AS called_at,
                    c.id AS contract, c.digest AS contract_digest, c.product, 'key-' || c.i AS key, 7 AS snapshot,
                    CASE WHEN r % 7 = 0 THEN 'no_record' WHEN r % 5 = 0 THEN 'mismatch' ELSE 'match' END AS result,
                    '' AS refusal_code, r % 7 <> 0 AS is_charged, r * 180 AS place
                FROM (SELECT range AS r FROM range({rows})) JOIN c ON c.i = hash(r + {first}) % {len(contracts)}
            ) TO '{path}' (FORMAT parquet, COMPRESSION zstd)
            """  # noqa: S608 - our own numbers
        )


def measure(records: int = RECORDS) -> dict[str, dict[str, float | str]]:
    """Rate ``records`` and, for how it grows, a tenth of them."""
    found = {count: _rate(count) for count in (records // 10, records)}
    (small, _), (whole, reading) = found[records // 10], found[records]
    return {
        "rate_100m_seconds": {
            "value": whole, "unit": "s", "limit": "one pass over the same files, nothing priced", "limit_value": reading,
        },
        "rate_100m_growth": {
            "value": whole / small, "unit": "times as long for ten times the records", "limit": "linear", "limit_value": 10.0,
        },
    }  # fmt: skip


def _rate(records: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        site = make_site(home, clock=lambda: samples.NOW)
        METADATA.create_all(site.db.engine)
        world.settle(site)
        pricing = Pricing(period_fee_minor=0, cap_minor=10**9)
        first = world.contracted(
            site, world.listed(site, tiers=(Tier(10_000, "1.00"), Tier(None, "0.60")), pricing=pricing)
        )
        first = replace(first, performing_since=START)
        contracts = [
            first,
            *(replace(first, id=ContractId(f"{first.id}-{i}"), code=f"{i:047d}") for i in range(1, CONTRACTS)),
        ]
        usage = home / "usage" / "g1"
        usage.mkdir(parents=True)
        with site.db.transaction() as tx:
            for contract in contracts[1:]:
                products_store.CONTRACTS.add(tx, contract)
            for number in range(records // PER_TABLE):
                name = f"g1-202603-{number + 1:08d}"
                path = tables.table_path(usage, name)
                _write(path, contracts, number, PER_TABLE, records)
                digest = sha256_of_file(path)
                metering_store.TABLES.add(tx, UsageTable(name, digest, "2026-03"))
                for contract in contracts:
                    count = UsageCount(contract.id, Ref("segment", name, digest), 0, {})
                    metering_store.COUNTS.add(tx, CollectedCount(count, "2026-03", START, START))
        paths = sorted(usage.glob("*.parquet"))
        began = time.perf_counter()
        with duckdb.connect(config={"threads": 2}) as engine:
            engine.execute(
                "SELECT contract, result, is_charged, count(*) FROM read_parquet(?) GROUP BY ALL",
                [[str(p) for p in paths]],
            ).fetchall()
        reading = time.perf_counter() - began
        began = time.perf_counter()
        made = billing.create_statements(site, OPERATOR, MARCH)
        took = time.perf_counter() - began
        counted = sum(statement.charge.calls for statement in made)
        if counted != records:
            raise RuntimeError(f"rated {counted} of {records} records")
        site.db.close()
    return took, reading


if __name__ == "__main__":
    print(measure())
