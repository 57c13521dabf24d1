"""The way in: decide the permission first, and only then the case itself."""

from collections.abc import Callable
from typing import TypeVar

from gongshu.access import rules
from gongshu.access.types import Actor, Permission
from gongshu.base.decisions import Decision, Denied

T = TypeVar("T")


def guard(actor: Actor, permission: Permission, case: Callable[[], Decision[T]]) -> Decision[T]:
    """Return the decision of ``case``, or the missing permission without looking at the case."""
    decision = rules.decide_permission(actor, permission)
    return decision if isinstance(decision, Denied) else case()


def require(actor: Actor, permission: Permission) -> None:
    """Raise ``Refused`` when ``actor`` lacks ``permission``. For reads; changes use ``guard`` and audit the refusal."""
    rules.decide_permission(actor, permission).value_or_raise()


def may(actor: Actor, permission: Permission) -> bool:
    """Whether a role of ``actor`` holds ``permission``. For showing and hiding; never the only check."""
    return permission in rules.permissions_of(actor)
