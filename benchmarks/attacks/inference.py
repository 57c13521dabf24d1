"""Attribute and membership inference by automatic search, in the manner of QuerySnout and QueryCheetah.

The attacker draws many small sets of queries, tries each on shadow populations that are like the real one and that hold the
target with a random secret (or hold the target, or not), learns to read the answers, keeps the best set, and asks it. He knows
the rules: shadow populations are read through the thresholds and the ledger as the real one is, so that what is withheld
tells him as much as what is shown. Each target is attacked at a desk where nobody has asked anything before.
"""
# ruff: noqa: S608 - an attacker's statements, written by code

import random
from collections.abc import Callable

import numpy as np

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import KNOWN, Person
from benchmarks.attacks.score import Score
from gongshu.compute.adapters.ledger import Limits

SHADOWS, CANDIDATES, QUERIES = 240, 12, 4
UNITS_MIN = 10
REDUNDANT, ROUNDING = 0.01, 1e-6
Query = tuple[tuple[str, str], ...]  # columns, and how they stand to the target's value
OPERATORS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "=": np.equal, "<>": np.not_equal, "<=": np.less_equal, ">=": np.greater_equal,
}  # fmt: skip


def _queries(draw: random.Random) -> list[Query]:
    """Draw pairs: some people who are like the target, and those of them who differ from it in one thing more."""
    found: list[Query] = []
    for _ in range(QUERIES // 2):
        like = draw.choice(("=", "=", "<=", ">="))
        names = draw.sample(KNOWN, draw.randrange(1, 4))
        query = tuple((name, like if name in {"age", "hours", "education"} else "=") for name in names)
        found += [query, (*query, (draw.choice([name for name in KNOWN if name not in names]), "<>"))]
    return found


def _mask(table: dict[str, np.ndarray], target: Person, query: Query) -> np.ndarray:
    mask = np.ones(len(table["age"]), bool)
    for name, operator in query:
        mask &= OPERATORS[operator](table[name], target[name])
    return mask


def _written(target: Person, query: Query) -> str:
    return " AND ".join(f"{name} {operator} {target[name]}" for name, operator in query)


def shown(counts: np.ndarray, limits: Limits | None) -> np.ndarray:
    """Return which of the queries are answered, one row for each shadow: what the attacker knows of the rules.

    ``counts`` says how many units each shadow has of each kind; kind 5 (binary 101) is in the first and the third query. The
    queries are asked in order, of data of which nothing was asked before.
    """
    shadows, kinds = counts.shape
    queries = kinds.bit_length() - 1
    inside = ((np.arange(kinds)[:, None] >> np.arange(queries)) & 1).astype(float)
    sizes = counts @ inside
    passes = sizes >= UNITS_MIN
    if limits is None:
        return passes
    told, basis = np.zeros((shadows, kinds)), list[np.ndarray]()
    for query in range(queries):
        left = np.tile(inside[:, query], (shadows, 1))
        for known in basis:
            left -= np.sum(counts * left * known, axis=1, keepdims=True) * known
        remains = np.sum(counts * left**2, axis=1)
        adds = np.where(counts > 0, left**2, 0.0) / np.maximum(remains, REDUNDANT)[:, None]
        touched = adds > ROUNDING / limits.units_min
        most = np.where(touched, told + adds, 0.0).max(axis=1)
        passes[:, query] &= (
            (remains > REDUNDANT)
            & (adds.max(axis=1) * limits.units_min <= 1 + ROUNDING)
            & (most <= limits.leverage_percent_max / 100 + ROUNDING)
        )
        kept = passes[:, query][:, None]
        told += np.where(kept, adds, 0.0)
        basis.append(np.where(kept, left / np.sqrt(np.maximum(remains, REDUNDANT))[:, None], 0.0))
    return passes


def _shadow_answers(  # noqa: PLR0917 - what a shadow is made of
    others: dict[str, np.ndarray], target: Person, queries: list[Query], secret: str, size: int, seed: int,
    limits: Limits | None,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return answers (-1: withheld) and truths of shadow populations. ``secret`` empty: is the target there?"""
    draw = np.random.default_rng(seed)
    kinds = sum(_mask(others, target, query).astype(np.int64) << place for place, query in enumerate(queries))
    own = sum(int(all(op in {"=", "<=", ">="} for _, op in query)) << place for place, query in enumerate(queries))
    truths = draw.integers(0, 2, SHADOWS)
    if secret:
        truths = (draw.random(SHADOWS) < float(others[secret].mean())).astype(np.int64)
    chosen = draw.integers(0, len(others["age"]), (SHADOWS, size - 1))
    places = (np.arange(SHADOWS)[:, None] << len(queries)) + kinds[chosen]
    width = SHADOWS << len(queries)
    counts = np.bincount(places.ravel(), minlength=width).reshape(SHADOWS, -1).astype(float)
    sums = counts
    if secret:
        weights = others[secret][chosen].ravel().astype(float)
        sums = np.bincount(places.ravel(), weights=weights, minlength=width).reshape(SHADOWS, -1)
        sums[:, own] += truths
    counts[:, own] += 1 if secret else truths
    inside = ((np.arange(counts.shape[1])[:, None] >> np.arange(len(queries))) & 1).astype(float)
    return np.where(shown(counts, limits), (sums @ inside), -1.0), truths


def _wide(answers: np.ndarray) -> np.ndarray:
    return np.hstack([answers, answers < 0, np.ones((len(answers), 1))])


def _fitted(answers: np.ndarray, truths: np.ndarray) -> np.ndarray:
    wide = _wide(answers)
    found: np.ndarray = np.linalg.solve(wide.T @ wide + np.eye(wide.shape[1]), wide.T @ truths)
    return found


def _reader(answers: np.ndarray, truths: np.ndarray) -> tuple[np.ndarray, float]:
    """Learn a linear reading of answers; return its weights and how often it is right on the half not learnt from."""
    half = len(answers) // 2
    weights = _fitted(answers[:half], truths[:half])
    right = float(np.mean((_wide(answers[half:]) @ weights > 0.5) == truths[half:]))
    return _fitted(answers, truths), right


def infer(  # noqa: PLR0917 - what an attacker has
    make: Callable[[], Desk],
    people: list[Person],
    auxiliary: list[Person],
    targets: list[Person],
    secret: str,
    seed: int,
) -> Score:
    """Search, learn, ask; ``make`` opens a desk over ``people``. ``secret`` empty: membership, each target in half of them."""
    draw = random.Random(seed)
    others = {name: np.array([person[name] for person in auxiliary]) for name in (*KNOWN, "ill", "rich", "coin")}
    guesses, truths, asked, given = [], [], 0, 0
    for number, target in enumerate(targets):
        desk = make()
        tried = []
        for candidate in range(CANDIDATES):
            queries = _queries(draw)
            answers, known = _shadow_answers(
                others, target, queries, secret, len(people), seed + number * 1000 + candidate, desk.limits
            )
            weights, right = _reader(answers, known)
            tried.append((right, candidate, queries, weights))
        _, _, best, reading = max(tried, key=lambda one: one[:2])
        sums = f"sum({secret})" if secret else "count(*)"
        found = [desk.number(f"SELECT {sums} AS s FROM residents WHERE {_written(target, query)}") for query in best]
        real = np.array([[-1.0 if value is None else value for value in found]])
        guesses.append(int((_wide(real) @ reading)[0] > 0.5))
        truths.append(target[secret] if secret else int(target in people))
        asked, given = asked + desk.asked, given + desk.shown
    right = float(np.mean(np.array(guesses) == np.array(truths)))
    mean = float(np.mean(truths))
    name = f"attribute inference of {secret}" if secret else "membership inference"
    return Score(name, len(targets), right, max(mean, 1 - mean), asked, given)
