"""The decisions of governed compute. ``decide_query`` is the gate; the specification is controls.md, table by table."""

from gongshu.compute.rules import (
    aggregates,
    arithmetic,
    branches,
    conditions,
    correlated,
    expressions,
    grouping_sets,
    links,
)
from gongshu.compute.rules.jobs import TRANSITIONS
from gongshu.compute.rules.statement import decide_query

CONSTRUCTS = frozenset(expressions.HANDLERS)
"""Every node type of an expression that has a rule; the modules imported above register theirs."""

__all__ = [
    "CONSTRUCTS",
    "TRANSITIONS",
    "aggregates",
    "arithmetic",
    "branches",
    "conditions",
    "correlated",
    "decide_query",
    "grouping_sets",
    "links",
]
