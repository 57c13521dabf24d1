"""CASE, IF and COALESCE: one value out of several, and the conditions that choose it."""

from dataclasses import replace

from sqlglot import exp

from gongshu.compute.rules.expressions import bind, handles, same_type, value, wider
from gongshu.compute.rules.intervals import spanned
from gongshu.compute.rules.refusals import CONSTRUCT_REFUSED
from gongshu.compute.rules.scopes import Scope
from gongshu.compute.rules.terms import (
    CELLS_MAX,
    Form,
    Shape,
    Term,
    alike,
    as_condition,
    condition,
    conjunction,
    derive,
    distinct,
    hidden_of,
    need_filter,
    negated,
    otherwise,
    paren,
    parts_of,
    union,
)


@handles(exp.Case)
def _case(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "ifs", "default")
    subject = node.args.get("this")
    whens: list[tuple[Term, Term]] = []
    for branch in node.args["ifs"]:
        scope.gate.only(branch, "this", "true")
        test = exp.EQ(this=subject.copy(), expression=branch.this.copy()) if subject is not None else branch.this
        whens.append((as_condition(scope.gate.findings, bind(scope, test), "CASE"), value(scope, branch.args["true"])))
    default = node.args.get("default")
    return cases(scope, whens, value(scope, default) if default is not None else bind(scope, exp.Null()))


@handles(exp.If)
def _if(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "true", "false")
    test = as_condition(scope.gate.findings, bind(scope, node.this), "IF")
    otherwise = node.args.get("false")
    default = value(scope, otherwise) if otherwise is not None else bind(scope, exp.Null())
    return cases(scope, [(test, value(scope, node.args["true"]))], default)


def _is_nothing(term: Term) -> bool:
    return term.is_constant and (term.data_type is None or term.number == 0)


def cases(scope: Scope, whens: list[tuple[Term, Term]], default: Term) -> Term:
    """Return CASE: uses of the branches; conditions are indirect lineage; each branch that counts is a cell."""
    branches = list(alike([*(then for _, then in whens), default]))
    same_type(scope, "CASE", branches)
    whens, default = [(test, branches[i]) for i, (test, _) in enumerate(whens)], branches[-1]
    data_type = next((b.data_type for b in branches if b.data_type is not None), None)
    data_type = wider(branches, data_type)
    cells: list[Term] = []
    addends: list[Term] = []
    steps: list[Term] = []
    blanks: list[Term] = []
    for index, branch in enumerate(branches):
        before, here = [t for t, _ in whens[:index]], [whens[index][0]] if index < len(whens) else []
        path = _path(before, here)
        if not _is_nothing(branch):
            cells += [path, *(_both(path, cell) for cell in branch.cells)]
        blanks += [path] if branch.is_constant and branch.number == 0 else [_both(path, b) for b in branch.blanks]
        addends += [_within(path, addend) for addend in parts_of(branch)]
        steps += [_within(path, step) for step in branch.steps]
    if max(len(cells), len(addends), len(steps)) > CELLS_MAX:
        scope.gate.findings.add(CONSTRUCT_REFUSED, construct=f"CASE > {CELLS_MAX}")

    def emit() -> exp.Expression:
        ifs = [exp.If(this=test.emit(Form.VALUE), true=then.emit(Form.VALUE)) for test, then in whens]
        return paren(exp.Case(ifs=ifs, default=default.emit(Form.VALUE)))

    tests = [test for test, _ in whens]
    made = derive("CASE", tuple(branches), data_type=data_type, emit=emit, shape=Shape.AFFINE, keeps_uses=True)
    return replace(
        made,
        mark=("CASE", *((test.mark, then.mark) for test, then in whens), default.mark),
        hidden=made.hidden | hidden_of(tests),
        indirect=made.indirect | union(t.direct | t.indirect for t in tests),
        loose=made.loose | union(t.loose for t in tests),
        is_constant=made.is_constant and all(t.is_constant for t in tests),
        cells=distinct(cells), addends=distinct(addends), steps=distinct(steps), blanks=distinct(blanks),
        interval=spanned(branches),
    )  # fmt: skip


def _path(before: list[Term], here: list[Term]) -> Term:
    if not before and len(here) == 1:
        return here[0]  # the same mark as where the condition stands by itself
    if len(before) == 1 and not here:
        return otherwise(before[0])
    emit = lambda: conjunction((*(negated(t) for t in before), *(t.emit(Form.VALUE) for t in here)))  # noqa: E731
    return condition("path", (*before, *here), emit, extra=(len(before),))


def _both(first: Term, second: Term) -> Term:
    emit = lambda: conjunction((first.emit(Form.VALUE), second.emit(Form.VALUE)))  # noqa: E731
    return condition("AND", (first, second), emit)


def _within(path: Term, part: Term) -> Term:
    emit = lambda _: exp.Case(ifs=[exp.If(this=path.emit(Form.VALUE), true=part.emit(Form.VALUE))])  # noqa: E731
    return replace(part, mark=("within", path.mark, part.mark), emit=emit)


@handles(exp.Coalesce)
def _coalesce(scope: Scope, node: exp.Expression) -> Term:
    scope.gate.only(node, "this", "expressions", "is_nvl", "is_null")
    terms = alike([value(scope, part) for part in (node.this, *node.expressions)])
    same_type(scope, "COALESCE", list(terms))
    first, others = terms[0], terms[1:]
    data_type = wider(terms, next((t.data_type for t in terms if t.data_type is not None), None))
    emit = lambda: exp.Coalesce(this=first.emit(Form.VALUE), expressions=[t.emit(Form.VALUE) for t in others])  # noqa: E731
    if all(t.is_constant for t in others):
        made = derive("COALESCE", terms, data_type=data_type, emit=emit, shape=Shape.AFFINE, keeps_uses=True)
        # What the constant fills up is no part of the column: the rows that have a value are a cell.
        test = lambda: exp.Not(this=exp.Is(this=first.emit(Form.VALUE), expression=exp.Null()))  # noqa: E731
        present = () if first.is_constant else (condition("IS NOT NULL", (first,), test),)
        offset = made.offset + sum(abs(t.number or 0) for t in others)
        filled = tuple(otherwise(test) for test in present)
        return replace(
            made, offset=offset, cells=distinct((*made.cells, *present)), blanks=distinct((*made.blanks, *filled)),
            interval=spanned(terms),
        )  # fmt: skip
    # Which of several columns is shown depends on what is NULL: a condition on all but the last.
    need_filter(scope.gate.findings, "COALESCE", *terms[:-1])
    made = derive("COALESCE", terms, data_type=data_type, emit=emit, keeps_uses=True)
    return replace(made, hidden=made.hidden | hidden_of(terms[:-1]))
