"""Python jobs: what a program reads and writes, and what came of a trial."""

from dataclasses import dataclass
from typing import Any

from gongshu.compute.types.queries import Projection


@dataclass(frozen=True)
class ProgramInput:
    """A relation that a Python job asks for, and the columns of it: it gets these and no others."""

    relation: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What a Python job is besides its code: what it reads, the files that it may write, the environment it runs in.

    ``image`` is the digest of the lock of that environment. ``tick_seconds``: a run is told to have ended at a multiple of
    this only, so that its length tells little of what it saw.
    """

    inputs: tuple[ProgramInput, ...]
    outputs: tuple[str, ...]
    projections: tuple[Projection, ...]
    image: str
    printed_bytes_max: int
    tick_seconds: int


@dataclass(frozen=True)
class ProgramLimits:
    """The numbers that Python jobs are measured against (``compute.python.…`` of the parameters)."""

    code_characters_max: int
    outputs_max: int
    jobs_per_day_max: int
    printed_bytes_max: int
    tick_seconds: int
    memory_bytes_max: int
    runtime_seconds_max: int
    output_bytes_max: int
    output_rows_max: int


@dataclass(frozen=True)
class ModelMeasure:
    """What a model consists of: its operators, how many numbers and texts it holds."""

    operators: tuple[str, ...]
    numbers: int
    texts: int


@dataclass(frozen=True)
class TrialTable:
    """The first rows of a table that a program wrote from synthetic rows."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class ProgramTrial:
    """What came of a program on synthetic rows: all of it may be seen. ``failure`` is the code of what went wrong."""

    failure: str
    printed: str
    tables: tuple[TrialTable, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    models: tuple[tuple[str, ModelMeasure], ...] = ()
