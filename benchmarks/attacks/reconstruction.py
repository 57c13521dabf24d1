"""Linear programs over sums of random subsets (Dinur and Nissim; Cohen and Nissim): rebuild a column of some hundred people."""
# ruff: noqa: S608 - an attacker's statements, written by code

import random

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import bmat, csr_matrix, identity

from benchmarks.attacks.desk import Desk
from benchmarks.attacks.population import Person
from benchmarks.attacks.score import Score, commonest, score

SILENT_MAX = 60
"""An attacker who has got nothing so many times gives up."""
ENOUGH = 1.5
"""Exact sums, for each unknown value, that are more than enough to solve for all of them."""
FACTORS = (7, 11, 13, 17, 19, 23)


def rebuild(desk: Desk, people: list[Person], secret: str, queries: int, seed: int) -> Score:
    """Ask for ``queries`` sums over pseudo-random halves of one district's older people; solve for everybody's value."""
    draw = random.Random(seed)
    crowd = [person for person in people if person["district"] == 2 and person["age"] >= 45]
    common = commonest([person[secret] for person in people])
    rows, sums = [], []
    silent = 0
    for _ in range(queries):
        if silent >= SILENT_MAX or len(rows) >= ENOUGH * len(crowd):
            break
        chosen, where = _half(draw, crowd)
        found = desk.number(f"SELECT sum({secret}) AS s FROM residents WHERE district = 2 AND age >= 45 AND {where}")
        silent = 0 if found is not None else silent + 1
        if found is not None:
            rows.append(chosen)
            sums.append(found)
    truths = [person[secret] for person in crowd]
    guesses = (
        [common] * len(crowd)
        if not rows
        else _solved(np.array(rows, float), np.array(sums), len(crowd), people, secret)
    )
    return score(f"reconstruction of {secret}", guesses, truths, common, asked=desk.asked, shown=desk.shown)


def _half(draw: random.Random, crowd: list[Person]) -> tuple[list[int], str]:
    names = ("age", "sex", "education", "occupation", "marital", "hours")
    factors = {name: draw.choice(FACTORS) * draw.randrange(1, 60) for name in names}
    modulus, bound = draw.choice(((97, 48), (89, 44), (83, 41), (101, 50)))
    value = " + ".join(f"{name} * {factor}" for name, factor in factors.items())
    chosen = [int(sum(person[name] * factor for name, factor in factors.items()) % modulus < bound) for person in crowd]
    return chosen, f"({value}) % {modulus} < {bound}"


def _solved(rows: np.ndarray, sums: np.ndarray, count: int, people: list[Person], secret: str) -> list[int]:
    """Solve for everybody where the sums suffice, being exact; else minimise the distance to them, and to the mean."""
    if len(rows) >= count and np.linalg.matrix_rank(rows) == count:
        return [int(value > 0.5) for value in np.linalg.lstsq(rows, sums, rcond=None)[0]]
    mean = float(np.mean([person[secret] for person in people]))
    few = 1e-3
    slack, apart = identity(len(rows)), identity(count)
    matrix = bmat([[csr_matrix(rows), slack, -slack, None, None], [apart, None, None, apart, -apart]], format="csr")
    cost = np.concatenate([np.zeros(count), np.ones(2 * len(rows)), np.full(2 * count, few)])
    bounds = [(0, 1)] * count + [(0, None)] * (2 * len(rows) + 2 * count)
    found = linprog(cost, A_eq=matrix, b_eq=np.concatenate([sums, np.full(count, mean)]), bounds=bounds, method="highs")
    if found.status:
        raise RuntimeError(found.message)
    return [int(value > 0.5) for value in found.x[:count]]
