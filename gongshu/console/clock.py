"""The demo clock, moved by the platform administrator. Forward only, in whole days, recorded like every decision."""

from datetime import datetime, timedelta
from typing import Protocol, cast

from gongshu.access import service as access
from gongshu.access.types import Actor, Permission
from gongshu.audit import service as audit
from gongshu.base.decisions import Decision, Kind, decide, rule
from gongshu.base.digest import Ref
from gongshu.base.site import Site
from gongshu.delivery import service as delivery

DAYS_MAX = 400

CLOCK_IS_REAL = rule(
    "clock-is-real", Kind.FORBIDDEN, zh="这不是演示环境，时钟不能拨动。", en="This is no demo; its clock cannot be moved.",
    fix_zh="请等待真实的期限。", fix_en="Wait for the real deadline.",
)  # fmt: skip
DAYS_OUT_OF_RANGE = rule(
    "clock-days-out-of-range", Kind.INVALID, zh="天数 {days} 不在 1 到 {days_max} 之间。",
    en="{days} days is not between 1 and {days_max}.",
    fix_zh="请填写 1 到 {days_max} 之间的整数。", fix_en="Give a whole number from 1 to {days_max}.",
)  # fmt: skip


class MovableClock(Protocol):
    """A clock that a demo may move."""

    def move(self, by: timedelta) -> datetime:
        """Move forward and return the new time."""
        ...


def decide_move(days: int, *, is_demo: bool) -> Decision[timedelta]:
    """A demo's clock moves forward by 1 to ``DAYS_MAX`` days; a real one never."""
    return decide(
        timedelta(days=days),
        None if is_demo else CLOCK_IS_REAL.because(),
        None if 0 < days <= DAYS_MAX else DAYS_OUT_OF_RANGE.because(days=days, days_max=DAYS_MAX),
    )


def move_clock(site: Site, actor: Actor, days: int) -> datetime:
    """Move the demo clock forward by ``days`` and return the new time; gateways get a snapshot of the new day."""
    decision = access.guard(actor, Permission.ADMINISTER_CLOCK_MOVE, lambda: decide_move(days, is_demo=site.is_demo))
    with site.db.transaction() as tx:
        audit.record(
            tx, site, actor=actor, action="clock.move", subject=Ref("clock", "demo", ""), decision=decision,
            facts={"days": str(days)},
        )  # fmt: skip
    now = cast(MovableClock, site.clock).move(decision.value_or_raise())
    # Otherwise the gateways would find their snapshot grown old and stop until the worker's next tick.
    delivery.publish_snapshot(site)
    return now
