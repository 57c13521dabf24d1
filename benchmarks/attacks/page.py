"""Writes the page about attacks from what was measured."""

from collections.abc import Iterable
from datetime import date
from statistics import mean

from benchmarks.attacks import LEDGER, QUERIES, RESIDENTS, SECRETS, SEEDS, SOME, TARGETS, Report, points_of, scores_of
from benchmarks.attacks.score import Score
from benchmarks.attacks.utility import Utility

HEAD = """# Statistical attacks

<!-- Written by `python -m benchmarks.attacks`; do not edit. -->

What an ordinary developer, or several who collude, can learn of single people from what the gate lets out at default policy.
Measured on {day}: {residents} synthetic residents in the manner of Adult and PUMS, {some} of them for the
inferences. Run it again with

    GONGSHU_ATTACK_QUERIES={queries} python -m benchmarks.attacks

*Success* is how often the attacker names a target's secret value; the *base rate* is the best that naming one value for all of the
targets can do; *points* is the difference: where there is a range, the mean of several
seeds, the least and the most. `ill` is true of 12 % of the people, `rich` of 24 %, `coin` of half of them and depends on nothing.

| attack | targets | base rate | thresholds alone | points | with the ledger | points | asked → shown |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

MIDDLE = """
Two accounts that collude are one attacker here: the ledger asks nobody who asks. `averaging` has nothing to average: answers are
exact; it counts as a success when two forms that mean the same give different answers. The linear programs stop after
sixty refusals in a row, after {queries} sums, or when they have half as many again as there are people. The inferences know
the rules: they search on shadow populations that are read through thresholds and ledger as the real one is, and each target is
attacked where nobody has asked before. The seeds are {seeds}; a row without a range ran with the first.
With {targets} targets and one seed the standard error is at most {error:.0f} points.

**Read with care.** {verdict}

## Who knows all others

No exact answer withstands who knows every other member of a group: the group's figure less theirs is the last one's. Rules can only
make him look for such groups. These attackers write down by name people of whom they know that they are there, or even their
values. The ledger does not stop them and is not meant to, and its own threshold is one more signal (the second row); noise
does.

| attacker | targets | base rate | thresholds alone | points | with the ledger | points | asked → shown |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

STRICTER = """## A stricter ledger

Groups of n units have the leverage 1/n, so a lower bound on the leverage is a larger least group. Against
`attribute inference of coin`, with the first seed:

| `ledger.leverage.percent_max` | right | points | cells withheld | people in them |
| --- | --- | --- | --- | --- |
{rows}
"""

TAIL = """
The last row knows nobody and asks nothing forbidden: what most of ten people share is likely of each of them. Larger groups tell less:
`ledger.leverage.percent_max`, or more `units_min`.
{stricter}
## What honest work gets

Twelve tables of counts, sums and means by one or two columns, asked for one after the other beside each other.

| | cells | withheld | people in them | median relative error of the others |
| --- | --- | --- | --- | --- |
| thresholds alone | {cells_before} |
| with the ledger | {cells_after} |

## Defaults behind these figures

`gate.units_min` = {units_min}, `ledger.sets_max` = {sets_max}, `ledger.leverage.percent_max` = {share}; exact sums, no
rounding, no noise.
How the ledger decides: [the ledger of released groups](../explanation/ledger.md).
"""
GOAL_POINTS = 5.0
BEYOND = """Those of the next table are, whatever is withheld.
An exact figure over ten people tells something of each by itself: the best reading of a count tells with up to 6.6 points whether
somebody is there, the commoner value of ten fair coins is right of 62 % of them (from 64 people on, of 55 %)."""


def _points(scores: list[Score]) -> str:
    points = [score.points for score in scores]
    if len(points) == 1:
        return f"{points[0]:+.1f}"
    return f"{mean(points):+.1f} ({min(points):+.1f} … {max(points):+.1f})"


def _row(before: list[Score], after: list[Score]) -> str:
    right = [f"{mean(score.right for score in scores):.1%}" for scores in (before, after)]
    asked, shown = (round(mean(values)) for values in ([s.asked for s in after], [s.shown for s in after]))
    targets = round(mean(score.targets for score in after))
    return (
        f"| {after[0].attack} | {targets} | {mean(s.base for s in after):.1%} | {right[0]} | {_points(before)} | "
        f"{right[1]} | {_points(after)} | {asked} → {shown} |\n"
    )


def _rows(before: Iterable[Score], after: Iterable[list[Score]]) -> str:
    return "".join(_row([one], others) for one, others in zip(before, after, strict=True))


def _cells(found: Utility) -> str:
    return f"{found.cells} | {found.withheld_percent:.1f} % | {found.people_withheld_percent:.1f} % | {found.error_percent:.2f} %"


def _verdict(report: Report) -> str:
    """Say which attacks are above the goal."""
    points = {score.attack: points_of(report, score.attack) for score in report.after.attacks}
    above = [f"`{name}` ({found:+.1f})" for name, found in points.items() if found > GOAL_POINTS]
    if not above:
        return f"No attack of this table is more than {GOAL_POINTS:.0f} points above its base rate on average. {BEYOND}"
    return f"More than {GOAL_POINTS:.0f} points above the base rate: {', '.join(above)}. {BEYOND}"


def written(report: Report, day: date) -> str:
    """Return the page."""
    head = HEAD.format(day=day.isoformat(), residents=RESIDENTS, some=SOME, queries=QUERIES)
    middle = MIDDLE.format(
        queries=QUERIES,
        targets=TARGETS,
        seeds=", ".join(map(str, SEEDS)),
        error=50 / TARGETS**0.5,
        verdict=_verdict(report),
    )
    coin = next(s for s in report.after.attacks if s.attack == f"attribute inference of {SECRETS[-1]}")
    rows = [(LEDGER.leverage_percent_max, coin, report.after.utility)]
    rows += [(one.percent, one.coin, one.utility) for one in report.stricter]
    tried = "".join(
        f"| {percent} | {score.right:.1%} | {score.points:+.1f} | {used.withheld_percent:.1f} % | "
        f"{used.people_withheld_percent:.1f} % |\n"
        for percent, score, used in rows
    )
    tail = TAIL.format(
        cells_before=_cells(report.before.utility), cells_after=_cells(report.after.utility), units_min=LEDGER.units_min,
        sets_max=LEDGER.sets_max, share=LEDGER.leverage_percent_max, stricter="\n" + STRICTER.format(rows=tried) if report.stricter else "",
    )  # fmt: skip
    attacks = _rows(report.before.attacks, (scores_of(report, score.attack) for score in report.before.attacks))
    insiders = _rows(report.insiders_before, ([score] for score in report.insiders_after))
    return head + attacks + middle + insiders + tail
