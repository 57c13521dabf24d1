"""Parameters of a statement: ``$name``, or ``?`` by place. Each has a declared type and length, and is a literal.

A value becomes a node of the tree, where a literal would stand, and is never written into the text that is read. So a
statement with parameters is decided as the same statement with literals is: what depends on the size of a constant depends
on the value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType

from gongshu.base.decisions import Decision, Denied, Permitted
from gongshu.catalog.types import DataType
from gongshu.compute.rules.expressions import bind, handles
from gongshu.compute.rules.refusals import (
    PARAMETER_INVALID,
    PARAMETER_REPEATED,
    PARAMETER_UNKNOWN,
    PARAMETER_UNREADABLE,
    PARAMETER_UNUSED,
    STATEMENT_TOO_LARGE,
)
from gongshu.compute.rules.scopes import Gate, Scope
from gongshu.compute.rules.terms import Findings, Term, poison, sql_type
from gongshu.compute.types import StatementParameter

CHARACTERS_MAX = 1_000
PARAMETERS_MAX = 100
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}|[1-9][0-9]?")
WHOLE, DECIMAL = re.compile(r"-?[0-9]{1,18}"), re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,10})?")
DAY, MOMENT = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
WRITTEN = re.compile(r"\s*([^\s:=]+)\s*:\s*([a-z]+)\s*(?:\(\s*([0-9]{1,4})\s*\))?\s*=\s?(.*)", re.DOTALL)
LITERALS_MAX = {
    DataType.INTEGER: 19, DataType.DECIMAL: 30, DataType.BOOLEAN: 5, DataType.DATE: 10, DataType.TIMESTAMP: 19,
    DataType.TEXT: 100,
}  # fmt: skip
"""How long a value may be where no limit is declared, by type."""


def read_parameters(texts: tuple[str, ...]) -> Decision[tuple[StatementParameter, ...]]:
    """Read ``name: type(limit) = value``, one per text; the limit in characters may be left out. Values are not looked at."""
    findings, found = Findings(), list[StatementParameter]()
    for number, text in enumerate(texts, start=1):
        match = WRITTEN.fullmatch(text)
        if match is None or match[2] not in set(DataType):
            findings.add(PARAMETER_UNREADABLE, number=number, types=", ".join(DataType))
            continue
        kind = DataType(match[2])
        limit = int(match[3]) if match[3] else LITERALS_MAX[kind]
        found.append(StatementParameter(match[1], kind, match[4], limit))
    return Denied(tuple(findings.reasons)) if findings.reasons else Permitted(tuple(found))


def numbered(findings: Findings, sql: str) -> str:
    """Return ``sql`` with each ``?`` named by its place: ``$1``, ``$2`` … What cannot be read is refused later."""
    try:
        places = [t for t in sqlglot.tokenize(sql, dialect="duckdb") if t.token_type is TokenType.PLACEHOLDER]
    except SqlglotError:
        return sql
    if len(places) > PARAMETERS_MAX:
        findings.add(STATEMENT_TOO_LARGE, limit=PARAMETERS_MAX)
        return sql
    for number, token in reversed(list(enumerate(places, start=1))):
        sql = f"{sql[: token.start]}${number}{sql[token.end + 1 :]}"
    return sql


def literals(findings: Findings, parameters: tuple[StatementParameter, ...]) -> dict[str, exp.Expression]:
    """Return the literal of each parameter, or note why a value is none of its declared type and length."""
    found: dict[str, exp.Expression] = {}
    if len(parameters) > PARAMETERS_MAX:
        findings.add(STATEMENT_TOO_LARGE, limit=PARAMETERS_MAX)
        return found
    for parameter in parameters:
        made = _literal(parameter)
        limit = min(parameter.characters_max, CHARACTERS_MAX)
        if parameter.name in found:
            findings.add(PARAMETER_REPEATED, name=parameter.name)
        if made is None or not NAME.fullmatch(parameter.name) or len(parameter.value) > limit:
            shown = parameter.name if NAME.fullmatch(parameter.name) else "—"
            findings.add(PARAMETER_INVALID, name=shown, type=parameter.data_type.value, limit=limit)
            made = None
        found[parameter.name] = made if made is not None else exp.Null()
    return found


def check_used(gate: Gate) -> None:
    """Refuse parameters that stand nowhere in the statement: a name that was written wrongly would do nothing."""
    for name in sorted(set(gate.parameters) - gate.parameters_used):
        gate.findings.add(PARAMETER_UNUSED, name=name)


def _literal(parameter: StatementParameter) -> exp.Expression | None:
    return LITERALS[parameter.data_type](parameter.value)


def _number(text: str, shape: re.Pattern[str]) -> exp.Expression | None:
    if not text.isascii() or shape.fullmatch(text) is None:
        return None
    made: exp.Expression = exp.Literal.number(text.removeprefix("-"))
    return exp.Neg(this=made) if text.startswith("-") else made


def _text(text: str) -> exp.Expression | None:
    made: exp.Expression = exp.Literal.string(text)
    return None if "\0" in text else made


def _truth(text: str) -> exp.Expression | None:
    return exp.Boolean(this=text == "true") if text in {"true", "false"} else None


def _time(text: str, shape: re.Pattern[str], kind: str) -> exp.Expression | None:
    if not text.isascii() or shape.fullmatch(text) is None:
        return None
    try:
        written = (
            datetime.fromisoformat(text).isoformat(sep=" ")
            if kind == "TIMESTAMP"
            else date.fromisoformat(text).isoformat()
        )
    except ValueError:
        return None
    return exp.Cast(this=exp.Literal.string(written), to=sql_type(kind))


LITERALS: Mapping[DataType, Callable[[str], exp.Expression | None]] = {
    DataType.INTEGER: lambda text: _number(text, WHOLE),
    DataType.DECIMAL: lambda text: _number(text, DECIMAL),
    DataType.TEXT: _text,
    DataType.BOOLEAN: _truth,
    DataType.DATE: lambda text: _time(text, DAY, "DATE"),
    DataType.TIMESTAMP: lambda text: _time(text, MOMENT, "TIMESTAMP"),
}


@handles(exp.Placeholder)
def _placeholder(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this")
    literal = literal_of(scope.gate, node)
    return bind(scope, literal) if literal is not None else poison()


def literal_of(gate: Gate, node: exp.Expression) -> exp.Expression | None:
    """Return the literal that stands for a parameter, fresh, or refuse a name that was not declared."""
    name = str(node.this or "")
    if name not in gate.parameters:
        known = ", ".join(f"${text}" for text in sorted(gate.parameters)) or "—"
        gate.findings.add(PARAMETER_UNKNOWN, name=name[:63] or "?", known=known)
        return None
    gate.parameters_used.add(name)
    return gate.parameters[name].copy()
