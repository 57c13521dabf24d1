"""The published attacks were run against the defaults that are in force."""

import tomllib
from pathlib import Path

from benchmarks.attacks import LEDGER
from benchmarks.attacks.desk import DEFAULT

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
