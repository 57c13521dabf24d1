"""How fast masked projections are written, against DuckDB's plain projection of the same column (Parquet to Parquet).

Made-up rows as a register of people has them. Each kind of mask is measured by itself, on the column that it is made for.
A mask with a key is measured twice: when the first job of a version makes the worn column, and as every later job meets it.
"""

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import duckdb

from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.adapters import projections
from gongshu.compute.rules.projections import select_list, worn_columns
from gongshu.compute.types import Projection, Relation, RelationColumn
from gongshu.policies.types import ColumnPolicy, Mask, MaskKind, ResourcePolicy, Use

ROWS = 2_000_000  # as many as ROWS_MADE makes
ROUNDS = 3
SPEED_LIMIT = 0.5
BUILD = Path(__file__).resolve().parent.parent / "build"
KEY = b"a key for measuring, and no other"
T, N, D = DataType.TEXT, DataType.DECIMAL, DataType.DATE

ROWS_MADE = """
    SELECT
        chr(CAST(36213 + i % 300 AS INTEGER)) || chr(CAST(19968 + hash(i) % 3000 AS INTEGER)) || '明' AS name,
        (450000 + i % 900) || strftime(DATE '1950-01-01' + CAST(hash(i) % 20000 AS INTEGER), '%Y%m%d')
            || lpad(CAST(hash(i, 1) % 10000 AS VARCHAR), 4, '0') AS id_card,
        '1' || (3000000000 + hash(i, 2) % 6999999999) AS phone,
        '622202' || lpad(CAST(hash(i, 3) % 10000000000000 AS VARCHAR), 13, '0') AS bank_card,
        '云山省明州市' || ['东', '西', '南', '北'][i % 4 + 1] || '城区' || i % 977 || '路' || i % 331 || '号' AS address,
        'user' || hash(i, 4) % 1000000000 || '@example' || i % 90 || '.cn' AS mailbox,
        DATE '2000-01-01' + CAST(hash(i, 5) % 9000 AS INTEGER) AS day,
        CAST(hash(i, 6) % 100000000 AS DECIMAL(18, 2)) / 100 AS amount
    FROM range(2000000) AS t(i)
"""
MASKED: dict[str, tuple[str, DataType, Mask]] = {
    "name": ("name", T, Mask(MaskKind.NAME)),
    "id_card": ("id_card", T, Mask(MaskKind.ID_CARD)),
    "phone": ("phone", T, Mask(MaskKind.PHONE)),
    "bank_card": ("bank_card", T, Mask(MaskKind.BANK_CARD)),
    "address_district": ("address", T, Mask(MaskKind.ADDRESS_DISTRICT)),
    "mailbox": ("mailbox", T, Mask(MaskKind.MAILBOX)),
    "month": ("day", D, Mask(MaskKind.MONTH)),
    "band": ("amount", N, Mask(MaskKind.BAND, "1000")),
    "keyed_hash": ("id_card", T, Mask(MaskKind.KEYED_HASH)),
    "pseudonym (aes)": ("phone", T, Mask(MaskKind.PSEUDONYM, "aes")),
    "pseudonym (sm4)": ("phone", T, Mask(MaskKind.PSEUDONYM, "sm4")),
}


def recipe(source: Path, column: str, data_type: DataType, mask: Mask | None) -> projections.Recipe:
    """Return how a projection of one column is made, as a job's run makes it."""
    policy = ResourcePolicy((ColumnPolicy(column, frozenset(Use), mask),), ())
    relation = Relation("people", ResourceId("people"), (RelationColumn(column, data_type),), policy)
    projection = Projection("people", relation.resource, (column,))
    select = select_list(projection, relation, "data", key=KEY, mask_key=KEY)
    worn = tuple(projections.Worn(*one, KEY) for one in worn_columns(projection, relation, "data"))
    return projections.Recipe((source,), "data", select, "", worn, source.with_suffix(".worn"))


def _seconds(made: projections.Recipe, target: Path) -> float:
    start = time.perf_counter()
    projections.write(made, target)
    return time.perf_counter() - start


def speeds() -> tuple[dict[str, float], dict[str, float]]:
    """Return, for each kind of mask, its speed over that of the plain projection of the same column.

    First as a job in ordinary operation meets it, then for masks with a key, when the worn column is not yet there.
    """
    BUILD.mkdir(exist_ok=True)
    usual, first = {}, {}
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="bench-") as folder:
        source, target = Path(folder) / "source.parquet", Path(folder) / "target.parquet"
        with duckdb.connect(config={"threads": 2}) as engine:
            engine.execute(f"COPY ({ROWS_MADE}) TO '{source}' (FORMAT parquet, COMPRESSION zstd)")
        for name, (column, data_type, mask) in MASKED.items():
            plain, masked = (recipe(source, column, data_type, worn) for worn in (None, mask))
            rounds = []
            for _ in range(ROUNDS):
                shutil.rmtree(source.with_suffix(".worn"), ignore_errors=True)
                rounds.append((_seconds(plain, target), _seconds(masked, target), _seconds(masked, target)))
            theirs, made, mine = (statistics.median(part) for part in zip(*rounds, strict=True))
            usual[name] = theirs / mine
            told = f"  {name}: {ROWS / mine / 1e6:.1f} million rows/s, plain {ROWS / theirs / 1e6:.1f}, × {usual[name]:.2f}"
            if masked.worn:
                first[name] = theirs / made
                told += f"; the first time {ROWS / made / 1e6:.2f} million rows/s, × {first[name]:.2f}"
            print(told)
    return usual, first


def measure() -> dict[str, dict[str, float | str]]:
    """Return the slowest mask as a job meets it, and each mask with a key when its column is made for the first time."""
    usual, first = speeds()
    slowest = min(usual, key=usual.__getitem__)
    limit = "0.5 of DuckDB's plain projection; "
    figures = {"mask_vs_projection": (usual[slowest], f"{limit}slowest of {len(usual)}: {slowest}")}
    for name, value in first.items():
        plain_name = "".join(c if c.isalnum() else "_" for c in name.replace(")", "").replace(" (", "_"))
        figures[f"mask_first_time_{plain_name}"] = (value, f"{limit}once per version, column and key")
    return {
        name: {"value": value, "unit": "ratio", "limit": told, "limit_value": SPEED_LIMIT}
        for name, (value, told) in figures.items()
    }
