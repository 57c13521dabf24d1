"""Keeps which units stand behind released groups, and lays new ones beside them. Touches keyed hashes of units only.

A file per job holds the sets that were new: ``set``, ``u`` (a unit's keyed hash), ``w`` (its weight: its share of the rows);
and by which definitions sets were shown: ``n`` and ``mark`` of the set, digests of ``condition`` and ``family``.
They lie in the trusted area, are shown to nobody, and never reach the control database.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from gongshu.base.digest import digest_of
from gongshu.compute.types import VALUE_DIGITS, Definition, ReleasedGroup, SetKey, Shown, Trace

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


@dataclass(frozen=True)
class Decisions:
    """The rules of the ledger: ``rules.ledger.decide_repeats`` and ``decide_sets``."""

    repeats: Callable[
        [Sequence[ReleasedGroup], Mapping[SetKey, frozenset[Shown]], int | None, int], frozenset[tuple[int, int]]
    ]
    sets: Callable[[Any, Any, int, int, float, Sequence[frozenset[str]]], list[bool]]


CELLS_MAX = 200_000_000
"""Kinds of units times sets: what is looked at in memory. Beyond it nothing more is released of the version."""


def weigh(  # noqa: PLR0917 - what lies beside each other, and where what passes goes
    trace: Path, traces: Sequence[Trace], earlier: list[Path], whole: Path | None, limits: Limits, target: Path,
    decisions: Decisions,
) -> Found:  # fmt: skip
    """Lay the groups of ``trace`` beside ``earlier`` ones; write those that pass to ``target``.

    ``traces`` say what defines them. ``whole`` is the relation that they are part of, if it is one: of it everybody knows how
    many units there are.
    """
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": "", "threads": 2}) as engine:
        engine.execute("CREATE TABLE members (sid BIGINT, u UBIGINT, w DOUBLE)")
        known, order = _load_known(engine, earlier)
        by_key = _shown_by(engine, earlier)
        engine.execute(TRACED, {"trace": str(trace)})
        groups = _groups(engine, traces)
        refused = set(decisions.repeats(groups, by_key, _units_of(engine, whole), limits.units_min))
        novel = sorted({g.units for g in groups if (g.trace, g.group) not in refused} - set(order), reverse=True)
        count = known + len(novel)
        if count > limits.sets_max:
            return Found({}, count, is_spent=bool(novel))
        if novel:
            order |= {units: known + 1 + place for place, units in enumerate(novel)}
            _add_members(engine, order, set(novel))
            table = _kinds(engine, count)
            if table is None:
                return Found({}, count, is_spent=True)
            families = _families(count, order, groups, by_key, refused)
            passes = decisions.sets(*table, known, limits.units_min, limits.leverage_percent_max / 100, families)
            failed = {units for units, is_shown in zip(novel, passes, strict=True) if not is_shown}
            refused |= {(group.trace, group.group) for group in groups if group.units in failed}
        _write(engine, [g for g in groups if (g.trace, g.group) not in refused], by_key, order, set(novel), target)
        found: dict[int, tuple[int, ...]] = {}
        for number, group in sorted(refused):
            found[number] = (*found.get(number, ()), group)
        return Found(found, count)


TRACED = """
    CREATE TABLE traced AS SELECT s, g, c, u, r, h, r / avg(r) OVER (PARTITION BY s, g, c) AS w FROM read_parquet($trace)
"""
MARKED = """
    SELECT s, g, c, 0 AS kind, count(*) AS n, sum(hash(u)) AS mark, any_value(h) AS h FROM traced GROUP BY s, g, c
    UNION ALL
    SELECT s, g, c, 1, count(*), sum(hash(u, round(w, 6))), any_value(h) FROM traced GROUP BY s, g, c HAVING min(r) <> max(r)
    ORDER BY s, c, g, kind
"""
MEMBERS = """
    INSERT INTO members SELECT f.sid, u, CASE f.kind WHEN 0 THEN 1 ELSE w END
    FROM first AS f JOIN traced AS t ON t.s = f.s AND t.g = f.g AND t.c = f.c
"""
KINDS = """
    CREATE TABLE kinds AS SELECT row_number() OVER () - 1 AS kind, any_value(u) AS u, count(*) AS units FROM (
        SELECT u, count(*) AS n, sum(hash(sid, w)) AS mark FROM members GROUP BY u
    ) GROUP BY n, mark
"""
KNOWN = """
    SELECT sid, count(*), CASE WHEN bool_and(w = 1) THEN sum(hash(u)) ELSE sum(hash(u, round(w, 6))) END
    FROM members GROUP BY sid ORDER BY sid
"""


def _load_known(engine: duckdb.DuckDBPyConnection, earlier: list[Path]) -> tuple[int, dict[SetKey, int]]:
    """Load earlier sets; return how many there are, and the number of each."""
    if earlier:
        engine.execute(
            'INSERT INTO members SELECT dense_rank() OVER (ORDER BY filename, "set"), u, w FROM read_parquet($files, '
            'filename = true) WHERE "set" IS NOT NULL',
            {"files": [str(path) for path in earlier]},
        )
    rows = engine.execute(KNOWN).fetchall()
    return len(rows), {(int(n), int(mark)): int(sid) for sid, n, mark in rows}


def _shown_by(engine: duckdb.DuckDBPyConnection, earlier: list[Path]) -> dict[SetKey, frozenset[Shown]]:
    """Return by which definitions each set was shown."""
    found: dict[SetKey, set[Shown]] = {}
    rows = engine.execute(
        "SELECT n, mark, condition, family, is_open FROM read_parquet($files) WHERE condition IS NOT NULL",
        {"files": [str(path) for path in earlier]},
    ).fetchall() if earlier else []  # fmt: skip
    for n, mark, condition, family, is_open in rows:
        found.setdefault((int(n), int(mark)), set()).add(Shown(condition, family, is_open))
    return {units: frozenset(shown) for units, shown in found.items()}


def _units_of(engine: duckdb.DuckDBPyConnection, whole: Path | None) -> int | None:
    if whole is None:
        return None
    counted = engine.execute(
        'SELECT count(DISTINCT "unit:") FROM read_parquet($whole) WHERE "unit:" <> 0', {"whole": str(whole)}
    ).fetchone()
    return int(counted[0]) if counted else None


def _groups(engine: duckdb.DuckDBPyConnection, traces: Sequence[Trace]) -> list[ReleasedGroup]:
    hashes: dict[str, str] = {}
    made = []
    for s, g, c, kind, n, mark, values in engine.execute(MARKED).fetchall():
        definition = traces[s].definitions[c]
        for _, literal in definition.equalities:
            if literal not in hashes:
                hashes[literal] = hashlib.sha256(literal.encode()).hexdigest()[:VALUE_DIGITS]
        made.append(ReleasedGroup(s, g, c, (int(n), int(mark)), _shown(definition, values, kind, hashes)))
    return made


def _shown(definition: Definition, values: str, kind: int, hashes: dict[str, str]) -> Shown:
    """Return the definition of a group with its values: that a column has one may stand in WHERE or in GROUP BY."""
    pairs = set(zip(definition.keys, values.split(",") if values else (), strict=True))
    pairs |= {(column, hashes[literal]) for column, literal in definition.equalities}
    family = definition.rows if definition.is_box else ""
    return Shown(digest_of((definition.rows, sorted(pairs), kind)), family, definition.is_open)


def _add_members(engine: duckdb.DuckDBPyConnection, order: dict[SetKey, int], novel: set[SetKey]) -> None:
    """Put the units of new sets beside those of known ones."""
    marked = engine.execute(f"SELECT s, g, c, kind, n, mark FROM ({MARKED})").fetchall()  # noqa: S608 - written here
    first = {(int(n), int(mark)): (s, g, c, kind) for s, g, c, kind, n, mark in reversed(marked)}
    engine.execute("CREATE TABLE first (sid BIGINT, s BIGINT, g HUGEINT, c BIGINT, kind BIGINT)")
    rows = [(order[units], *place) for units, place in first.items() if units in novel]
    if rows:
        engine.executemany("INSERT INTO first VALUES ($1, $2, $3, $4, $5)", rows)
        engine.execute(MEMBERS)


def _families(
    count: int, order: dict[SetKey, int], groups: list[ReleasedGroup], by_key: dict[SetKey, frozenset[Shown]],
    refused: set[tuple[int, int]],
) -> list[frozenset[str]]:  # fmt: skip
    """Return of each set to which families of boxes it belongs."""
    found: dict[SetKey, set[str]] = {units: {one.family for one in shown} for units, shown in by_key.items()}
    for group in groups:
        if (group.trace, group.group) not in refused:
            found.setdefault(group.units, set()).add(group.shown.family)
    made = [frozenset[str]()] * count
    for units, sid in order.items():
        made[sid - 1] = frozenset(found.get(units, ())) - {""}
    return made


def _write(  # noqa: PLR0917 - what is known, what is new, where it goes
    engine: duckdb.DuckDBPyConnection, groups: list[ReleasedGroup], by_key: dict[SetKey, frozenset[Shown]],
    order: dict[SetKey, int], novel: set[SetKey], target: Path,
) -> None:  # fmt: skip
    """Write the sets that are new, and the definitions that are."""
    engine.execute("CREATE TABLE kept (sid BIGINT)")
    engine.execute("CREATE TABLE defined (n BIGINT, mark VARCHAR, condition VARCHAR, family VARCHAR, is_open BOOLEAN)")
    sids = sorted({order[group.units] for group in groups if group.units in novel})
    defined = dict.fromkeys((g.units, g.shown) for g in groups if g.shown not in by_key.get(g.units, ()))
    if sids:
        engine.execute("INSERT INTO kept SELECT unnest($sids)", {"sids": sids})
    if defined:
        engine.executemany(
            "INSERT INTO defined VALUES ($1, $2, $3, $4, $5)",
            [(n, str(mark), s.condition, s.family, s.is_open) for (n, mark), s in defined],
        )
    engine.sql(
        'SELECT sid AS "set", u, w FROM members WHERE sid IN (FROM kept) UNION ALL BY NAME SELECT * FROM defined '
        "ORDER BY ALL"
    ).write_parquet(str(target), compression="zstd")


def _kinds(engine: duckdb.DuckDBPyConnection, sets: int) -> tuple[Any, Any] | None:
    """Return the weights of each kind of unit in each set, known ones first, and how many units there are of each kind."""
    engine.execute(KINDS)
    units = np.array(
        [row[0] for row in engine.execute("SELECT units FROM kinds ORDER BY kind").fetchall()], dtype=float
    )
    if len(units) * max(1, sets) > CELLS_MAX:
        return None
    weights = np.zeros((len(units), sets))
    cells = engine.execute("SELECT kind, sid, w FROM kinds JOIN members ON members.u = kinds.u").fetchnumpy()
    weights[np.asarray(cells["kind"], dtype=int), np.asarray(cells["sid"], dtype=int) - 1] = np.asarray(
        cells["w"], dtype=float
    )
    return weights, units
