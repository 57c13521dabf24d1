"""Traces of sampled calls for a collector that speaks OTLP (OpenTelemetry): when they came, were decided, recorded, answered.

A span holds ids, the class of the result and codes of refusals; never a path, an input, an address or a key. Which calls
are traced is drawn here and not asked of callers, so that nobody can make the gateway trace all of theirs; a caller's
W3C ``traceparent`` is taken as the parent of a call that is traced.
"""

import importlib.util
import random
import time
from collections.abc import Callable

from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

from gongshu.base.decisions import Kind
from gongshu.delivery.types import Answered, BatchAnswered, Collector, Trace, Turned

MISSING = (
    "GONGSHU_TRACES_ENDPOINT is set, but OpenTelemetry is not installed: pip install 'gongshu[traces]', or unset it."
)
QUEUED_SPANS_MAX = 4_096
PER_THOUSAND = 1_000
FAULTS = frozenset({Kind.UNAVAILABLE, Kind.INTERNAL})
"""What OpenTelemetry calls an error: ours, not the caller's."""


class TracesMissing(Exception):  # noqa: N818 - a circumstance, not an error of the program
    """Traces are asked for and cannot be made."""


class Tracing:
    """Draws which calls are traced, and hands their spans to OpenTelemetry, which sends them beside the calls."""

    def __init__(self, tracer: Tracer, per_thousand: int, draw: random.Random) -> None:
        """Trace ``per_thousand`` of a thousand calls."""
        self._tracer, self._per_thousand, self._draw = tracer, per_thousand, draw.random

    def begin(self, parent: bytes) -> Trace | None:
        """Return the trace of a call that has come, or ``None`` for one that is not traced."""
        if self._draw() * PER_THOUSAND >= self._per_thousand:
            return None
        return Trace(parent.decode("ascii", "replace"), time.time_ns())

    def end(self, trace: Trace, outcome: Answered | BatchAnswered | Turned) -> None:
        """Hand over the spans of a call that is served: one for all of it, one for deciding, one for the disk."""
        now = time.time_ns()
        span = self._tracer.start_span(
            "product call", extract({"traceparent": trace.parent}), SpanKind.SERVER, start_time=trace.came,
            attributes=facts_of(outcome),
        )  # fmt: skip
        if isinstance(outcome, Turned) and any(reason.rule.kind in FAULTS for reason in outcome.reasons):
            span.set_status(Status(StatusCode.ERROR))
        if trace.decided:
            self._part(span, "decide", trace.came, trace.decided)
            if trace.recorded:
                self._part(span, "record on disk", trace.decided, trace.recorded)
        span.end(now)

    def _part(self, whole: Span, name: str, start: int, end: int) -> None:
        self._tracer.start_span(name, set_span_in_context(whole), start_time=start).end(end)


def facts_of(outcome: Answered | BatchAnswered | Turned) -> dict[str, str | int]:
    """Return what a span says of a call: ids, classes and codes."""
    if isinstance(outcome, Turned):
        return {"gongshu.result": "refused", "gongshu.refusals": ",".join(reason.code for reason in outcome.reasons)}
    said = outcome.receipt if isinstance(outcome, Answered) else outcome
    facts: dict[str, str | int] = {
        "gongshu.contract": said.contract, "gongshu.product": said.product, "gongshu.snapshot": said.snapshot,
    }  # fmt: skip
    if isinstance(outcome, BatchAnswered):
        return facts | {"gongshu.items": len(outcome.items)}
    return facts | {"gongshu.result": outcome.receipt.result.value, "gongshu.call": outcome.receipt.call}


def open_tracing(collector: Collector, gateway: str, version: str) -> tuple[Tracing, Callable[[], None]]:
    """Return what traces calls for ``collector``, and what ends it: it sends what is left.

    ``TracesMissing`` where the extra ``gongshu[traces]`` is not installed. Spans that the collector does not take are dropped.
    """
    if (
        importlib.util.find_spec("opentelemetry.exporter") is None
        or importlib.util.find_spec("opentelemetry.sdk") is None
    ):
        raise TracesMissing(MISSING)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {"service.name": "gongshu-gateway", "service.instance.id": gateway, "service.version": version}
    provider = TracerProvider(resource=Resource(named))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=collector.endpoint), max_queue_size=QUEUED_SPANS_MAX)
    )
    draw = random.Random()  # noqa: S311 - which calls are looked at is no secret
    return Tracing(provider.get_tracer("gongshu.delivery", version), collector.per_thousand, draw), provider.shutdown
