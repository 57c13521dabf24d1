"""The way into the room: everything here is pure, so the rules are the service."""

from gongshu.policies.rules.masks import MASKS, is_worn, keyed_hash_sql, mask_fault, mask_sql, parameter_of, wear
from gongshu.policies.rules.protection import NoiseLimits, decide_protection
from gongshu.policies.rules.texts import Texts
from gongshu.policies.rules.usage import (
    count_reasons,
    decide_usage,
    field_reason,
    hours_text,
    usage_policy_fault,
)
from gongshu.policies.rules.uses import (
    ALL_USES,
    Wider,
    closed,
    combine,
    default_policy,
    default_uses,
    excess,
    is_no_wider,
    narrow,
    strictest,
    wider_than_default,
)

__all__ = [
    "ALL_USES",
    "MASKS",
    "NoiseLimits",
    "Texts",
    "Wider",
    "closed",
    "combine",
    "count_reasons",
    "decide_protection",
    "decide_usage",
    "default_policy",
    "default_uses",
    "excess",
    "field_reason",
    "hours_text",
    "is_no_wider",
    "is_worn",
    "keyed_hash_sql",
    "mask_fault",
    "mask_sql",
    "narrow",
    "parameter_of",
    "strictest",
    "usage_policy_fault",
    "wear",
    "wider_than_default",
]
