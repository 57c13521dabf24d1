"""Shown or withheld: nine accomplices and the target, so that the group appears only if the target belongs to it.

And what no exact answer withstands: who knows every other member of a group, and their values, reads the last one's off its sum.
"""
# ruff: noqa: S608 - an attacker's statements, written by code

from collections.abc import Callable

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person
from benchmarks.attacks.score import Score, commonest, score

COLUMN = "smoker"
ACCOMPLICES, COMPANIONS = 9, 20


def threshold(desk: Desk, people: list[Person], targets: list[Person], accomplices: list[Person]) -> Score:
    """Learn a value that may be filtered by: the group of nine known smokers and the target is shown if the target smokes."""
    common = commonest([person[COLUMN] for person in people])
    guesses, is_sure = [], False
    for target in targets:
        found = desk.number(
            f"SELECT count(*) AS n FROM residents WHERE {COLUMN} = 1 AND ({_any_of([*accomplices, target])})"
        )
        is_sure = is_sure or found is not None
        # Without the ledger silence means no; with it, silence means nothing once a group of these was shown.
        silence = 0 if desk.limits is None or not is_sure else common
        guesses.append(1 if found is not None else silence)
    return score("threshold signal", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown)


def apart(make: Callable[[], Desk], targets: list[Person], present: list[Person], accomplices: list[Person]) -> Score:
    """Is the target there? All of a district, and all of it but for nine accomplices and the target: ten, or nine, are apart."""
    guesses, asked, given = [], 0, 0
    names = _any_of(accomplices)
    for target in targets:
        desk = make()
        desk.number("SELECT count(*) AS n FROM residents")
        rest = desk.number(f"SELECT count(*) AS n FROM residents WHERE NOT ({names} OR ({target.described()}))")
        guesses.append(int(rest is not None))
        asked, given = asked + desk.asked, given + desk.shown
    truths = [int(target in present) for target in targets]
    return score("all but nine accomplices and the target", guesses, truths, 0, asked=asked, shown=given)


def nine(make: Callable[[], Desk], targets: list[Person], present: list[Person], accomplices: list[Person]) -> Score:
    """Is the target there? Nine accomplices and the target, of data of which nothing was asked: shown if there are ten."""
    guesses, asked, given = [], 0, 0
    for target in targets:
        desk = make()
        found = desk.number(f"SELECT count(*) AS n FROM residents WHERE {_any_of([*accomplices, target])}")
        guesses.append(int(found is not None))
        asked, given = asked + desk.asked, given + desk.shown
    truths = [int(target in present) for target in targets]
    return score("nine accomplices and the target", guesses, truths, 0, asked=asked, shown=given)


def companions(make: Callable[[], Desk], people: list[Person], targets: list[Person], known: list[Person]) -> Score:
    """Twenty people whose values the attacker knows, and the target: one sum, minus what is known."""
    common = commonest([person["coin"] for person in people])
    guesses, asked, given = [], 0, 0
    for target in targets:
        desk = make()
        found = desk.number(f"SELECT sum(coin) AS s FROM residents WHERE {_any_of([*known, target])}")
        learnt = None if found is None else round(found) - sum(person["coin"] for person in known)
        guesses.append(learnt if learnt in {0, 1} else common)
        asked, given = asked + desk.asked, given + desk.shown
    return score(
        "twenty companions and the target", guesses, [t["coin"] for t in targets], common, asked=asked, shown=given
    )


def small_groups(make: Callable[[], Desk], people: list[Person], targets: list[Person]) -> Score:
    """What everybody in a group shares: the commoner value of the smallest group that is shown with the target in it."""
    common = commonest([person["coin"] for person in people])
    guesses, asked, given = [], 0, 0
    for target in targets:
        desk, best = make(), None
        for names in (
            ("age", "sex", "marital"),
            ("education", "occupation"),
            ("district", "age"),
            ("age",),
            ("occupation",),
        ):
            rows = desk.ask(f"SELECT count(*) AS n, sum(coin) AS s FROM residents WHERE {target.described(*names)}")
            if rows:
                best = rows[0]
                break
        guesses.append(common if best is None or 2 * best[1] == best[0] else int(2 * best[1] > best[0]))
        asked, given = asked + desk.asked, given + desk.shown
    return score(
        "the commoner value of a small group", guesses, [t["coin"] for t in targets], common, asked=asked, shown=given
    )


def _any_of(people: list[Person]) -> str:
    return " OR ".join(f"({person.described()})" for person in people)
