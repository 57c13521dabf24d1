"""Walks over entries held in memory."""

from datetime import UTC, datetime

from gongshu.audit.rules import traces
from gongshu.audit.types import Entry, Outcome
from gongshu.base.digest import Ref

AT = datetime(2026, 3, 1, tzinfo=UTC)


def ref(name, digest=""):
    return Ref("k", name, digest)


class Memory:
    """Entries in the order in which they were made: ``(subject, digest, origins)``."""

    def __init__(self, *made):
        self.entries = [
            Entry(f"entry-{place}", AT, "p", "q", "make", ref(name, digest), Outcome.PERMITTED, (), tuple(map(ref, origins)))
            for place, (name, digest, origins) in enumerate(made)
        ]  # fmt: skip

    def about(self, keys, limit):
        return [entry for entry in self.entries if traces.key_of(entry.subject) in keys][:limit]

    def made_from(self, keys, limit):
        return [entry for entry in self.entries if {traces.key_of(one) for one in entry.origins} & set(keys)][:limit]

    def back(self, name):
        return traces.walk_back(("k", name), self.about)

    def forward(self, name):
        return traces.walk_forward(("k", name), self.about, self.made_from)


def ids(trace):
    return [(step.ref.id, step.depth) for step in trace.steps]


def test_an_object_stands_in_the_trace_with_each_of_its_entries_and_starts_as_it_is_now():
    memory = Memory(("a", "1", ""), ("a", "2", "a"), ("b", "1", "a"))
    assert ids(memory.back("b")) == [("b", 0), ("a", 1), ("a", 1)]
    assert memory.back("a").start == memory.forward("a").start == ref("a", "2")
    assert memory.back("a").edges == ()
    assert ids(memory.forward("a")) == [("a", 0), ("a", 0), ("b", 1)]


def test_of_two_entries_that_say_the_same_edge_the_later_one_stands():
    memory = Memory(("a", "1", ""), ("b", "1", "a"), ("b", "2", "a"))
    for trace in (memory.back("b"), memory.forward("a")):
        assert [(edge.child, edge.parent) for edge in trace.edges] == [(ref("b", "2"), ref("a"))]


def test_depth_is_the_shortest_way():
    memory = Memory(("a", "", ""), ("b", "", "a"), ("c", "", "ab"))
    assert ids(memory.back("c")) == [("c", 0), ("a", 1), ("b", 1)]
    assert ids(memory.forward("a")) == [("a", 0), ("b", 1), ("c", 1)]
    assert len(memory.back("c").edges) == len(memory.forward("a").edges) == 3


def test_an_origin_without_entry_is_a_gap_of_the_way_back_only():
    memory = Memory(("b", "", "ax"), ("a", "", ""))
    assert memory.back("b").gaps == (ref("x"),)
    assert memory.forward("a").gaps == ()
    assert [edge.parent.id for edge in memory.forward("a").edges] == ["a"]


def test_an_object_without_any_entry_is_its_own_gap():
    assert Memory().back("a").gaps == (ref("a"),)
    assert Memory().forward("a").steps == ()


def test_a_walk_ends_at_its_limits_and_says_so(monkeypatch):
    memory = Memory(("a", "", ""), ("b", "", "a"), ("c", "", "b"), ("d", "", "c"))
    monkeypatch.setattr(traces, "TRACE_DEPTH_MAX", 1)
    assert (ids(memory.back("d")), memory.back("d").is_cut) == ([("d", 0), ("c", 1)], True)
    assert (ids(memory.forward("a")), memory.forward("a").is_cut) == ([("a", 0), ("b", 1)], True)
    monkeypatch.setattr(traces, "TRACE_DEPTH_MAX", 4)
    assert (len(memory.back("d").steps), memory.back("d").is_cut) == (4, False)
    assert (len(memory.forward("a").steps), memory.forward("a").is_cut) == (4, False)
    monkeypatch.setattr(traces, "TRACE_STEPS_MAX", 3)
    assert (len(memory.back("d").steps), memory.back("d").is_cut, memory.back("d").gaps) == (3, True, ())
    assert (len(memory.forward("a").steps), memory.forward("a").is_cut) == (3, True)
