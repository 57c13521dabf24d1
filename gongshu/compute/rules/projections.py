"""What the trusted side copies for the engine: written select list and condition of each governed projection."""

from sqlglot import exp

from gongshu.base.decisions import Decision, Denied, Kind, Permitted, rule
from gongshu.compute.rules.expressions import bind
from gongshu.compute.rules.guards import NO_UNIT
from gongshu.compute.rules.parsing import parse_condition
from gongshu.compute.rules.scopes import KEY_PREFIX, ORDER_COLUMN, RAW_PREFIX, UNIT_COLUMN, Gate, Governed, Scope
from gongshu.compute.rules.terms import Findings, Form, as_condition, column, quoted
from gongshu.compute.types import Projection, Relation
from gongshu.policies.service import ALL_USES, is_worn, keyed_hash_sql, mask_sql
from gongshu.policies.types import ColumnPolicy, Mask, ResourcePolicy, Thresholds

UNIT_DIGITS = 16
PSEUDONYM_DIGITS = 32
UNIT_SEPARATOR = "\x1f"
WORN_PREFIX = "worn:"
"""Names of columns that wear a mask with a key: they are laid beside the relation before it is projected."""

ROW_FILTER_INVALID = rule(
    "row-filter-invalid", Kind.CONFLICT, zh="资源 {relation} 的行过滤条件无法执行。",
    en="The row filter of the relation {relation} cannot be applied.",
    fix_zh="请供数单位或实施机构改正行过滤条件。", fix_en="Ask the supplier or the agency to correct the row filter.",
    law="docs/explanation/column-uses.md",
)  # fmt: skip

PLAN_OPERATORS = (
    "AGGREGATE", "ANY_JOIN", "COMPARISON_JOIN", "CREATE_TABLE", "CROSS_PRODUCT", "CTE", "CTE_REF", "CTE_SCAN",
    "DELIM_GET", "DELIM_JOIN", "DEPENDENT_JOIN", "DISTINCT", "DUMMY_SCAN", "EMPTY_RESULT", "EXCEPT", "FILTER", "INTERSECT", "LIMIT",
    "MATERIALIZED_CTE", "ORDER_BY", "PROJECTION", "SEQ_SCAN", "TOP_N", "UNION", "WINDOW",
)  # fmt: skip
"""Operators of the engine's bound plan that a governed query can need. Any other refuses the job."""


def select_list(
    projection: Projection,
    relation: Relation,
    alias: str,
    *,
    key: bytes,
    mask_key: bytes,
    unit_key: bytes | None = None,
) -> str:
    """Return the select list of a projection: masked values, keyed hashes, raw values for ``compare``, the unit's hash.

    ``key`` belongs to one job, so that hashes of two jobs cannot be laid beside each other. ``mask_key`` is the platform's:
    a bound keeps the same rows in every job. ``unit_key`` is the ledger's:
    units are hashed alike in all jobs of a platform, so that released groups can be laid beside earlier ones.
    """
    items = [f"{_shown(relation, name, alias)} AS {_name(name)}" for name in projection.columns]
    items += [
        f"unhex({keyed_hash_sql(_column(alias, name), key)}) AS {_name(KEY_PREFIX + name)}" for name in projection.keys
    ]
    items += [f"{_column(alias, name)} AS {_name(RAW_PREFIX + name)}" for name in projection.raws]
    items += [
        f"left({keyed_hash_sql(_column(alias, name), key)}, {PSEUDONYM_DIGITS}) AS {_name(name)}"
        for name in projection.pseudonyms
    ]
    if projection.has_unit:
        texts = [f"CAST({_column(alias, name)} AS VARCHAR)" for name in relation.policy.unit]
        separator = f" || chr({ord(UNIT_SEPARATOR)}) || "
        digest = keyed_hash_sql(f"({separator.join(texts)})", unit_key or key)
        unit = f"CAST('0x' || left({digest}, {UNIT_DIGITS}) AS UBIGINT)"
        items.append(f"coalesce({unit}, {NO_UNIT}) AS {_name(UNIT_COLUMN)}")
    if projection.has_order:
        items.append(f"{_order(alias, mask_key)} AS {_name(ORDER_COLUMN)}")
    return ", ".join(items) or "1 AS one"


def _order(alias: str, mask_key: bytes) -> str:
    """Write the keyed hash of a row's place in its version: the same in every job, so that bounds keep the same rows."""
    place = f"parse_filename({_column(alias, 'filename')}) || ':' || {_column(alias, 'file_row_number')}"
    return f"CAST('0x' || left({keyed_hash_sql(f'({place})', mask_key)}, {UNIT_DIGITS}) AS UBIGINT)"


def _name(text: str) -> str:
    return quoted(text).sql(dialect="duckdb")


def _column(alias: str, name: str) -> str:
    return column(alias, name).sql(dialect="duckdb")


def _shown(relation: Relation, name: str, alias: str) -> str:
    mask = relation.policy.of(name).mask
    if mask is None:
        return _column(alias, name)
    return _column(alias, WORN_PREFIX + name) if is_worn(mask) else mask_sql(mask, _column(alias, name))


def worn_columns(projection: Projection, relation: Relation, alias: str) -> tuple[tuple[str, str, Mask], ...]:
    """Return the columns of a projection whose masks need a key: name (with ``worn:``), the column as text, the mask."""
    masks = {name: relation.policy.of(name).mask for name in projection.columns}
    return tuple(
        (WORN_PREFIX + name, f"CAST({_column(alias, name)} AS VARCHAR)", mask)
        for name, mask in masks.items()
        if mask is not None and is_worn(mask)
    )


def row_condition(relation: Relation, alias: str) -> Decision[str]:
    """Return the written row filter of ``relation``, read by the gate itself over unmasked columns with all uses."""
    if not relation.policy.row_filter:
        return Permitted("")
    findings = Findings()
    tree = parse_condition(findings, relation.policy.row_filter)
    columns = tuple(ColumnPolicy(c.name, ALL_USES) for c in relation.columns)
    open_relation = Relation(relation.name, relation.resource, relation.columns, ResourcePolicy(columns, ()))
    gate = Gate({}, Thresholds(0, 0, 1, 100), findings)
    scope = Scope(gate, {}, place="ROW FILTER")
    instance = scope.add(Governed(gate, open_relation), relation.name)
    instance.alias = alias
    if tree is not None:
        written: exp.Expression = as_condition(findings, bind(scope, tree), "ROW FILTER").emit(Form.VALUE)
        if not findings.reasons:
            return Permitted(written.sql(dialect="duckdb"))
    return Denied((ROW_FILTER_INVALID.because(relation=relation.name), *findings.reasons))
