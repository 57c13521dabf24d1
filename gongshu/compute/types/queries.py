"""Governed relations, the gate's queries, and what they are made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gongshu.base.decisions import Reason
from gongshu.base.digest import Ref, digest_of
from gongshu.base.ids import EntitlementId, PersonId, ResourceId
from gongshu.catalog.types import DataType
from gongshu.policies.types import NoiseMechanism, ResourcePolicy, Use


class Engine(StrEnum):
    """What runs a governed query: DuckDB in a sandbox on this machine, or a Spark cluster."""

    DUCKDB = "duckdb"
    SPARK = "spark"


@dataclass(frozen=True)
class RelationColumn:
    """A column as the gate sees it. ``is_filled``: no row of the registered version is empty there."""

    name: str
    data_type: DataType
    is_filled: bool = False


@dataclass(frozen=True)
class Relation:
    """A governed relation: the name it has in SQL, its columns, and its policy."""

    name: str
    resource: ResourceId
    columns: tuple[RelationColumn, ...]
    policy: ResourcePolicy


@dataclass(frozen=True)
class ColumnLineage:
    """Which base columns an output column came from, directly (its value) or indirectly (which rows or branches).

    Columns are written ``relation.column``. The shape of OpenLineage's ``ColumnLineageDatasetFacet`` is made from it.
    """

    output: str
    direct: frozenset[str]
    indirect: frozenset[str]


@dataclass(frozen=True)
class Projection:
    """What the engine's child process may read of one relation: these columns, masked and filtered before it starts.

    ``keys`` are columns of which only the keyed hash is there (named ``key:…``), ``raws`` masked columns whose raw value is
    needed by ``compare`` (named ``raw:…``); ``has_unit``: the keyed hash of the privacy unit is there (named ``unit:``).
    """

    relation: str
    resource: ResourceId
    columns: tuple[str, ...]
    keys: tuple[str, ...] = ()
    raws: tuple[str, ...] = ()
    has_unit: bool = False
    has_order: bool = False  # a keyed hash of the row's place is there (named ``order:``): which rows a bound keeps
    pseudonyms: tuple[str, ...] = ()  # columns in whose place stands the keyed hash, as text, under their own name


@dataclass(frozen=True)
class Measurement:
    """A column of whole numbers, one per group, and how much one unit can change it in one group."""

    column: str
    sensitivity: int


@dataclass(frozen=True)
class StageNoise:
    """What is added to the table of a step as soon as it is made, before anything reads it.

    The first ``keys`` columns are group keys. With keys, the column ``units`` (units of a group) is measured first, and
    only groups stay whose noisy number of units is so large that a group of one unit is seen with a probability of at
    most ``delta_pico`` · 1e-12. Then each of ``measurements`` gets noise for ``epsilon_milli`` / 1000.
    """

    mechanism: NoiseMechanism
    epsilon_milli: int
    delta_pico: int
    groups_per_unit_max: int
    keys: int
    measurements: tuple[Measurement, ...]


@dataclass(frozen=True)
class Price:
    """What a statement takes from the budget of its entitlement: ε in thousandths, δ in 1e-12, for so many measurements."""

    epsilon_milli: int
    delta_pico: int
    measurements: int


@dataclass(frozen=True)
class Stage:
    """One step of a governed query: a table of groups with the column ``passes``, read by later steps where it is true.

    ``units`` and ``negative`` stand beside it for the report: units of a group, and whether a part was negative. A step that
    is not counted has none of these: later steps compare their groups with it. A step with ``noise`` is read by the next
    one only after noise was added.
    """

    name: str
    sql: str
    is_counted: bool = True
    noise: StageNoise | None = None


@dataclass(frozen=True)
class Definition:
    """What makes the groups of a stage under one condition, apart from the data. Everything is told by digests.

    ``rows``: relations, joins and conditions; ``keys``: the group keys in order; ``equalities``: conditions that a column has
    a value (a digest and the literal), which could as well be group keys. ``is_box``: bare relations by columns or bins, under
    conditions on one column each and not on the keys, so that no person can be made a part of its own. ``is_open``: the same
    without any condition.
    """

    rows: str
    keys: tuple[str, ...]
    equalities: tuple[tuple[str, str], ...] = ()
    is_box: bool = False
    is_open: bool = False


@dataclass(frozen=True)
class Trace:
    """Which units stand behind the released groups of a stage: ``sql`` gives group, condition, unit, its rows, hashed keys.

    ``keys``: how many of the stage's columns name a group. ``definitions``: one for each condition.
    """

    stage: str
    keys: int
    sql: str
    definitions: tuple[Definition, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A definition of a group with its values, hashed; of which family of boxes it is (empty: none); whether it is open."""

    condition: str
    family: str = ""
    is_open: bool = False


VALUE_DIGITS = 16
"""Digits (hexadecimal) of the SHA-256 of a key's value as text: the same on every engine."""
SetKey = tuple[int, int]
"""Names a set of units: how many there are, and the sum of their hashes."""


@dataclass(frozen=True)
class ReleasedGroup:
    """A group that passed the thresholds: its trace, the hash of its keys, one of its conditions, the set of its units."""

    trace: int
    group: int
    condition: int
    units: SetKey
    shown: Shown


@dataclass(frozen=True)
class GovernedQuery:
    """What the gate permits: SQL regenerated from the tree with thresholds beside every aggregate.

    The ``stages`` are made first, in order; ``sql`` reads the groups of them that passed.
    """

    sql: str
    outputs: tuple[str, ...]
    lineage: tuple[ColumnLineage, ...]
    projections: tuple[Projection, ...]
    is_aggregate: bool
    stages: tuple[Stage, ...] = ()
    price: Price | None = None
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True)
class StatementParameter:
    """A value for ``$name`` of a statement (``?`` are named by their place: ``1``, ``2`` …), with its declared type.

    ``value`` is written as text: dates as ``2024-01-31``, truth as ``true``; at most ``characters_max`` characters.
    """

    name: str
    data_type: DataType
    value: str
    characters_max: int


@dataclass(frozen=True)
class DerivedColumn:
    """A column of a derived relation and the uses that its sources leave it. ``data_type`` is empty for NULL."""

    name: str
    data_type: str
    uses: tuple[Use, ...]


@dataclass(frozen=True)
class DerivedRelation:
    """A query with a name, under one entitlement: later statements read it like a relation (派生资源).

    ``units``: the kinds of privacy unit that its rows carry. Columns, level and units are those of its making; the gate reads
    the query anew at each use.
    """

    id: str
    entitlement: EntitlementId
    name: str
    sql: str
    created_by: PersonId
    created_at: datetime
    columns: tuple[DerivedColumn, ...] = ()
    is_row_level: bool = True
    units: tuple[str, ...] = ()
    dropped_at: datetime | None = None

    @property
    def ref(self) -> Ref:
        """This relation, bound to its query."""
        return Ref("derived", self.id, digest_of((self.entitlement, self.name, self.sql)))


@dataclass(frozen=True)
class EngineQuery:
    """A permitted query as one engine runs it, or the reasons why that engine has no form of it."""

    engine: Engine
    stages: tuple[Stage, ...] = ()
    sql: str = ""
    reasons: tuple[Reason, ...] = ()
