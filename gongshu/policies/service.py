"""The way into the room: everything here is pure, so the rules are the service."""

from gongshu.policies.rules.masks import mask_sql
from gongshu.policies.rules.usage import decide_usage
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
    "Wider",
    "closed",
    "combine",
    "decide_usage",
    "default_policy",
    "default_uses",
    "excess",
    "is_no_wider",
    "mask_sql",
    "narrow",
    "strictest",
    "wider_than_default",
]
