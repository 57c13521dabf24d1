"""Reading forms. What cannot be read is told by field, all at once, in the words of a refusal."""

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from gongshu.base.decisions import Kind, Reason, Refused, rule
from gongshu.policies.types import ColumnPolicy, Hours, ResourcePolicy, Use

T = TypeVar("T")

TEXT_CHARS_MAX = 20_000
FIELDS_MAX = 5_000
FILES_MAX = 50

FIELD_EMPTY = rule(
    "form-field-empty", Kind.INVALID, zh="“{field}”没有填写。", en="The field “{field}” is empty.",
    fix_zh="请填写后重新提交。", fix_en="Fill it in and submit again.",
)  # fmt: skip
FIELD_UNREADABLE = rule(
    "form-field-unreadable", Kind.INVALID, zh="“{field}”的内容无法识别。", en="The field “{field}” cannot be read.",
    fix_zh="应为：{expected}。", fix_en="Expected: {expected}.",
)  # fmt: skip
FIELD_TOO_LONG = rule(
    "form-field-too-long", Kind.LIMIT_EXCEEDED, zh="“{field}”超过 {chars_max} 个字符。",
    en="The field “{field}” is longer than {chars_max} characters.",
    fix_zh="请缩短后重新提交。", fix_en="Shorten it and submit again.",
)  # fmt: skip


class Form:
    """The fields of one submitted form. Ask for the fields, then ``check`` before using any of them."""

    def __init__(self, data: FormData) -> None:
        """Wrap the parsed fields."""
        self._data = data
        self._reasons: list[Reason] = []

    def text(self, name: str, *, is_required: bool = True) -> str:
        """Return the trimmed text of a field."""
        value = self._data.get(name, "")
        text = value.strip() if isinstance(value, str) else ""
        if len(text) > TEXT_CHARS_MAX:
            self._reasons.append(FIELD_TOO_LONG.because(field=name, chars_max=TEXT_CHARS_MAX))
        if is_required and not text:
            self._reasons.append(FIELD_EMPTY.because(field=name))
        return text

    def many(self, name: str) -> tuple[str, ...]:
        """Return every value of a field that may be there several times, such as a row of checkboxes."""
        return tuple(value for value in self._data.getlist(name) if isinstance(value, str) and value)

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the lines of a field, trimmed; empty ones are left out."""
        return tuple(line.strip() for line in self.text(name, is_required=False).splitlines() if line.strip())

    def is_set(self, name: str) -> bool:
        """Whether a checkbox is ticked."""
        return bool(self._data.get(name))

    def whole(self, name: str) -> int:
        """Return a whole number; 0 when it cannot be read (``check`` then refuses)."""
        return self._read(name, "0, 1, 2 …", int, 0)

    def yuan_minor(self, name: str) -> int:
        """Return an amount given in yuan as fen."""
        return self._read(name, "12.34", _fen, 0)

    def decimal(self, name: str) -> str:
        """Return a plain decimal number as it was written."""
        return self._read(name, "0.50", _plain_decimal, "0")

    def day(self, name: str) -> date:
        """Return a day; the first of all days when it cannot be read (``check`` then refuses)."""
        return self._read(name, "2026-03-16", date.fromisoformat, date.min)

    def month(self, name: str) -> date:
        """Return the first day of a month; the first of all days when it cannot be read (``check`` then refuses)."""
        return self._read(name, "2026-03", lambda text: date.fromisoformat(f"{text}-01"), date.min)

    def choice(self, name: str, of: Callable[[str], T]) -> T | None:
        """Return the member of an enumeration that was chosen, or ``None`` for none; the room decides if it is needed."""
        text = self.text(name, is_required=False)
        if not text:
            return None
        try:
            return of(text)
        except ValueError:
            self._reasons.append(FIELD_UNREADABLE.because(field=name, expected="—"))
            return None

    def names(self, prefix: str) -> tuple[str, ...]:
        """Return what follows ``prefix`` in the names of the fields, in order, once each."""
        return tuple(dict.fromkeys(key.removeprefix(prefix) for key in self._data if key.startswith(prefix)))

    def files(self, name: str) -> tuple[UploadFile, ...]:
        """Return the uploaded files of a field; at least one is needed."""
        found = tuple(value for value in self._data.getlist(name) if isinstance(value, UploadFile) and value.filename)
        if not found:
            self._reasons.append(FIELD_EMPTY.because(field=name))
        return found

    def refuse(self, name: str, expected: str) -> None:
        """Say that a field cannot be read; ``check`` then refuses."""
        self._reasons.append(FIELD_UNREADABLE.because(field=name, expected=expected))

    def check(self) -> None:
        """Refuse with everything that could not be read."""
        if self._reasons:
            raise Refused(tuple(self._reasons))

    def _read(self, name: str, expected: str, parse: Callable[[str], T], otherwise: T) -> T:
        text = self.text(name)
        if not text:
            return otherwise
        try:
            return parse(text)
        except (ValueError, InvalidOperation):
            self._reasons.append(FIELD_UNREADABLE.because(field=name, expected=expected))
            return otherwise


def _fen(text: str) -> int:
    amount = Decimal(text.replace(",", "")) * 100
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise ValueError("not a whole number of fen")
    return int(amount)


def _plain_decimal(text: str) -> str:
    if not Decimal(text).is_finite():
        raise ValueError("not a finite number")
    return text


async def read_form(request: Request) -> Form:
    """Return the form of a request; a dependency, so that handlers themselves may be plain functions in a thread."""
    return Form(await request.form(max_files=FILES_MAX, max_fields=FIELDS_MAX))


Filled = Annotated[Form, Depends(read_form)]
"""The form of the request, as an argument of a handler."""


HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*[-–]\s*([01]\d|2[0-3]|24):([0-5]\d)")


def read_hours(form: Form, name: str) -> tuple[Hours, ...]:
    """Return the parts of a day in a field, one per line: ``08:00–18:00``."""
    found = []
    for line in form.lines(name):
        matched = HOURS.fullmatch(line)
        if matched is None:
            form.refuse(name, "08:00–18:00")
        else:
            start_hour, start_minute, end_hour, end_minute = map(int, matched.groups())
            found.append(Hours(start_hour * 60 + start_minute, end_hour * 60 + end_minute))
    return tuple(found)


def read_policy_uses(form: Form, prefix: str, offered: ResourcePolicy) -> ResourcePolicy:
    """Return ``offered`` with the uses that were ticked: one field per column, named ``prefix`` and the column.

    Whatever else was sent is passed on as asked; the room refuses what is wider than it may be.
    """
    columns = []
    for name in form.names(prefix):
        uses = frozenset(Use(value) for value in form.many(f"{prefix}{name}") if value in set(Use))
        if uses:
            columns.append(ColumnPolicy(name, uses, offered.of(name).mask))
    return ResourcePolicy(tuple(columns), offered.unit, offered.row_filter)
