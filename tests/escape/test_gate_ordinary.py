"""Ordinary work is not refused: analyses with Chinese names pass the gate unchanged, run, and show groups but no unit."""

import re
from pathlib import Path

from tests.escape import city
from tests.escape.ordinary import ORDINARY
from tests.escape.world import World

IDENTIFIER = re.compile(r"^(E\d{5}|P\d{5}|示A\d{5}|示例\d+公司)$")


def test_ordinary_analyses_are_accepted_and_answered(tmp_path: Path) -> None:
    world = World(tmp_path, city.RELATIONS, city.rows_of)
    answers = dict(zip(ORDINARY, world.ask(ORDINARY), strict=True))
    assert len(answers) >= 150
    assert {sql: answer.refused for sql, answer in answers.items() if answer.refused} == {}
    assert {sql: answer.code for sql, answer in answers.items() if answer.code or not answer.rows} == {}
    shown = {str(cell) for answer in answers.values() for row in answer.rows for cell in row}
    assert [cell for cell in shown if IDENTIFIER.match(cell)] == []
    counts = [
        cell
        for answer in answers.values()
        for row in answer.rows
        for name, cell in zip(answer.columns, row, strict=True)
        if name in {"户数", "人数", "人次", "车次", "车辆数", "参保人数", "患者数"} and cell is not None
    ]
    assert len(counts) > 500
    assert min(counts) >= 10
