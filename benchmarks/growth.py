"""How the gate's time grows with the entitlement: one resource, and the same resource among a thousand.

Statements over one relation are decided with it alone and with 999 others beside it, in turns in the same run.
"""

import gc
import statistics
import time
from dataclasses import replace

from benchmarks.gate import THRESHOLDS
from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation
from tests.tpch.queries import QUESTIONS
from tests.tpch.tables import open_relations

RESOURCES = 1_000
ROUNDS = 150
GROWTH_LIMIT = 1.10
OVER_LINES_ONLY = (1, 6)


def entitlement(resources: int) -> tuple[Relation, ...]:
    """Return the lines of TPC-H as the last of so many relations, the others being as wide."""
    lines = next(r for r in open_relations() if r.name == "lineitem")
    return (*(replace(lines, name=f"resource_{number}") for number in range(resources - 1)), lines)


def measure() -> dict[str, dict[str, float | str]]:
    """Return the ratio of the median times."""
    statements = tuple(q.sql for q in QUESTIONS if q.number in OVER_LINES_ONLY)
    one, many = entitlement(1), entitlement(RESOURCES)
    gc.collect()
    gc.freeze()
    spans: dict[int, list[float]] = {1: [], RESOURCES: []}
    for _ in range(ROUNDS):
        for count, relations in ((1, one), (RESOURCES, many)):
            for sql in statements:
                start = time.perf_counter()
                decide_query(relations, THRESHOLDS, sql)
                spans[count].append(time.perf_counter() - start)
    gc.unfreeze()
    alone, among = (statistics.median(spans[count]) for count in (1, RESOURCES))
    return {
        "gate_growth_1_to_1000": {
            "value": among / alone, "unit": "ratio", "limit": "1.10: gate time with 1 000 resources / with one",
            "limit_value": GROWTH_LIMIT,
        }
    }  # fmt: skip
