"""Shown or withheld: nine accomplices and the target, so that the group appears only if the target belongs to it."""
# ruff: noqa: S608 - an attacker's statements, written by code

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person
from benchmarks.attacks.score import Score, commonest, score

COLUMN = "smoker"
ACCOMPLICES = 9


def threshold(desk: Desk, people: list[Person], targets: list[Person], accomplices: list[Person]) -> Score:
    """Learn a value that may be filtered by: the group of nine known smokers and the target is shown if the target smokes."""
    common = commonest([person[COLUMN] for person in people])
    group = " OR ".join(f"({person.described()})" for person in accomplices)
    guesses, is_sure = [], False
    for target in targets:
        found = desk.number(
            f"SELECT count(*) AS n FROM residents WHERE {COLUMN} = 1 AND ({group} OR ({target.described()}))"
        )
        is_sure = is_sure or found is not None
        # Without the ledger silence means no; with it, silence means nothing once a group of these was shown.
        silence = 0 if desk.limits is None or not is_sure else common
        guesses.append(1 if found is not None else silence)
    return score("threshold signal", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown)
