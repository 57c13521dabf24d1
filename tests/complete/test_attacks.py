"""The published attacks were run against the defaults that are in force, and in short they still fail."""

import random
import tomllib
from pathlib import Path

import numpy as np

from benchmarks.attacks import LEDGER, inference, trackers
from benchmarks.attacks.desk import DEFAULT, Desk
from benchmarks.attacks.population import people
from gongshu.compute.rules import ledger

SEED = 20261121
ROOT = Path(__file__).resolve().parents[2]


def test_the_attacks_meet_the_defaults_of_the_parameters():
    listed = tomllib.loads((ROOT / "gongshu/server/parameters.toml").read_text(encoding="utf-8"))["parameter"]
    values = {parameter["key"]: parameter["value"] for parameter in listed}
    assert DEFAULT.units_min == LEDGER.units_min == values["gate.units_min"]
    assert DEFAULT.dominance_p_percent == values["gate.dominance.p_percent"]
    assert LEDGER.sets_max == values["ledger.sets_max"]
    assert LEDGER.leverage_percent_max == values["ledger.leverage.percent_max"]


def test_the_page_names_the_defaults_it_was_measured_with():
    page = (ROOT / "docs/reference/attacks.md").read_text(encoding="utf-8")
    assert f"`ledger.leverage.percent_max` = {LEDGER.leverage_percent_max}" in page
    assert f"`ledger.sets_max` = {LEDGER.sets_max}" in page


def test_nobody_sees_whether_the_target_is_there_by_what_is_withheld():
    """All of some people, and all but the target: the second is withheld whether or not there is a target to leave out."""
    crowd = people(600, SEED)
    for seed in range(2):
        target = trackers.unique(crowd, random.Random(seed), 1)[0]
        others = [person for person in crowd if person is not target]
        seen = []
        for version in (crowd, others):
            desk = Desk(LEDGER).load(version)
            place = f"SELECT count(*) AS n FROM residents WHERE district = {target['district']}"
            answers = [
                desk.number(sql)
                for sql in (
                    place,
                    f"{place} AND NOT ({target.described()})",
                    f"{place} AND (age <> {target['age']} OR hours <> {target['hours']} OR NOT ({target.described()}))",
                    place + " AND TRUE",
                    f"SELECT count(*) AS n FROM residents WHERE NOT ({target.described()})",
                )
            ]
            desk.close()
            seen.append([answer is not None for answer in answers])
        assert seen[0] == seen[1] == [True, False, False, True, False], f"seed {seed}"


def test_the_attacker_knows_the_ledger_as_it_is():
    """The inferences read their shadow populations by the rules that decide."""
    draw = np.random.default_rng(SEED)
    for _ in range(200):
        counts = draw.integers(0, 12, 16) * draw.integers(0, 2, 16)
        inside = ((np.arange(16)[:, None] >> np.arange(4)) & 1).astype(float)
        told: list[bool] = []
        for query in range(4):
            asked = [other for other in range(query) if told[other]] + [query]
            weights, units = inside[:, asked][counts > 0], counts[counts > 0]
            (passes,) = ledger.decide_sets(weights, units, len(asked) - 1, 10, 0.15)
            told.append(passes and counts @ inside[:, query] >= inference.UNITS_MIN)
        assert inference.shown(counts[None, :].astype(float), LEDGER)[0].tolist() == told, f"seed {SEED}: {counts}"


def test_an_attacker_who_knows_the_rules_learns_of_nobody_whether_he_is_there():
    """The short form of the published attack."""
    crowd = people(400, SEED)
    desk = Desk(LEDGER).load(crowd)
    targets = trackers.unique(crowd, random.Random(SEED), 8)
    outsiders = [person for person in people(800, SEED + 3) if person not in crowd][:8]
    found = inference.infer(desk.afresh, crowd, people(4_000, SEED + 1), [*targets, *outsiders], "", SEED)
    desk.close()
    assert found.targets == 16
    assert found.right <= 0.75, "of sixteen coins thirteen or more fall right once in a hundred times"
