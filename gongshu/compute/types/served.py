"""What products answer that are made of released tables and models: each definition is frozen with its product."""

from dataclasses import dataclass
from enum import StrEnum

from gongshu.catalog.types import DataType
from gongshu.compute.types.queries import RelationColumn, StatementParameter


@dataclass(frozen=True)
class QueryDefinition:
    """A statement over the released table, which it calls ``released``, with typed parameters ``$name``.

    The ``value`` of a parameter is an example: the definition is tried with it. ``columns`` are those of the table, and
    ``outputs`` those of the answer; both are filled in when the statement was accepted.
    """

    statement: str
    parameters: tuple[StatementParameter, ...] = ()
    columns: tuple[RelationColumn, ...] = ()
    outputs: tuple[RelationColumn, ...] = ()


class Frequency(StrEnum):
    """How often an index is computed, and so how its periods are written."""

    YEAR = "year"  # 2026
    QUARTER = "quarter"  # 2026-Q3
    MONTH = "month"  # 2026-03
    DAY = "day"  # 2026-03-31


@dataclass(frozen=True)
class SeriesDefinition:
    """A time series (指数) of a released table: which column says when, which how much, and of what if there are several.

    ``unit`` is what a value is counted in; ``base`` is the period that is 100, or empty.
    """

    period: str
    value: str
    frequency: Frequency
    unit: str
    dimension: str = ""
    base: str = ""


@dataclass(frozen=True)
class SeriesPoint:
    """One value of a series. ``dimension`` is empty where there is one series only."""

    period: str
    value: float
    dimension: str = ""


@dataclass(frozen=True)
class ModelInput:
    """A field of a call: it goes to ``place`` in the model's input ``tensor``. Numbers are numbers, texts are texts."""

    name: str
    tensor: str
    place: int = 0
    data_type: DataType = DataType.DECIMAL


@dataclass(frozen=True)
class ModelDefinition:
    """What a released ONNX model is asked: one value for each input. Without ``inputs`` they are named after the tensors.

    ``outputs`` are the tensors that are answered; all of them when none is named.
    """

    inputs: tuple[ModelInput, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelTensor:
    """An input or output of a model: its element type (``float``, ``int64``, ``string`` …) and size beside the rows."""

    name: str
    element: str
    width: int


@dataclass(frozen=True)
class ServedLimits:
    """What one answer may take."""

    seconds_max: float = 5.0
    rows_max: int = 10_000
    content_bytes_max: int = 4 << 20
