"""Products that are answered with content from a released table or model: queries, indices, models."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gongshu.base.decisions import Decision, Denied
from gongshu.base.site import Keys
from gongshu.compute import service as compute
from gongshu.delivery.service.kinds import Answer
from gongshu.delivery.types import Outcome
from gongshu.metering.types import ResultCode
from gongshu.products.types import Definition

T = TypeVar("T")


def _defined(definition: T | None) -> T:
    if definition is None:
        raise ValueError("the product does not say what it answers")
    return definition


def _answer(served: Callable[[dict[str, str]], Decision[bytes]]) -> Answer:
    def answer(fields: dict[str, str]) -> Outcome:
        decision = served(fields)
        if isinstance(decision, Denied):
            return Outcome(ResultCode.REFUSED, reasons=decision.reasons)
        return Outcome(ResultCode.SERVED, decision.value)

    return answer


def open_query(path: Path, definition: Definition, _keys: Keys) -> Answer:
    """Answer a statement over a released table with its columns and rows."""
    return _answer(compute.open_query(path, _defined(definition.query)))


def open_series(path: Path, definition: Definition, _keys: Keys) -> Answer:
    """Answer with an index, or the part of it between two periods."""
    return _answer(compute.open_series(path, _defined(definition.series)))


def open_model(path: Path, definition: Definition, _keys: Keys) -> Answer:
    """Answer with the outputs of a model for one row."""
    return _answer(compute.open_model(path, _defined(definition.model)))
