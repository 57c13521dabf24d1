"""Traces of sampled calls for a collector that speaks OTLP (OpenTelemetry): when they came, were decided, recorded, answered.

A span holds ids, the class of the result and codes of refusals; never a path, an input, an address or a key. Which calls
are traced is drawn here and not asked of callers, so that nobody can make the gateway trace all of theirs; a caller's
W3C ``traceparent`` is taken as the parent of a call that is traced.
"""

import random
import time
from typing import Any

from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

QUEUED_SPANS_MAX = 4_096
PER_THOUSAND = 1_000


class Trace:
    """The moments of one call that is traced."""

    __slots__ = ("came", "decided", "parent", "recorded")

    def __init__(self, parent: str) -> None:
        """``parent`` is the caller's ``traceparent`` header, empty without one."""
        self.parent, self.came, self.decided, self.recorded = parent, time.time_ns(), 0, 0


class Tracing:
    """Draws which calls are traced, and hands their spans to OpenTelemetry, which sends them beside the calls."""

    def __init__(self, tracer: Tracer, per_thousand: int, draw: random.Random) -> None:
        """Trace ``per_thousand`` of a thousand calls."""
        self._tracer, self._per_thousand, self._draw = tracer, per_thousand, draw.random

    def begin(self, parent: bytes) -> Trace | None:
        """Return the trace of a call that has come, or ``None`` for one that is not traced."""
        if self._draw() * PER_THOUSAND >= self._per_thousand:
            return None
        return Trace(parent.decode("ascii", "replace"))

    def end(self, trace: Trace, status: int, facts: dict[str, str]) -> None:
        """Hand over the spans of a call that is answered: one for all of it, one for deciding, one for the disk."""
        now = time.time_ns()
        span = self._tracer.start_span(
            "product call", extract({"traceparent": trace.parent}), SpanKind.SERVER, start_time=trace.came,
            attributes={"http.response.status_code": status, **{f"gongshu.{name}": value for name, value in facts.items()}},
        )  # fmt: skip
        if status >= 500:  # noqa: PLR2004 - a fault of ours, in OpenTelemetry's sense
            span.set_status(Status(StatusCode.ERROR))
        if trace.decided:
            self._part(span, "decide", trace.came, trace.decided)
            if trace.recorded:
                self._part(span, "record on disk", trace.decided, trace.recorded)
        span.end(now)

    def _part(self, whole: Span, name: str, start: int, end: int) -> None:
        self._tracer.start_span(name, set_span_in_context(whole), start_time=start).end(end)


def open_tracing(endpoint: str, gateway: str, per_thousand: int, version: str) -> tuple[Tracing, Any]:
    """Return what traces calls to the collector at ``endpoint`` (OTLP over HTTP), and its provider, to be shut down.

    ``ImportError`` where the extra ``gongshu[traces]`` is not installed. Spans that the collector does not take are dropped.
    """
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = {"service.name": "gongshu-gateway", "service.instance.id": gateway, "service.version": version}
    provider = TracerProvider(resource=Resource(named))
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint), max_queue_size=QUEUED_SPANS_MAX)
    )
    draw = random.Random()  # noqa: S311 - which calls are looked at is no secret
    return Tracing(provider.get_tracer("gongshu.delivery", version), per_thousand, draw), provider
