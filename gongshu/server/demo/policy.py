"""What the supplier of the demo says of its columns: which uses each one allows. The same for any registration file."""

from gongshu.catalog.types import Column
from gongshu.policies.types import ColumnPolicy, ResourcePolicy, Use

UNIT = "统一社会信用代码"
NAME = "企业名称"
REPRESENTATIVE = "法人代表"

_COUNTED = frozenset({Use.GROUP, Use.FILTER, Use.TOTAL})

USES: dict[str, frozenset[Use]] = {
    UNIT: frozenset({Use.JOIN, Use.COMPARE}),
    NAME: frozenset({Use.JOIN, Use.COMPARE}),
    REPRESENTATIVE: frozenset({Use.COMPARE}),
    "注册日期": _COUNTED | {Use.RANK},  # wider than the default of a quasi-identifier: confirmed by name
    "企业类型": _COUNTED,
    "所在省份": _COUNTED,
    "地区": _COUNTED,
    "注册资金_数额": frozenset({Use.TOTAL, Use.COMPARE}),
    "注册资金_币种": _COUNTED,
}


def supplier_policy(columns: tuple[Column, ...]) -> ResourcePolicy:
    """Return the supplier's policy for the columns of a version; a column that is not named allows nothing."""
    return ResourcePolicy(
        columns=tuple(ColumnPolicy(c.name, USES[c.name]) for c in columns if c.name in USES), unit=(UNIT,)
    )


def scope_policy(without: frozenset[str] = frozenset()) -> ResourcePolicy:
    """Return the policy of a grant's scope: the supplier's, without the columns named."""
    return ResourcePolicy(
        columns=tuple(ColumnPolicy(name, uses) for name, uses in USES.items() if name not in without), unit=(UNIT,)
    )
