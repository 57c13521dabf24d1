"""Statistical attacks on the gate at default policy: ``python -m benchmarks.attacks``.

The attacker is an ordinary developer (or several, who collude): statements go in, released groups come out. Everything is
seeded. Each attack runs twice: against thresholds alone, and with the ledger of released groups.
"""

import os
import random
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from benchmarks.attacks import inference, reconstruction, signals, trackers, utility
from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person, people
from benchmarks.attacks.score import Score
from benchmarks.attacks.utility import Utility
from gongshu.compute.adapters.ledger import Limits

SEED = 20261121
SECRETS = ("ill", "rich", "coin")
RESIDENTS, TARGETS, INFERRED = 5_000, 60, 40
LEDGER = Limits(units_min=10, sets_max=1_500, leverage_percent_max=15)
QUERIES = int(os.environ.get("GONGSHU_ATTACK_QUERIES", "600"))


@dataclass(frozen=True)
class Report:
    """What every attack achieved without and with the ledger, and what honest work gets."""

    before: tuple[Score, ...]
    after: tuple[Score, ...]
    utility_before: Utility
    utility_after: Utility


def attacks(limits: Limits | None) -> tuple[Score, ...]:
    """Run every attack against a desk of its own, and say how each ended."""
    found = []
    for score in _attacks(limits, people(RESIDENTS, SEED)):
        how = "thresholds" if limits is None else "ledger"
        print(f"{how}: {score.attack}: {score.right:.3f}, base {score.base:.3f}", file=sys.stderr, flush=True)
        found.append(score)
    return tuple(found)


def _attacks(limits: Limits | None, crowd: list[Person]) -> Iterator[Score]:
    targets = trackers.unique(crowd, random.Random(SEED), TARGETS)
    for attack in (trackers.within_one_statement, trackers.all_but_one, trackers.tracker, trackers.overlapping):
        yield attack(Desk(limits).load(crowd), crowd, targets)
    yield trackers.averaging(Desk(limits).load(crowd), crowd)
    smokers = [person for person in crowd if person["smoker"] and person not in targets]
    accomplices = trackers.unique(smokers, random.Random(SEED), signals.ACCOMPLICES)
    yield signals.threshold(Desk(limits).load(crowd), crowd, targets, accomplices)
    for secret in SECRETS:
        yield reconstruction.rebuild(Desk(limits).load(crowd), crowd, secret, QUERIES, SEED)
    yield from _inferences(limits, crowd)


def _inferences(limits: Limits | None, crowd: list[Person]) -> Iterator[Score]:
    some, auxiliary = crowd[:1000], people(20_000, SEED + 1)
    targets = trackers.unique(some, random.Random(SEED + 2), INFERRED)
    outsiders = [person for person in people(3_000, SEED + 3) if person not in some][: INFERRED // 2]

    def make(version: list[Person]) -> Desk:
        return Desk(limits).load(version)

    for secret in SECRETS:
        yield inference.infer(make, some, auxiliary, targets, secret, SEED)
    yield inference.infer(make, some, auxiliary, [*targets[: INFERRED // 2], *outsiders], "", SEED)


def measurements(report: Report) -> dict[str, dict[str, float | str]]:
    """Return the figures in the form of ``build/bench.json``: points above base, beside those without the ledger."""
    found: dict[str, dict[str, float | str]] = {}
    for before, after in zip(report.before, report.after, strict=True):
        found["attack_" + after.attack.replace(" ", "_")] = {
            "value": round(after.points, 2), "unit": "points above base rate", "limit": "thresholds alone",
            "limit_value": round(before.points, 2),
        }  # fmt: skip
    found["attack_utility_withheld"] = {
        "value": round(report.utility_after.withheld_percent, 2), "unit": "% of cells", "limit": "thresholds alone",
        "limit_value": round(report.utility_before.withheld_percent, 2),
    }  # fmt: skip
    return found


def measure() -> dict[str, dict[str, float | str]]:
    """Measure for ``make bench``."""
    return measurements(run())


def run() -> Report:
    """Run everything, twice, side by side."""
    with ProcessPoolExecutor(2) as pool:
        before, after = pool.submit(_run, None), pool.submit(_run, LEDGER)
        return Report(before.result()[0], after.result()[0], before.result()[1], after.result()[1])


def _run(limits: Limits | None) -> tuple[tuple[Score, ...], Utility]:
    crowd = people(RESIDENTS, SEED)
    return attacks(limits), utility.honest(Desk(limits).load(crowd), crowd)
