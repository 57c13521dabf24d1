"""Decisions of 27号: plan, agreement, grant, end. Pure.

A grant follows from an agreement that both sides signed under a plan that somebody else approved; it is never wider
than what the provider of each column allows, and its term is limited.
"""

from gongshu.grants.rules.agreements import AGREEMENT_TRANSITIONS
from gongshu.grants.rules.grants import GRANT_TRANSITIONS
from gongshu.grants.rules.plans import PLAN_TRANSITIONS

__all__ = ["AGREEMENT_TRANSITIONS", "GRANT_TRANSITIONS", "PLAN_TRANSITIONS"]
