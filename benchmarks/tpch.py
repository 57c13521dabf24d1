"""The tables of TPC-H at scale factor 1 as governed projections: what the engine's child would read.

They are made once, under ``build/tpch-1/``, and again when the program that makes them or the demands change.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from gongshu.base.decisions import Permitted
from gongshu.compute.rules import decide_query
from gongshu.compute.types import GovernedQuery, Projection
from gongshu.policies.types import Thresholds
from tests.tpch.tables import make_data, open_relations, projected

SCALE = 1
FOLDER = Path(__file__).resolve().parent.parent / "build" / f"tpch-{SCALE}"
THRESHOLDS = Thresholds(10, 10, 2, 90)
RELATIONS = {relation.name: relation for relation in open_relations()}


@dataclass(frozen=True)
class Asked:
    """A statement that the gate permits."""

    sql: str
    query: GovernedQuery


def ask(sql: str) -> Asked:
    """Pass ``sql`` through the gate with every use; fail when it is refused."""
    decision = decide_query(tuple(RELATIONS.values()), THRESHOLDS, sql)
    if not isinstance(decision, Permitted):
        raise TypeError(f"refused: {[(r.code, r.facts) for r in decision.reasons]} {sql}")
    return Asked(sql, decision.value)


def tables() -> Path:
    """Return the folder of the raw tables, made when they are missing."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return make_data(SCALE, FOLDER)


def demanded(queries: list[GovernedQuery]) -> list[Projection]:
    """Return one projection per relation that has everything that any of ``queries`` reads of it."""
    found: dict[str, Projection] = {}
    for projection in (p for query in queries for p in query.projections):
        known = found.get(projection.relation, replace(projection, columns=(), keys=(), raws=()))
        found[projection.relation] = replace(
            known, has_unit=known.has_unit or projection.has_unit,
            **{part: tuple(sorted({*getattr(known, part), *getattr(projection, part)})) for part in ("columns", "keys", "raws")},
        )  # fmt: skip
    return [found[name] for name in sorted(found)]


def write_projection(projection: Projection, target: Path) -> Path:
    """Write a projection as Parquet, as the trusted side does."""
    with duckdb.connect(config={"threads": 2}) as engine:
        relation = RELATIONS[projection.relation]
        engine.execute(f"COPY ({projected(relation, projection, tables())}) TO '{target}' (FORMAT parquet)")
    return target


def load(engine: duckdb.DuckDBPyConnection, projections: list[Projection]) -> None:
    """Put projections into the engine's memory as its child does."""
    for projection in projections:
        made = projected(RELATIONS[projection.relation], projection, tables())
        engine.execute(f'CREATE TABLE "{projection.relation}" AS {made}')
