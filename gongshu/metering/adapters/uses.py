"""How often a contract was answered, at this gateway and at the others."""

from gongshu.base.ids import ContractId
from gongshu.metering.types import ContractUse, HandedUse

DAYS_KEPT_MAX = 62
DAYS_HANDED_MAX = 7


class Use:
    """How often a contract was answered. ``others`` is what of that other gateways counted."""

    __slots__ = ("by_day", "others", "total")

    def __init__(self) -> None:
        self.total = 0
        self.by_day: dict[str, int] = {}
        self.others = ContractUse(0, {})

    def own(self) -> ContractUse:
        """Return what this gateway counted."""
        others = self.others.by_day
        by_day = {day: number - others.get(day, 0) for day, number in self.by_day.items()}
        return ContractUse(self.total - self.others.total, {day: number for day, number in by_day.items() if number})

    def take(self, others: ContractUse) -> None:
        """Count what other gateways counted, in place of what they told before."""
        own = self.own()
        self.others, self.total = others, own.total + others.total
        self.by_day = {day: own.by_day.get(day, 0) + others.by_day.get(day, 0) for day in {*own.by_day, *others.by_day}}

    def add(self, day: str, number: int) -> None:
        self.total += number
        self.by_day[day] = self.by_day.get(day, 0) + number
        if len(self.by_day) > DAYS_KEPT_MAX:  # never the one just counted: the calendar clock may have jumped back
            del self.by_day[min(other for other in self.by_day if other != day)]


def handed_use(contract: str, use: ContractUse) -> HandedUse:
    """Return a count as it is handed over: only the last days can still matter."""
    days = sorted(use.by_day)[-DAYS_HANDED_MAX:]
    return HandedUse(ContractId(contract), use.total, {day: use.by_day[day] for day in days})
