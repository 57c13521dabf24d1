"""Lifelines are walks over the log, on both stores."""

import pytest
from sqlalchemy import event

from gongshu.access.types import SYSTEM, Actor, Role
from gongshu.audit import service as audit
from gongshu.audit.rules import traces
from gongshu.base.decisions import NOT_FOUND, Denied, Permitted, Refused
from gongshu.base.digest import Ref
from gongshu.base.paging import PageRequest

AUDITOR = Actor("person-a", "party-a", frozenset({Role.AUDITOR}))


def ref(name: str, digest: str = "d") -> Ref:
    kind, _, _ = name.partition("-")
    return Ref(kind, name, digest)


@pytest.fixture
def story(make_log, database_url):
    """Give a log in which a resource becomes a grant, a job and a product, beside a refusal and a foreign resource."""
    log = make_log(database_url)
    for subject, origins in (
        ("resource-1", ()), ("resource-2", ()), ("grant-1", ("resource-1", "resource-2")),
        ("job-1", ("grant-1",)), ("product-1", ("job-1", "lost-1")), ("product-1", ("product-1",)),
        ("product-2", ("job-1",)), ("grant-9", ("resource-9",)),
    ):  # fmt: skip
        with log.site.db.transaction() as tx:
            audit.record(
                tx, log.site, actor=SYSTEM, action="make", subject=ref(subject), decision=Permitted(1),
                origins=tuple(ref(origin) for origin in origins),
            )  # fmt: skip
    with log.site.db.transaction() as tx:
        audit.record(
            tx, log.site, actor=SYSTEM, action="make", subject=ref("product-3"), origins=(ref("job-1"),),
            decision=Denied((NOT_FOUND.because(kind="k", id="i"),)),
        )  # fmt: skip
    return log


def shape(trace):
    return (
        [(step.ref.id, step.depth) for step in trace.steps],
        sorted((edge.child.id, edge.parent.id) for edge in trace.edges),
        [gap.id for gap in trace.gaps],
    )


def test_back_goes_from_a_product_to_everything_it_came_from(story):
    assert shape(audit.trace_back(story.site, "product", "product-1")) == (
        [("product-1", 0), ("product-1", 0), ("job-1", 1), ("grant-1", 2), ("resource-1", 3), ("resource-2", 3)],
        [
            ("grant-1", "resource-1"), ("grant-1", "resource-2"), ("job-1", "grant-1"),
            ("product-1", "job-1"), ("product-1", "lost-1"),
        ],
        ["lost-1"],
    )  # fmt: skip


def test_forward_goes_from_a_resource_to_everything_that_came_of_it_but_not_to_what_was_refused(story):
    assert shape(audit.trace_forward(story.site, "resource", "resource-2")) == (
        [("resource-2", 0), ("grant-1", 1), ("job-1", 2), ("product-1", 3), ("product-1", 3), ("product-2", 3)],
        [("grant-1", "resource-2"), ("job-1", "grant-1"), ("product-1", "job-1"), ("product-2", "job-1")],
        [],
    )


def test_forward_starts_at_an_origin_that_has_no_entry_of_its_own(story):
    assert shape(audit.trace_forward(story.site, "resource", "resource-9")) == (
        [("grant-9", 1)], [("grant-9", "resource-9")], []
    )  # fmt: skip


def test_an_object_of_which_the_log_knows_nothing_is_not_found(story):
    for trace in (audit.trace_back, audit.trace_forward):
        for kind, name in (("product", "product-3"), ("grant", "resource-1"), ("", "")):
            with pytest.raises(Refused, match="audit-trace-not-found"):
                trace(story.site, kind, name)


def test_a_reader_of_traces_gets_them_in_both_directions(story):
    back = audit.read_trace(story.site, AUDITOR, "back", "job", "job-1")
    forward = audit.read_trace(story.site, AUDITOR, "forward", "job", "job-1")
    assert back == audit.trace_back(story.site, "job", "job-1")
    assert forward == audit.trace_forward(story.site, "job", "job-1")


def test_a_trace_is_cut_at_its_limit_of_depth_and_says_so(log, monkeypatch):
    log.record(12)
    monkeypatch.setattr(traces, "TRACE_DEPTH_MAX", 5)
    back, forward = audit.trace_back(log.site, "thing", "thing-11"), audit.trace_forward(log.site, "thing", "thing-0")
    assert (len(back.steps), back.is_cut) == (6, True)
    assert (len(forward.steps), forward.is_cut) == (6, True)
    monkeypatch.setattr(traces, "TRACE_DEPTH_MAX", 50)
    assert not audit.trace_forward(log.site, "thing", "thing-0").is_cut
    assert not audit.trace_back(log.site, "thing", "thing-11").is_cut


def test_a_trace_is_cut_at_its_limit_of_steps_and_says_so(log, monkeypatch):
    log.record(12)
    monkeypatch.setattr(traces, "TRACE_STEPS_MAX", 4)
    back, forward = audit.trace_back(log.site, "thing", "thing-11"), audit.trace_forward(log.site, "thing", "thing-0")
    assert (len(back.steps), back.is_cut, back.gaps) == (4, True, ())
    assert (len(forward.steps), forward.is_cut) == (4, True)


def test_a_ring_of_origins_ends(make_log):
    log = make_log()
    with log.site.db.transaction() as tx:
        for subject, origin in (("a", "b"), ("b", "c"), ("c", "a")):
            audit.record(
                tx, log.site, actor=SYSTEM, action="x", subject=Ref("k", subject, ""), decision=Permitted(1),
                origins=(Ref("k", origin, ""),),
            )  # fmt: skip
    for trace in (audit.trace_back(log.site, "k", "a"), audit.trace_forward(log.site, "k", "a")):
        assert (len(trace.steps), len(trace.edges), trace.is_cut) == (3, 3, False)


def test_many_objects_are_looked_up_in_parts(log):
    with log.site.db.transaction() as tx:
        for number in range(600):
            audit.record(
                tx, log.site, actor=SYSTEM, action="x", subject=Ref("k", f"{number}", ""), decision=Permitted(1),
                origins=(Ref("k", "root", ""),),
            )  # fmt: skip
        origins = tuple(Ref("k", f"{number}", "") for number in range(600))
        audit.record(
            tx, log.site, actor=SYSTEM, action="x", subject=Ref("k", "sum", ""), decision=Permitted(1), origins=origins
        )
    assert len(audit.trace_back(log.site, "k", "sum").steps) == 601
    assert len(audit.trace_forward(log.site, "k", "root").steps) == 601


def test_traces_and_lists_are_answered_by_indexes(log):
    log.record(3)
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        if statement.startswith("SELECT"):
            seen.append((statement, parameters))

    event.listen(log.site.db.engine, "before_cursor_execute", note)
    audit.trace_back(log.site, "thing", "thing-2")
    audit.trace_forward(log.site, "thing", "thing-0")
    for filters in ({"subject_id": "thing-1"}, {"action": "thing.make"}, {"party": "platform"}, {"outcome": "denied"}):
        audit.list_entries(log.site, AUDITOR, PageRequest(), **filters)
    event.remove(log.site.db.engine, "before_cursor_execute", note)
    assert len(seen) >= 8
    with log.site.db.reading() as tx:
        for statement, parameters in seen:
            plan = tx._connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row[3] for row in plan]
            assert [step for step in steps if step.startswith("SEARCH audit_")], statement
            assert not [step for step in steps if step.startswith("SCAN audit_")], (statement, steps)
