"""Attribute and membership inference by automatic search, in the manner of QuerySnout and QueryCheetah.

The attacker draws many small sets of queries, tries each on shadow populations that are like the real one and that hold the
target with a random secret (or hold the target, or not), learns to read the answers, keeps the best set, and asks it.
"""
# ruff: noqa: S608 - an attacker's statements, written by code

import random
from collections.abc import Callable

import numpy as np

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import KNOWN, Person
from benchmarks.attacks.score import Score

SHADOWS, CANDIDATES, QUERIES = 160, 30, 4
UNITS_MIN = 10
Query = tuple[tuple[str, ...], str]  # columns equal to the target's, and one that differs ("" for none)


def _queries(draw: random.Random) -> list[Query]:
    found: list[Query] = []
    for _ in range(QUERIES // 2):
        names = tuple(draw.sample(KNOWN, draw.randrange(1, 4)))
        found += [(names, ""), (names, draw.choice([name for name in KNOWN if name not in names]))]
    return found


def _mask(table: dict[str, np.ndarray], target: Person, query: Query) -> np.ndarray:
    names, differs = query
    mask = np.ones(len(table["age"]), bool)
    for name in names:
        mask &= table[name] == target[name]
    return mask & (table[differs] != target[differs]) if differs else mask


def _written(target: Person, query: Query) -> str:
    names, differs = query
    return target.described(*names) + (f" AND {differs} <> {target[differs]}" if differs else "")


Shadow = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def _shadow_answers(  # noqa: PLR0917 - what a shadow is made of
    others: dict[str, np.ndarray], target: Person, queries: list[Query], secret: str, size: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return answers (-1: withheld) and truths of shadow populations. ``secret`` empty: is the target there?"""
    draw = np.random.default_rng(seed)
    masks = [_mask(others, target, query) for query in queries]
    counts_target = np.array([not differs for _, differs in queries], float)
    answers, truths = np.empty((SHADOWS, len(queries))), draw.integers(0, 2, SHADOWS)
    chance = float(others[secret].mean()) if secret else 0.0
    for row in range(SHADOWS):
        chosen = draw.integers(0, len(others["age"]), size - 1)
        if secret:
            truths[row] = int(draw.random() < chance)
        for column, mask in enumerate(masks):
            inside = mask[chosen]
            units = inside.sum() + counts_target[column] * (1 if secret else truths[row])
            value = (others[secret][chosen] * inside).sum() if secret else inside.sum()
            answers[row, column] = value + counts_target[column] * truths[row] if units >= UNITS_MIN else -1
    return answers, truths


def _reader(answers: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, float]:
    """Learn a linear reading of answers; return its weights and how often it is right on the half not learnt from."""
    wide = np.hstack([answers, answers < 0, np.ones((len(answers), 1))])
    half = len(wide) // 2
    weights = np.linalg.lstsq(
        wide[:half].T @ wide[:half] + np.eye(wide.shape[1]), wide[:half].T @ truths[:half], rcond=None
    )[0]
    right = float(np.mean((wide[half:] @ weights > 0.5) == truths[half:]))
    return weights, right


def infer(  # noqa: PLR0917 - what an attacker has
    make: Callable[[list[Person]], Desk],
    people: list[Person],
    auxiliary: list[Person],
    targets: list[Person],
    secret: str,
    seed: int,
) -> Score:
    """Search, learn, ask; ``make`` opens a desk over a version. ``secret`` empty: membership, each target in half of them."""
    draw = random.Random(seed)
    others = {name: np.array([person[name] for person in auxiliary]) for name in (*KNOWN, "ill", "rich", "coin")}
    desk = make(people)
    guesses, truths = [], []
    for number, target in enumerate(targets):
        best: tuple[float, list[Query], np.ndarray] | None = None
        for candidate in range(CANDIDATES):
            queries = _queries(draw)
            answers, known = _shadow_answers(
                others, target, queries, secret, len(people), seed + number * 1000 + candidate
            )
            weights, right = _reader(answers, known)
            if best is None or right > best[0]:
                best = (right, queries, weights)
        if best is None:
            raise ValueError("no candidate was tried")
        sums = f"sum({secret})" if secret else "count(*)"
        found = [desk.number(f"SELECT {sums} AS s FROM residents WHERE {_written(target, q)}") for q in best[1]]
        real = np.array([-1.0 if value is None else value for value in found])
        wide = np.concatenate([real, real < 0, [1.0]])
        guesses.append(int(wide @ best[2] > 0.5))
        truths.append(target[secret] if secret else int(target in people))
    right = float(np.mean(np.array(guesses) == np.array(truths)))
    mean = float(np.mean(truths))
    name = f"attribute inference of {secret}" if secret else "membership inference"
    return Score(name, len(targets), right, max(mean, 1 - mean), desk.asked, desk.shown)
