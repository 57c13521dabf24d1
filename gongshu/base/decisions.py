"""A decision is a value: ``Permitted`` with what follows from it, or ``Denied`` with every reason.

A ``Rule`` is written once, beside the function that applies it, with its stable code, what is wrong, the article it
comes from, and the smallest thing that would make it right, in Chinese and English. ``RULES`` holds all of them, so
that the reference page and the completeness tests can list them.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Never, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Kind(StrEnum):
    """The few kinds of refusal. The edge maps them to HTTP statuses and exit codes, nobody else does."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    LIMIT_EXCEEDED = "limit-exceeded"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


@dataclass(frozen=True)
class Text:
    """A sentence in both languages. ``{name}`` is filled from the facts of a reason."""

    zh: str
    en: str

    def fill(self, facts: dict[str, str]) -> "Text":
        """Return the sentence with its placeholders filled. A missing fact raises ``KeyError``."""
        return Text(zh=self.zh.format_map(facts), en=self.en.format_map(facts))


@dataclass(frozen=True)
class Rule:
    """One reason for refusing, as it is known before anything happens."""

    code: str
    kind: Kind
    what: Text
    fix: Text
    law: str = ""

    def because(self, **facts: object) -> "Reason":
        """Return this rule applied to a case. Facts are names and numbers, never data values."""
        return Reason(rule=self, facts=tuple(sorted((name, str(value)) for name, value in facts.items())))


@dataclass(frozen=True)
class Reason:
    """A rule together with the names and numbers of the case at hand."""

    rule: Rule
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def code(self) -> str:
        """The stable kebab-case code of the rule."""
        return self.rule.code

    @property
    def what(self) -> Text:
        """What is wrong in this case."""
        return self.rule.what.fill(dict(self.facts))

    @property
    def fix(self) -> Text:
        """The smallest thing that would make it right."""
        return self.rule.fix.fill(dict(self.facts))


RULES: dict[str, Rule] = {}


def rule(code: str, kind: Kind, *, zh: str, en: str, fix_zh: str, fix_en: str, law: str = "") -> Rule:
    """Register and return a rule. Two rules with one code are a mistake of the programmer: ``ValueError``."""
    made = Rule(code=code, kind=kind, what=Text(zh, en), fix=Text(fix_zh, fix_en), law=law)
    if RULES.setdefault(code, made) != made:
        raise ValueError(f"two rules share the code {code}")
    return made


@dataclass(frozen=True)
class Permitted(Generic[T_co]):
    """Yes, with the value that follows from it and the duties that come with it."""

    value: T_co
    obligations: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """None: a permission has no reasons against it."""
        return ()

    def value_or_raise(self) -> T_co:
        """Return the value."""
        return self.value


@dataclass(frozen=True)
class Denied:
    """No, with every reason found, not only the first."""

    reasons: tuple[Reason, ...]

    def value_or_raise(self) -> Never:
        """Raise ``Refused``. Called after the transaction has ended, so that the refusal stays in the log."""
        raise Refused(self.reasons)


Decision = Permitted[T] | Denied


class Refused(Exception):  # noqa: N818 - a refusal is not an error of the program
    """A refusal on its way to the edge, where it becomes a problem response or an exit code."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        """Keep the reasons; the message holds codes only."""
        super().__init__(", ".join(reason.code for reason in reasons))
        self.reasons = reasons


def decide(value: T, *reasons: Reason | None) -> Decision[T]:
    """Return ``Permitted(value)`` if no reason is given (``None`` counts as none), else ``Denied`` with all of them."""
    found = tuple(reason for reason in reasons if reason is not None)
    return Denied(found) if found else Permitted(value)


NOT_FOUND = rule(
    "not-found", Kind.NOT_FOUND, zh="没有找到{kind} {id}。", en="There is no {kind} {id}.",
    fix_zh="请核对编号；也可能是您无权知道它是否存在。", fix_en="Check the id; or you may not be allowed to know of it.",
)  # fmt: skip
CHANGED_MEANWHILE = rule(
    "changed-meanwhile", Kind.CONFLICT, zh="{kind} {id} 在您操作时已被他人更改。",
    en="{kind} {id} was changed by somebody else in the meantime.",
    fix_zh="请刷新后重试。", fix_en="Reload it and try again.",
)  # fmt: skip
WRONG_STATUS = rule(
    "wrong-status", Kind.CONFLICT, zh="{kind}当前状态为“{status}”，不能执行“{action}”。",
    en="The {kind} is {status}; {action} is not possible now.",
    fix_zh="可执行的操作：{possible}。", fix_en="Possible now: {possible}.",
)  # fmt: skip
INTERNAL = rule(
    "internal", Kind.INTERNAL, zh="系统内部错误，操作未生效。", en="Something went wrong inside; nothing was changed.",
    fix_zh="请将事件编号 {incident} 告知平台管理员。", fix_en="Give the incident number {incident} to the platform administrator.",
)  # fmt: skip


def decide_step(kind: str, transitions: dict[tuple[T, str], tuple[T, str]], status: T, action: str) -> Decision[T]:
    """Return the status that ``action`` leads to from ``status``, or why it leads nowhere.

    ``transitions`` is a status table as data: ``{(status, action): (next status, who)}``.
    """
    step = transitions.get((status, action))
    if step is not None:
        return Permitted(step[0])
    possible = ", ".join(sorted(name for (at, name) in transitions if at == status)) or "—"
    return Denied((WRONG_STATUS.because(kind=kind, status=status, action=action, possible=possible),))
