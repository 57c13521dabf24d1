"""Keeps which units stand behind released groups, and lays new ones beside them. Touches keyed hashes of units only.

A file per job holds the sets that were new: ``set``, ``u`` (a unit's keyed hash), ``w`` (its weight: its share of the rows).
They lie in the trusted area, are shown to nobody, and never reach the control database.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class Limits:
    """What the ledger allows of one version: see the parameters ``ledger.…``."""

    units_min: int
    sets_max: int
    leverage_percent_max: int


@dataclass(frozen=True)
class Found:
    """What came of laying new groups beside earlier ones: hashes of those to withhold, by the number of their trace."""

    groups: dict[int, tuple[int, ...]]
    sets: int = 0
    is_spent: bool = False


Decide = Callable[[Any, Any, int, int, float], list[bool]]
"""``rules.ledger.decide_sets``."""
CELLS_MAX = 200_000_000
"""Kinds of units times sets: what is looked at in memory. Beyond it nothing more is released of the version."""


def weigh(  # noqa: PLR0917 - what lies beside each other, and where what passes goes
    trace: Path, earlier: list[Path], whole: Path | None, limits: Limits, target: Path, decide: Decide
) -> Found:
    """Lay the groups of ``trace`` beside ``earlier`` ones; write those that pass to ``target``.

    ``whole`` is the relation that they are part of, if it is one: of it everybody knows how many units there are.
    """
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": "", "threads": 2}) as engine:
        engine.execute("CREATE TABLE members (sid BIGINT, u UBIGINT, w DOUBLE)")
        known, first = _load_known(engine, earlier)
        engine.execute(TRACED, {"trace": str(trace)})
        engine.execute(MARKED)
        engine.execute(NEW_SETS, {"first": first})
        engine.execute(NEW_MEMBERS)
        novel = [int(row[0]) for row in engine.execute("SELECT DISTINCT sid FROM new_sets ORDER BY sid").fetchall()]
        if known + len(novel) > limits.sets_max:
            return Found({}, known + len(novel), is_spent=bool(novel))
        table = _kinds(engine, novel)
        if table is None:
            return Found({}, known + len(novel), is_spent=True)
        passes = decide(*table, known, limits.units_min, limits.leverage_percent_max / 100)
        refused = {sid for sid, is_shown in zip(novel, passes, strict=True) if not is_shown}
        refused |= _all_but_few(engine, whole, limits)
        engine.execute("CREATE TABLE refused (sid BIGINT)")
        if refused:
            engine.execute("INSERT INTO refused SELECT unnest($sids)", {"sids": sorted(refused)})
        groups: dict[int, tuple[int, ...]] = {}
        for s, g in engine.execute(REFUSED_GROUPS).fetchall():
            groups[s] = (*groups.get(s, ()), g)
        engine.sql(KEPT).write_parquet(str(target), compression="zstd")
        return Found(groups, known + len(novel))


TRACED = """
    CREATE TABLE traced AS SELECT s, g, c, u, r, r / avg(r) OVER (PARTITION BY s, g, c) AS w FROM read_parquet($trace)
"""
MARKED = """
    CREATE TABLE marked AS
        SELECT s, g, c, 0 AS kind, count(*) AS n, sum(hash(u)) AS mark FROM traced GROUP BY s, g, c
        UNION ALL
        SELECT s, g, c, 1, count(*), sum(hash(u, round(w, 6))) FROM traced GROUP BY s, g, c HAVING min(r) <> max(r)
"""
NEW_SETS = """
    CREATE TABLE new_sets AS
        SELECT *, $first + dense_rank() OVER (ORDER BY n DESC, mark, kind) AS sid FROM marked AS m
        WHERE NOT EXISTS (FROM known AS k WHERE k.n = m.n AND k.mark = m.mark)
"""
NEW_MEMBERS = """
    INSERT INTO members SELECT sid, u, CASE kind WHEN 0 THEN 1 ELSE w END
    FROM (SELECT sid, any_value(kind) AS kind, min((s, g, c)) AS one FROM new_sets GROUP BY sid) AS n
    JOIN traced AS t ON (t.s, t.g, t.c) = n.one
"""
REFUSED_GROUPS = "SELECT DISTINCT s, g FROM new_sets WHERE sid IN (FROM refused) ORDER BY s, g"
KEPT = """
    SELECT sid AS "set", u, w FROM members WHERE sid IN (
        SELECT sid FROM new_sets GROUP BY sid HAVING bool_or((s, g) NOT IN (SELECT (s, g) FROM new_sets WHERE sid IN (FROM refused))))
    ORDER BY sid, u
"""


def _load_known(engine: duckdb.DuckDBPyConnection, earlier: list[Path]) -> tuple[int, int]:
    """Load earlier sets; return how many there are, and the largest of their numbers."""
    if earlier:
        engine.execute(
            'INSERT INTO members SELECT dense_rank() OVER (ORDER BY filename, "set"), u, w FROM read_parquet($files, '
            "filename = true)",
            {"files": [str(path) for path in earlier]},
        )
    engine.execute(
        "CREATE TABLE known AS SELECT sid, count(*) AS n, CASE WHEN bool_and(w = 1) THEN sum(hash(u)) ELSE "
        "sum(hash(u, round(w, 6))) END AS mark, bool_and(w = 1) AS is_plain FROM members GROUP BY sid"
    )
    counted = engine.execute("SELECT count(*), coalesce(max(sid), 0) FROM known").fetchone() or (0, 0)
    return int(counted[0]), max(int(counted[1]), 0)


def _kinds(engine: duckdb.DuckDBPyConnection, novel: list[int]) -> tuple[Any, Any] | None:
    """Return the weights of each kind of unit in each set, known ones first, and how many units there are of each kind."""
    order = [int(row[0]) for row in engine.execute("SELECT sid FROM known ORDER BY sid").fetchall()] + novel
    place = {sid: index for index, sid in enumerate(order)}
    engine.execute(
        "CREATE TABLE kinds AS SELECT row_number() OVER () - 1 AS kind, sids, weights, count(*) AS units FROM ("
        "SELECT list(sid ORDER BY sid) AS sids, list(w ORDER BY sid) AS weights FROM members GROUP BY u) GROUP BY sids, weights"
    )
    units = np.array(
        [row[0] for row in engine.execute("SELECT units FROM kinds ORDER BY kind").fetchall()], dtype=float
    )
    if len(units) * max(1, len(order)) > CELLS_MAX:
        return None
    weights = np.zeros((len(units), len(order)))
    cells = engine.execute("SELECT kind, unnest(sids) AS sid, unnest(weights) AS w FROM kinds").fetchnumpy()
    columns = np.array([place[int(sid)] for sid in cells["sid"]], dtype=int)
    weights[np.asarray(cells["kind"], dtype=int), columns] = np.asarray(cells["w"], dtype=float)
    return weights, units


def _all_but_few(engine: duckdb.DuckDBPyConnection, whole: Path | None, limits: Limits) -> set[int]:
    """Return the new sets that hold the whole relation but for a few units."""
    if whole is None:
        return set()
    found = engine.execute(
        """
        WITH whole AS (SELECT DISTINCT "unit:" AS u FROM read_parquet($whole) WHERE "unit:" <> 0)
        SELECT sid FROM members WHERE sid IN (SELECT sid FROM new_sets) GROUP BY sid
        HAVING (SELECT count(*) FROM whole) - count(*) BETWEEN 1 AND $few
        """,
        {"whole": str(whole), "few": limits.units_min - 1},
    ).fetchall()
    return {int(row[0]) for row in found}
