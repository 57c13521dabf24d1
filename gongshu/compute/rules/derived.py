"""Derived relations: an intermediate result that has a name, and allows what its sources leave of it.

What is stored is the query, not its rows: wherever the name stands, the gate reads the query anew over the relations as
they are governed at that moment. So a derived relation can never allow more than its sources, its units travel on, and
what a provider takes back later is gone there too.
"""

import re
from dataclasses import replace

from sqlglot import exp

from gongshu.base.decisions import Decision, Denied, Permitted, decide
from gongshu.compute.rules.parsing import parse_query, with_derived
from gongshu.compute.rules.refusals import DERIVED_NAME_INVALID, DERIVED_TOO_MANY, DERIVED_USED, NAME_REPEATED
from gongshu.compute.rules.scopes import Gate, TooLargeError, fold
from gongshu.compute.rules.selects import read_query
from gongshu.compute.rules.terms import Findings, let_go
from gongshu.compute.types import DerivedColumn, DerivedRelation, Relation
from gongshu.policies.types import Thresholds

DERIVED_MAX = 100
NAME_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,62}")


def decide_derived(
    relations: tuple[Relation, ...], limits: Thresholds, existing: tuple[DerivedRelation, ...], wanted: DerivedRelation
) -> Decision[DerivedRelation]:
    """Permit a derived relation and return it with its columns, the uses left of each, and its units.

    Nothing is shown by it, so no output needs ``reveal``; every other rule of the gate holds.
    """
    findings = Findings()
    taken = {fold(r.name) for r in relations} | {fold(d.name) for d in existing}
    named = decide(
        wanted,
        None if NAME_PATTERN.fullmatch(wanted.name) else DERIVED_NAME_INVALID.because(name=wanted.name[:63]),
        NAME_REPEATED.because(name=wanted.name) if fold(wanted.name) in taken else None,
        DERIVED_TOO_MANY.because(limit=DERIVED_MAX) if len(existing) >= DERIVED_MAX else None,
    )
    tree = parse_query(findings, wanted.sql)
    made = wanted
    if tree is not None:
        gate = Gate({fold(r.name): r for r in relations}, limits, findings)
        try:
            source = read_query(gate, {}, with_derived(findings, tree, existing))
            columns = tuple(
                DerivedColumn(name, term.data_type.value if term.data_type else "", tuple(sorted(term.uses)))
                for name, term in source.columns
            )
            made = replace(wanted, columns=columns, is_row_level=source.is_row_level, units=source.kinds)
        except (TooLargeError, RecursionError):
            pass  # the finding says so
        finally:
            let_go(tree)
            gate.drafts.clear()
    if isinstance(named, Denied) or findings.reasons:
        return Denied((*named.reasons, *findings.reasons))
    return Permitted(made)


def decide_drop(existing: tuple[DerivedRelation, ...], name: str) -> Decision[str]:
    """Permit to take a derived relation away unless another one is derived from it."""
    users = [d.name for d in existing if d.name != name and name in _names_in(d.sql)]
    return decide(name, DERIVED_USED.because(name=name, users=", ".join(users)) if users else None)


def _names_in(sql: str) -> set[str]:
    tree = parse_query(Findings(), sql)
    return set() if tree is None else {fold(table.name) for table in tree.find_all(exp.Table)}
