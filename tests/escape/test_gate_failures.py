"""A run fails, or does not, by its statement alone: no failure may tell that some row holds some value.

Every function and operator meets values at the edge of what the engine can hold, in a branch that one row takes. Where the
run fails then, it must fail as well when no row takes the branch.
"""

import itertools
import os
import random
import secrets
from pathlib import Path

from gongshu.base.decisions import Denied
from gongshu.compute.rules import decide_query
from gongshu.compute.rules.functions import SCALARS, Family
from tests.escape.planted import RELATIONS, VICTIM_INT, Neighbour, worlds
from tests.escape.world import World
from tests.governed import THRESHOLDS

PACK, PACK_OF_SUMS = 12, 4
ONCE_FAILED = (
    (
        "SELECT count(*) FILTER (WHERE filter_int = {v} AND DATE '5881580-07-10' IN (CAST('5877642-06-25 (BC)' AS DATE), "
        "CAST('290309-12-22 (BC) 00:00:00' AS TIMESTAMP))) AS n FROM people"
    ),
)
"""Statements that told something; they are tried every time."""
EVERYDAY = 250
"""Statements tried each day, drawn anew; a nightly run (``GONGSHU_NIGHTLY``) tries all of them."""

NUMBERS = (
    "all_int", "0", "999999999999999999999999999999", "(100000000000000000000000000000 * 100000000000000000000)",
    "(0 - 99999999999999999999 * 99999999999999999999)", "exp(all_int + 1000)", "(0 - exp(all_int + 1000))",
    "0.0000000000000000000000000001", "CAST('nan' AS DOUBLE)", "CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))",
    "filter_total_int * filter_total_int * filter_total_int * filter_total_int * filter_total_int", "filter_total_dec / 3",
)  # fmt: skip
TEXTS = (
    "all_text", "''", "concat('infi', 'nity')", "replace(replace(replace(replace(all_text, 'o', '{x}'), 'o', '{x}'), 'o', '{x}'), 'o', '{x}')",
)  # fmt: skip
TIMES = (
    "all_date", "CAST('infinity' AS DATE)", "CAST('-infinity' AS TIMESTAMP)", "DATE '5881580-07-10'",
    "CAST('5877642-06-25 (BC)' AS DATE)", "CAST('290309-12-22 (BC) 00:00:00' AS TIMESTAMP)",
    "CAST('294247-01-10 04:00:54' AS TIMESTAMP)", "CAST(concat('infi', 'nity') AS DATE)",
)  # fmt: skip
SAMPLES = {
    Family.NUMBER: NUMBERS, Family.TEXT: TEXTS, Family.TIME: TIMES, Family.SAME: NUMBERS,
    Family.WHOLE: ("0", "-10000", "10000"), Family.WORDS: ("''", "'o'", "'%Y %'"),
}  # fmt: skip


def calls() -> list[str]:
    found = []
    for made in SCALARS.values():
        samples = itertools.product(*(SAMPLES[family] for family in made.takes))
        found += [f"{made.name}({', '.join(arguments)})" for arguments in samples]
    found += [f"greatest({a}, {b})" for a, b in itertools.combinations(TIMES, 2)]
    return [call.replace("{x}", "o" * 100) for call in found]


def operations() -> list[str]:
    found = [
        f"({a} {sign} {b})"
        for sign in ("+", "-", "*", "/", "%", "//")
        for a, b in itertools.product(NUMBERS[1::2], repeat=2)
    ]
    found += [f"(-{a})" for a in NUMBERS]
    found += [
        f"CAST({a} AS {kind})"
        for a in NUMBERS
        for kind in ("TINYINT", "INT", "BIGINT", "INT128", "FLOAT", "DECIMAL(4, 3)", "TEXT", "BOOLEAN")
    ]
    found += [f"CAST({a} AS {kind})" for a in TIMES for kind in ("DATE", "TIMESTAMP", "TEXT")]
    found += [f"CAST({a} AS {kind})" for a in TEXTS for kind in ("DATE", "TIMESTAMP", "INT", "DOUBLE", "BOOLEAN")]
    found += [f"date_trunc('{unit}', {a})" for a in TIMES for unit in ("year", "week", "hour")]
    found += [
        f"date_diff('{unit}', {a}, {b})"
        for unit in ("day", "hour", "year")
        for a, b in itertools.product(TIMES, repeat=2)
    ]
    found += [f"({a} {sign} INTERVAL 1000 YEAR)" for a in TIMES for sign in "+-"]
    found += [f"coalesce({a}, {b})" for a, b in itertools.combinations((*NUMBERS[:4], NUMBERS[-1]), 2)]
    found += [f"CASE WHEN all_int > 3 THEN {a} ELSE {b} END" for a, b in itertools.combinations(NUMBERS, 2)]
    found += [f"CASE WHEN all_int > 3 THEN {a} ELSE {b} END" for a, b in itertools.combinations(TIMES, 2)]
    return [call.replace("{x}", "o" * 100) for call in found]


def conditions() -> list[str]:
    found = [f"{a} < {b}" for a, b in itertools.combinations(NUMBERS, 2)]
    found += [f"{a} < {b}" for a, b in itertools.combinations(TIMES, 2)]
    found += [f"{a} IN ({b}, {c})" for a, b, c in zip(TIMES, TIMES[1:], TIMES[2:], strict=False)]
    found += [f"{a} IN ({b}, {c})" for a, b, c in zip(NUMBERS, NUMBERS[1:], NUMBERS[2:], strict=False)]
    found += [f"{a} BETWEEN {b} AND {c}" for a, b, c in zip(TIMES, TIMES[1:], TIMES[2:], strict=False)]
    found += [f"all_text LIKE '{'%o' * 200}'"]
    return [f"({test})" for test in found]


AGGREGATES = ("sum", "avg", "var_samp", "stddev_pop", "median", "max", "min")
PAIRS = ("corr", "covar_samp", "regr_slope", "regr_r2")


def aggregates() -> list[str]:
    hit = "CASE WHEN filter_int = {v} THEN %s ELSE %s END"
    found = []
    for a in NUMBERS:
        big = hit % (a, "all_int")
        found += [f"{name}({big})" for name in AGGREGATES]
        found += [f"{name}({big}, {hit % ('all_int', a)})" for name in PAIRS]
        found.append(f"sum({hit % (a, '85000000000000000000000000000 * 1000000')})")
    found += [f"{name}({hit % (a, 'all_date')})" for name in ("median", "max", "min") for a in TIMES]
    # The group of the one row that matches, alone.
    found += [f"{name}({a}) FILTER (WHERE filter_int = {{v}})" for name in AGGREGATES for a in NUMBERS]
    return found


def statements() -> list[str]:
    values = [*calls(), *operations()]
    found = [f"SELECT count(CASE WHEN filter_int = {{v}} THEN {value} END) AS n FROM people" for value in values]
    found += [f"SELECT count(*) FILTER (WHERE filter_int = {{v}} AND {test}) AS n FROM people" for test in conditions()]
    return found + [f"SELECT {made} AS x FROM people" for made in aggregates()]


def permitted(sql: str) -> bool:
    return not isinstance(decide_query(RELATIONS, THRESHOLDS, sql.replace("{v}", "1")), Denied)


def drawn(every: list[str]) -> list[str]:
    """Return some of the statements, in order."""
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    chosen = set(random.Random(seed).sample(range(len(every)), EVERYDAY))
    return [sql for i, sql in enumerate(every) if i in chosen]


def packed(asked: list[str]) -> list[list[str]]:
    """Put statements together that can run as one."""
    counts = [sql for sql in asked if sql.startswith("SELECT count(")]
    sums = [sql for sql in asked if not sql.startswith("SELECT count(")]
    return [
        part[i : i + size] for part, size in ((counts, PACK), (sums, PACK_OF_SUMS)) for i in range(0, len(part), size)
    ]


def one_statement(pack: list[str]) -> str:
    items = [sql.removeprefix("SELECT ").removesuffix(" FROM people").rpartition(" AS ")[0] for sql in pack]
    return f"SELECT {', '.join(f'{item} AS x{i}' for i, item in enumerate(items))} FROM people"


def test_no_failure_tells_what_a_row_holds(tmp_path: Path) -> None:
    world = worlds(tmp_path, Neighbour.PLAIN)[Neighbour.PLAIN]
    every = statements()
    chosen = every if os.environ.get("GONGSHU_NIGHTLY") else drawn(every)
    asked = [sql for sql in (*ONCE_FAILED, *chosen) if permitted(sql)]
    assert len(asked) > len(every) / 20
    packs = packed(asked)
    hits = world.ask([one_statement(pack).replace("{v}", str(VICTIM_INT)) for pack in packs])
    failed = [sql for pack, answer in zip(packs, hits, strict=True) if answer.code or answer.refused for sql in pack]
    assert len(failed) < len(asked) / 4
    assert telling(world, failed) == []


def telling(world: World, asked: list[str]) -> list[tuple[str, str, str]]:
    """Return the statements that end otherwise where a row takes the branch than where none does."""

    def ends(value: int, among: list[str]) -> list[str]:
        return [answer.code for answer in world.ask([sql.replace("{v}", str(value)) for sql in among])]

    pairs = zip(asked, ends(VICTIM_INT, asked), ends(1, asked), strict=True)
    # What runs after each other in one process may find its memory taken: each suspect is asked alone.
    suspects = [sql for sql, hit, miss in pairs if hit != miss]
    again = [(sql, ends(VICTIM_INT, [sql])[0], ends(1, [sql])[0]) for sql in suspects]
    return [(sql, hit, miss) for sql, hit, miss in again if hit != miss]
