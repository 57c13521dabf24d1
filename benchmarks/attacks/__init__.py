"""Statistical attacks on the gate at default policy: ``python -m benchmarks.attacks``.

The attacker is an ordinary developer (or several, who collude): statements go in, released groups come out. Everything is
seeded. Each attack runs against thresholds alone and with the ledger of released groups; the inferences, where chance decides
most, with the ledger for several seeds.
"""

import os
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import mean

from benchmarks.attacks import inference, reconstruction, signals, trackers, utility
from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person, people
from benchmarks.attacks.score import Score
from benchmarks.attacks.utility import Utility
from gongshu.compute.adapters.ledger import Limits

SEEDS = (20261121, 20261122, 20261123)
SECRETS = ("ill", "rich", "coin")
RESIDENTS, SOME, TARGETS = 5_000, 1_000, 100
LEDGER = Limits(units_min=10, sets_max=1_500, leverage_percent_max=15)
STRICTER = (10, 5, 2)
"""Leverages, in per cent, that are tried beside the default."""
QUERIES = int(os.environ.get("GONGSHU_ATTACK_QUERIES", "600"))


@dataclass(frozen=True)
class Trial:
    """What every attack achieved with one seed, and what honest work gets."""

    attacks: tuple[Score, ...]
    utility: Utility


@dataclass(frozen=True)
class Stricter:
    """What a lower leverage does to the attack that what is left is about, and to honest work."""

    percent: int
    coin: Score
    utility: Utility


@dataclass(frozen=True)
class Report:
    """A trial without and one with the ledger, with the first seed; the inferences with the other seeds."""

    before: Trial
    after: Trial
    again: tuple[Score, ...]
    insiders_before: tuple[Score, ...]
    insiders_after: tuple[Score, ...]
    stricter: tuple[Stricter, ...]


def trial(limits: Limits | None, seed: int) -> Trial:
    """Run every attack with one seed."""
    crowd = people(RESIDENTS, seed)
    return Trial(_told(limits, seed, _attacks(limits, crowd, seed)), utility.honest(Desk(limits).load(crowd), crowd))


def insiders(limits: Limits | None, seed: int) -> tuple[Score, ...]:
    """Run the attacks of those who know all others."""
    return _told(limits, seed, _insiders(limits, people(RESIDENTS, seed), seed))


def _told(limits: Limits | None, seed: int, scores: Iterator[Score]) -> tuple[Score, ...]:
    found = []
    for score in scores:
        how = "thresholds" if limits is None else "ledger"
        print(
            f"{seed}, {how}: {score.attack}: {score.right:.3f}, base {score.base:.3f}, {score.asked} asked",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        found.append(score)
    return tuple(found)


def _attacks(limits: Limits | None, crowd: list[Person], seed: int) -> Iterator[Score]:
    targets = trackers.unique(crowd, random.Random(seed), TARGETS)
    for attack in (trackers.within_one_statement, trackers.all_but_one, trackers.tracker, trackers.overlapping):
        yield attack(Desk(limits).load(crowd), crowd, targets)
    yield trackers.averaging(Desk(limits).load(crowd), crowd)
    smokers = [person for person in crowd if person["smoker"] and person not in targets]
    accomplices = trackers.unique(smokers, random.Random(seed), signals.ACCOMPLICES)
    yield signals.threshold(Desk(limits).load(crowd), crowd, targets, accomplices)
    for secret in SECRETS:
        yield reconstruction.rebuild(Desk(limits).load(crowd), crowd, secret, QUERIES, seed)
    yield from _inferences(limits, crowd, seed)


def _inferences(limits: Limits | None, crowd: list[Person], seed: int) -> Iterator[Score]:
    some, targets, mixed = _targets(crowd, seed)
    auxiliary, desk = people(20_000, seed + 1), Desk(limits).load(some)
    for secret in SECRETS:
        yield inference.infer(desk.afresh, some, auxiliary, targets, secret, seed)
    yield inference.infer(desk.afresh, some, auxiliary, mixed, "", seed)


def _targets(crowd: list[Person], seed: int) -> tuple[list[Person], list[Person], list[Person]]:
    """Return a smaller population, targets that are in it, and targets half of which are."""
    some = crowd[:SOME]
    targets = trackers.unique(some, random.Random(seed + 2), TARGETS)
    described = {person.described() for person in some}
    outsiders = [person for person in people(3_000, seed + 3) if person.described() not in described]
    return some, targets, [*targets[: TARGETS // 2], *outsiders[: TARGETS // 2]]


def _insiders(limits: Limits | None, crowd: list[Person], seed: int) -> Iterator[Score]:
    some, targets, mixed = _targets(crowd, seed)
    known = trackers.unique([p for p in some if p not in targets], random.Random(seed + 4), signals.COMPANIONS)
    make = Desk(limits).load(some).afresh
    yield signals.nine(make, mixed, some, known[: signals.ACCOMPLICES])
    yield signals.apart(make, mixed, some, known[: signals.ACCOMPLICES])
    yield signals.companions(make, some, targets, known)
    yield signals.small_groups(make, some, targets)


def stricter(percent: int, seed: int) -> Stricter:
    """Attack the fair coin, and ask for honest tables, with another bound on what is told of one unit."""
    limits, crowd = replace(LEDGER, leverage_percent_max=percent), people(RESIDENTS, seed)
    some, targets, _ = _targets(crowd, seed)
    make = Desk(limits).load(some).afresh
    score = inference.infer(make, some, people(20_000, seed + 1), targets, "coin", seed)
    return Stricter(percent, score, utility.honest(Desk(limits).load(crowd), crowd))


def scores_of(report: Report, attack: str) -> list[Score]:
    """Return what an attack achieved with the ledger, for each seed with which it ran."""
    return [score for score in (*report.after.attacks, *report.again) if score.attack == attack]


def points_of(report: Report, attack: str) -> float:
    """Return the points above base rate of an attack, averaged over its seeds."""
    return mean(score.points for score in scores_of(report, attack))


def measurements(report: Report) -> dict[str, dict[str, float | str]]:
    """Return the figures in the form of ``build/bench.json``: points above base, beside those without the ledger."""
    found: dict[str, dict[str, float | str]] = {}
    for before in report.before.attacks:
        found["attack_" + before.attack.replace(" ", "_")] = {
            "value": round(points_of(report, before.attack), 2), "unit": "points above base rate",
            "limit": "thresholds alone", "limit_value": round(before.points, 2),
        }  # fmt: skip
    found["attack_utility_withheld"] = {
        "value": round(report.after.utility.withheld_percent, 2), "unit": "% of cells", "limit": "thresholds alone",
        "limit_value": round(report.before.utility.withheld_percent, 2),
    }  # fmt: skip
    return found


def measure() -> dict[str, dict[str, float | str]]:
    """Measure for ``make bench``, with one seed."""
    return measurements(run(SEEDS[:1]))


def run(seeds: tuple[int, ...] = SEEDS) -> Report:
    """Run everything, without and with the ledger."""
    first, *others = seeds
    again = [
        score for seed in others for score in _told(LEDGER, seed, _inferences(LEDGER, people(RESIDENTS, seed), seed))
    ]
    return Report(
        trial(None, first), trial(LEDGER, first), tuple(again), insiders(None, first), insiders(LEDGER, first),
        tuple(stricter(percent, first) for percent in STRICTER),
    )  # fmt: skip
