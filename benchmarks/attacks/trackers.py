"""Differencing: two answers over nearly the same people, by one account or by two that collude; trackers; averaging."""
# ruff: noqa: S608 - an attacker's statements, written by code

import random

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person
from benchmarks.attacks.score import Score, commonest, score

COLUMN = "ill"


def unique(people: list[Person], draw: random.Random, count: int) -> list[Person]:
    """Draw targets whose known values nobody else has: about whom an attacker can ask at all."""
    seen: dict[str, int] = {}
    for person in people:
        seen[person.described()] = seen.get(person.described(), 0) + 1
    alone = [person for person in people if seen[person.described()] == 1]
    return draw.sample(alone, count)


def _difference(desk: Desk, whole: str, rest: str) -> int | None:
    answers = [desk.number(f"SELECT sum({COLUMN}) AS s FROM residents WHERE {where}") for where in (whole, rest)]
    return None if None in answers else round(answers[0] - answers[1])  # type: ignore[operator]


def all_but_one(desk: Desk, people: list[Person], targets: list[Person]) -> Score:
    """N and N - 1: a district, and the district without the target. The accounts make no difference to the platform."""
    common = commonest([person[COLUMN] for person in people])
    guesses = []
    for target in targets:
        place = f"district = {target['district']}"
        found = _difference(desk, place, f"{place} AND NOT ({target.described()})")
        guesses.append(found if found in {0, 1} else common)
    return score("all but one", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown)


def within_one_statement(desk: Desk, people: list[Person], targets: list[Person]) -> Score:
    """The same inside one statement: a filtered sum beside the whole one."""
    common = commonest([person[COLUMN] for person in people])
    guesses = []
    for target in targets:
        rows = desk.ask(
            f"SELECT sum({COLUMN}) - sum({COLUMN}) FILTER (WHERE NOT ({target.described()})) AS x FROM residents "
            f"WHERE district = {target['district']}"
        )
        found = round(rows[0][0]) if rows and rows[0][0] is not None else None
        guesses.append(found if found in {0, 1} else common)
    return score(
        "within one statement", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown
    )


def tracker(desk: Desk, people: list[Person], targets: list[Person]) -> Score:
    """Schlörer's tracker: sum(C or T) + sum(C or not T) - sum(all), C being the target, T half of the people."""
    common = commonest([person[COLUMN] for person in people])
    guesses = []
    ask = f"SELECT sum({COLUMN}) AS s FROM residents"
    for target in targets:
        half = f"hours < {40 + 5 * (target['hours'] % 2)}"
        parts = [
            desk.number(f"{ask} WHERE ({target.described()}) OR {half}"),
            desk.number(f"{ask} WHERE ({target.described()}) OR NOT ({half})"),
            desk.number(ask),
        ]
        found = None if None in parts else round(parts[0] + parts[1] - parts[2])  # type: ignore[operator]
        guesses.append(found if found in {0, 1} else common)
    return score("tracker", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown)


def overlapping(desk: Desk, people: list[Person], targets: list[Person]) -> Score:
    """Three tables whose union is known: ages up to the target's, from it on, and all of them."""
    common = commonest([person[COLUMN] for person in people])
    guesses = []
    ask = f"SELECT sum({COLUMN}) AS s FROM residents"
    for target in targets:
        place = f"district = {target['district']} AND sex = {target['sex']}"
        rest = target.described("education", "occupation", "marital", "hours")
        parts = [
            desk.number(f"{ask} WHERE {place} AND (age < {target['age']} OR age = {target['age']} AND {rest})"),
            desk.number(f"{ask} WHERE {place} AND age < {target['age']}"),
        ]
        found = None if None in parts else round(parts[0] - parts[1])  # type: ignore[operator]
        guesses.append(found if found in {0, 1} else common)
    return score(
        "overlapping ranges", guesses, [t[COLUMN] for t in targets], common, asked=desk.asked, shown=desk.shown
    )


def averaging(desk: Desk, people: list[Person]) -> Score:
    """Ask for one sum in forms that mean the same: what differs between them would be noise to average away.

    The answers are exact here; the score is 1 if two of them differ.
    """
    forms = [
        f"SELECT sum({COLUMN}) AS s FROM residents WHERE district = 3 AND {test}"
        for test in (
            "TRUE",
            "age >= 0",
            "age > 0 - 1",
            "NOT age < 0",
            "age BETWEEN 0 AND 200",
            "sex IN (0, 1)",
            "hours + 0 > 0",
        )
    ]
    forms += [f"SELECT avg({COLUMN}) * count({COLUMN}) AS s FROM residents WHERE district = 3"]
    forms += [f"SELECT sum(x) AS s FROM (SELECT {COLUMN} AS x FROM residents WHERE district = 3) q"]
    answers = {round(found, 6) for form in forms if (found := desk.number(form)) is not None}
    truth = sum(person[COLUMN] for person in people if person["district"] == 3)
    learnt = len(answers) > 1 or (answers != {float(truth)} and bool(answers))
    return Score("averaging", len(forms), float(learnt), 0.0, desk.asked, desk.shown)
