"""The eight tables of TPC-H as governed relations, and their data as the engine's child would see it.

Privacy unit: the customer (orders by their customer), on the supply side the supplier (lines and offers by theirs). Parts,
nations and regions are openly published.
"""

import subprocess
import sysconfig
from pathlib import Path

import duckdb

from gongshu.base.ids import ResourceId
from gongshu.catalog.types import DataType
from gongshu.compute.rules.projections import select_list
from gongshu.compute.types import Projection, Relation, RelationColumn
from gongshu.policies.service import default_uses
from gongshu.policies.types import ColumnPolicy, Grade, ResourcePolicy, Use
from tests.tpch.queries import OPEN_TABLES

T, N, D, I = DataType.TEXT, DataType.DECIMAL, DataType.DATE, DataType.INTEGER  # noqa: E741 - a table of types
DIRECT, SENSITIVE, QUASI, ORDINARY, OPEN = Grade

TABLES: dict[str, tuple[str, dict[str, tuple[DataType, Grade]]]] = {
    "customer": ("c_custkey", {
        "c_custkey": (I, DIRECT), "c_name": (T, DIRECT), "c_address": (T, DIRECT), "c_nationkey": (I, QUASI),
        "c_phone": (T, DIRECT), "c_acctbal": (N, SENSITIVE), "c_mktsegment": (T, ORDINARY), "c_comment": (T, SENSITIVE),
    }),
    "orders": ("o_custkey", {
        "o_orderkey": (I, DIRECT), "o_custkey": (I, DIRECT), "o_orderstatus": (T, ORDINARY), "o_totalprice": (N, ORDINARY),
        "o_orderdate": (D, ORDINARY), "o_orderpriority": (T, ORDINARY), "o_clerk": (T, DIRECT),
        "o_shippriority": (I, ORDINARY), "o_comment": (T, SENSITIVE),
    }),
    "lineitem": ("l_suppkey", {
        "l_orderkey": (I, DIRECT), "l_partkey": (I, DIRECT), "l_suppkey": (I, DIRECT), "l_linenumber": (I, ORDINARY),
        "l_quantity": (N, ORDINARY), "l_extendedprice": (N, ORDINARY), "l_discount": (N, ORDINARY), "l_tax": (N, ORDINARY),
        "l_returnflag": (T, ORDINARY), "l_linestatus": (T, ORDINARY), "l_shipdate": (D, ORDINARY),
        "l_commitdate": (D, ORDINARY), "l_receiptdate": (D, ORDINARY), "l_shipinstruct": (T, ORDINARY),
        "l_shipmode": (T, ORDINARY), "l_comment": (T, SENSITIVE),
    }),
    "partsupp": ("ps_suppkey", {
        "ps_partkey": (I, DIRECT), "ps_suppkey": (I, DIRECT), "ps_availqty": (I, SENSITIVE), "ps_supplycost": (N, SENSITIVE),
        "ps_comment": (T, SENSITIVE),
    }),
    "supplier": ("s_suppkey", {
        "s_suppkey": (I, DIRECT), "s_name": (T, DIRECT), "s_address": (T, DIRECT), "s_nationkey": (I, QUASI),
        "s_phone": (T, DIRECT), "s_acctbal": (N, SENSITIVE), "s_comment": (T, SENSITIVE),
    }),
    "part": ("", {
        "p_partkey": (I, OPEN), "p_name": (T, OPEN), "p_mfgr": (T, OPEN), "p_brand": (T, OPEN), "p_type": (T, OPEN),
        "p_size": (I, OPEN), "p_container": (T, OPEN), "p_retailprice": (N, OPEN), "p_comment": (T, OPEN),
    }),
    "nation": ("", {"n_nationkey": (I, OPEN), "n_name": (T, OPEN), "n_regionkey": (I, OPEN), "n_comment": (T, OPEN)}),
    "region": ("", {"r_regionkey": (I, OPEN), "r_name": (T, OPEN), "r_comment": (T, OPEN)}),
}  # fmt: skip
JOB_KEY, MASK_KEY = b"a key of one job", b"a key of masks"


def relations(uses: dict[str, frozenset[Use]]) -> tuple[Relation, ...]:
    """Return the eight relations: open tables with every use, the columns of others with ``uses`` and no more."""
    made = []
    for name, (unit, columns) in TABLES.items():
        shown = tuple(RelationColumn(column, kind, is_filled=True) for column, (kind, _) in columns.items())
        every = frozenset(Use) if name in OPEN_TABLES else frozenset[Use]()
        policies = tuple(ColumnPolicy(column, uses.get(column, every)) for column in columns)
        made.append(Relation(name, ResourceId(name), shown, ResourcePolicy(policies, (unit,) if unit else ())))
    return tuple(made)


def default_relations() -> tuple[Relation, ...]:
    """Return the relations with the default uses of each column's grade."""
    grades = {column: grade for _, columns in TABLES.values() for column, (_, grade) in columns.items()}
    return relations({column: default_uses(grade) for column, grade in grades.items()})


def open_relations() -> tuple[Relation, ...]:
    """Return the relations with every use of every column."""
    return relations({column: frozenset(Use) for _, columns in TABLES.values() for column in columns})


def read_uses(text: dict[str, str]) -> dict[str, frozenset[Use]]:
    """Read ``{"l_tax": "total group"}``."""
    return {column: frozenset(Use(word) for word in words.split()) for column, words in text.items()}


def make_data(scale: float, folder: Path) -> Path:
    """Write the eight tables as Parquet into ``folder`` unless they are there already; return it."""
    if not (folder / "region.parquet").exists():
        program = Path(sysconfig.get_path("scripts")) / "tpchgen-cli"
        subprocess.run(
            [program, "parquet", "--scale-factor", str(scale), "--output-dir", folder], check=True, capture_output=True
        )
    return folder


def projected(relation: Relation, projection: Projection, folder: Path) -> str:
    """Return the SQL that writes a projection of ``relation`` as the trusted side does."""
    select = select_list(projection, relation, "data", key=JOB_KEY, mask_key=MASK_KEY)
    return f"SELECT {select} FROM read_parquet('{folder / relation.name}.parquet') AS data"


def raw_engine(folder: Path) -> duckdb.DuckDBPyConnection:
    """Give an engine that sees the tables as they are."""
    engine = duckdb.connect(config={"threads": 2})
    for name in TABLES:
        engine.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{folder / name}.parquet')")
    return engine
