"""How long the gate takes to decide: over the 22 questions of TPC-H, with every use and with default uses.

With every use most of them pass, with default uses most are refused with all their reasons; both are measured alike.
"""

import gc
import statistics
import time

from gongshu.compute.rules import decide_query
from gongshu.compute.types import Relation
from gongshu.policies.types import Thresholds
from tests.tpch.queries import QUESTIONS
from tests.tpch.tables import default_relations, open_relations

ROUNDS, WARM_UP_ROUNDS = 40, 3
P50_LIMIT_MS, P99_LIMIT_MS = 5.0, 20.0
THRESHOLDS = Thresholds(10, 10, 2, 90)


def spans_of(given: tuple[tuple[Relation, ...], ...], statements: tuple[str, ...], rounds: int) -> list[float]:
    """Return how many milliseconds each decision took: every statement over every set of relations, in turns."""
    gc.collect()
    gc.freeze()  # as the server does when it starts
    spans = []
    for turn in range(WARM_UP_ROUNDS + rounds):
        for relations in given:
            for sql in statements:
                start = time.perf_counter()
                decide_query(relations, THRESHOLDS, sql)
                if turn >= WARM_UP_ROUNDS:
                    spans.append((time.perf_counter() - start) * 1000)
    gc.unfreeze()
    return spans


def measure() -> dict[str, dict[str, float | str]]:
    """Return the median and the 99th percentile over all questions, after a warm-up."""
    statements = tuple(question.sql for question in QUESTIONS)
    spans = spans_of((open_relations(), default_relations()), statements, ROUNDS)
    p99 = statistics.quantiles(spans, n=100)[98]
    return {
        "gate_ms_p50": {"value": statistics.median(spans), "unit": "ms", "limit": "5 ms", "limit_value": P50_LIMIT_MS},
        "gate_ms_p99": {"value": p99, "unit": "ms", "limit": "20 ms", "limit_value": P99_LIMIT_MS},
    }
