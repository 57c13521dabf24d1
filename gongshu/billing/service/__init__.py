"""What billing offers: statements from sealed usage, packs, disputes and adjusting entries, sums."""

from gongshu.billing.service.disputes import (
    adjust,
    confirm_statement,
    confirmation_of,
    decide_dispute,
    list_adjustments,
    list_disputes,
    raise_dispute,
    withdraw_dispute,
)
from gongshu.billing.service.packs import buy_pack, list_packs
from gongshu.billing.service.statements import (
    create_statement,
    create_statements,
    get_statement,
    income_in,
    list_statements,
    totals,
)

__all__ = [
    "adjust",
    "buy_pack",
    "confirm_statement",
    "confirmation_of",
    "create_statement",
    "create_statements",
    "decide_dispute",
    "get_statement",
    "income_in",
    "list_adjustments",
    "list_disputes",
    "list_packs",
    "list_statements",
    "raise_dispute",
    "totals",
    "withdraw_dispute",
]
