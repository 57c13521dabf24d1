"""What the steps of the story share: the site, the people, what was made so far, and the refusals that were tried."""

import calendar
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, cast

from gongshu.access.types import Actor
from gongshu.base.days import local_day, start_of_day
from gongshu.base.decisions import Refused
from gongshu.base.site import Site
from gongshu.server.wiring import DemoClock


class StoryFailedError(Exception):
    """The story did not go as told: something was permitted that must be refused, or a sum does not agree."""


@dataclass
class Stage:
    """The state of a performance. ``result`` is what ``gongshu demo --once --json`` prints."""

    site: Site
    people: dict[str, Actor]
    say: Callable[[str], None]
    made: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def tell(self, number: int, name: str, line: str, **facts: Any) -> None:
        """Record one step and say what happened."""
        self.steps.setdefault(f"{number:02d}_{name}", {}).update(facts)
        self.say(f"{number:>2}. {line}")

    def must_refuse(self, step: int, attempt: str, code: str, action: Callable[[], Any]) -> None:
        """Try ``action``, which must be refused with ``code``; keep code, article and facts for the result."""
        try:
            action()
        except Refused as refused:
            codes = [reason.code for reason in refused.reasons]
            if code not in codes:
                raise StoryFailedError(f"{attempt}: refused with {codes}, not with {code}") from refused
            first = next(reason for reason in refused.reasons if reason.code == code)
            self.refusals.append(
                {"step": step, "attempt": attempt, "codes": codes, "law": first.rule.law, "what": first.what.en}
            )
            return
        raise StoryFailedError(f"{attempt} was permitted; it must be refused with {code}")

    def check(self, what: str, *, holds: bool) -> None:
        """Stop the story when something that must hold does not."""
        if not holds:
            raise StoryFailedError(what)

    def today(self) -> date:
        """Return the day in China on the demo clock."""
        return local_day(self.site.now())

    def move_to(self, day: date) -> None:
        """Move the demo clock forward to nine in the morning of ``day``."""
        target = start_of_day(day) + timedelta(hours=9)
        now = self.site.now()
        if target > now:
            cast(DemoClock, self.site.clock).move(target - now)

    def move_past(self, day: date) -> None:
        """Move the demo clock to the first working day after ``day``."""
        self.move_to(self.site.calendar.due(day, 1).day)

    def next_month(self) -> date:
        """Return the first day of next month."""
        day = self.today()
        return day.replace(day=calendar.monthrange(day.year, day.month)[1]) + timedelta(days=1)
