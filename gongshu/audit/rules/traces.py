"""Walks over the log: what an object came from, and what came of it. The entries themselves are the graph."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from gongshu.audit.types import Entry, Trace, TraceEdge, TraceStep
from gongshu.base.decisions import Kind, rule
from gongshu.base.digest import Ref

TRACE_DEPTH_MAX = 64
TRACE_STEPS_MAX = 5_000

Key: TypeAlias = tuple[str, str]
"""Kind and id of an object."""
Lookup = Callable[[Collection[Key], int], list[Entry]]
"""Returns the permitted entries for some objects, oldest first, and no more than the limit given."""

TRACE_NOT_FOUND = rule(
    "audit-trace-not-found", Kind.NOT_FOUND, zh="审计日志中没有关于{kind} {id}的获准记录。",
    en="The audit log holds no permitted entry about {kind} {id}.",
    fix_zh="请核对种类和编号。", fix_en="Check kind and id.",
)  # fmt: skip


def key_of(ref: Ref) -> Key:
    """Return what names the object of ``ref`` at any time: kind and id."""
    return ref.kind, ref.id


def _start(key: Key, entries: list[Entry]) -> Ref:
    return entries[-1].subject if entries else Ref(key[0], key[1], "")


def walk_back(start: Key, about: Lookup) -> Trace:
    """Return everything ``start`` came from: ``about`` finds the entries whose subjects are some objects."""
    first = about((start,), TRACE_STEPS_MAX)
    frontier: dict[Key, Ref] = {start: _start(start, first)}
    seen, steps, depth = {start}, list[TraceStep](), 0
    edges: dict[tuple[Key, Key], TraceEdge] = {}
    gaps: list[Ref] = []
    while frontier and depth <= TRACE_DEPTH_MAX and len(steps) < TRACE_STEPS_MAX:
        entries = about(frontier, TRACE_STEPS_MAX - len(steps)) if depth else first
        known = {key_of(entry.subject) for entry in entries}
        is_full = len(steps) + len(entries) >= TRACE_STEPS_MAX
        gaps += [] if is_full else [ref for key, ref in frontier.items() if key not in known]
        following: dict[Key, Ref] = {}
        for entry in entries:
            child = key_of(entry.subject)
            steps.append(TraceStep(entry.subject, entry, depth))
            for origin in entry.origins:
                parent = key_of(origin)
                if parent == child:  # a later state of the same object
                    continue
                edges[child, parent] = TraceEdge(entry.subject, origin)
                if parent not in seen:
                    seen.add(parent)
                    following[parent] = origin
        frontier, depth = following, depth + 1
    is_cut = bool(frontier) or len(steps) >= TRACE_STEPS_MAX
    return Trace(_start(start, first), tuple(steps), tuple(edges.values()), tuple(gaps), is_cut=is_cut)


def walk_forward(start: Key, about: Lookup, made_from: Lookup) -> Trace:
    """Return everything that came of ``start``: ``made_from`` finds the entries that name some objects as origins."""
    first = about((start,), TRACE_STEPS_MAX)
    steps = [TraceStep(entry.subject, entry, 0) for entry in first]
    frontier: set[Key] = {start}
    seen, depth = {start}, 0
    edges: dict[tuple[Key, Key], TraceEdge] = {}
    while frontier and depth < TRACE_DEPTH_MAX and len(steps) < TRACE_STEPS_MAX:
        following: set[Key] = set()
        for entry in made_from(frontier, TRACE_STEPS_MAX):
            child = key_of(entry.subject)
            for origin in entry.origins:
                parent = key_of(origin)
                if parent in frontier and parent != child:
                    edges[child, parent] = TraceEdge(entry.subject, origin)
                    if child not in seen:
                        seen.add(child)
                        following.add(child)
        depth += 1
        found = about(following, TRACE_STEPS_MAX - len(steps)) if following else []
        steps += [TraceStep(entry.subject, entry, depth) for entry in found]
        frontier = following
    is_cut = bool(frontier) or len(steps) >= TRACE_STEPS_MAX
    return Trace(_start(start, first), tuple(steps), tuple(edges.values()), is_cut=is_cut)
