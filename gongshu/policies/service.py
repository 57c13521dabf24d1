"""The way into the room: everything here is pure, so the rules are the service."""

from gongshu.policies.rules import (
    ALL_USES,
    Wider,
    closed,
    combine,
    decide_usage,
    default_policy,
    default_uses,
    excess,
    is_no_wider,
    mask_sql,
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
