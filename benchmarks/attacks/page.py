"""Writes the page about attacks from what was measured."""

from datetime import date

from benchmarks.attacks import LEDGER, QUERIES, RESIDENTS, SEED, Report
from benchmarks.attacks.score import Score
from benchmarks.attacks.utility import Utility

HEAD = """# Statistical attacks

<!-- Written by `python -m benchmarks.attacks`; do not edit. -->

What an ordinary developer, or several who collude, can learn of single people from what the gate lets out at default policy.
Measured on {day} with seed {seed}, {residents} synthetic residents in the manner of Adult and PUMS. Run it again with

    python -m benchmarks.attacks

(`GONGSHU_ATTACK_QUERIES=5000` lets the linear programs ask for 5 000 sums; here {queries}.) *Success* is how often the attacker
names a target's secret value; the *base rate* is the best that naming one value for all of the
targets can do; *points* is the difference. `ill` is true of 12 % of the people, `rich` of 24 %, `coin` of half of them
and depends on nothing.

| attack | targets | base rate | thresholds alone | points | with the ledger | points | asked → shown |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""

TAIL = """
Two accounts that collude are one attacker here: the ledger asks nobody who asks. `averaging` has nothing to average: answers are
exact, and forms that mean the same give the same; it counts as a success when two of them differ.

**Read with care.** The inferences learnt to read answers of thresholds alone: below the base rate they were misled by what the ledger
withholds; an attacker who models the ledger may do better. *Membership is open*: a group that is withheld because it is nearly an
earlier one tells that somebody stands between the two, and a set that is shown again under another condition tells that nobody
does. Where it is a secret that a person is in the data at all, use noise. With forty targets one step is 2.5 points, and
the error of a row about 8.

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


def _row(before: Score, after: Score) -> str:
    return (
        f"| {after.attack} | {after.targets} | {after.base:.1%} | {before.right:.1%} | {before.points:+.1f} | "
        f"{after.right:.1%} | {after.points:+.1f} | {after.asked} → {after.shown} |\n"
    )


def _cells(found: Utility) -> str:
    return f"{found.cells} | {found.withheld_percent:.1f} % | {found.people_withheld_percent:.1f} % | {found.error_percent:.2f} %"


def written(report: Report, day: date) -> str:
    """Return the page."""
    head = HEAD.format(day=day.isoformat(), seed=SEED, residents=RESIDENTS, queries=QUERIES)
    rows = "".join(_row(*pair) for pair in zip(report.before, report.after, strict=True))
    tail = TAIL.format(
        cells_before=_cells(report.utility_before), cells_after=_cells(report.utility_after), units_min=LEDGER.units_min,
        sets_max=LEDGER.sets_max, share=LEDGER.leverage_percent_max,
    )  # fmt: skip
    return head + rows + tail
