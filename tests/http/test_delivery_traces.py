"""Traces as a collector receives them over OTLP: what was measured, under whose trace, and nothing of any call."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gongshu.delivery import service
from gongshu.delivery.service import traces
from gongshu.delivery.types import Collector
from tests.gateways import MATCHING, START, World, call, serving

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Receive what is sent by OTLP over HTTP on a free port."""
    bodies: list[bytes] = []

    class Received(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Received)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def traced(tmp_path, per_thousand: int) -> tuple[list[Span], bytes]:
    """Make five calls and return the spans that reached the collector, and the bytes they came in."""
    world = World(tmp_path / "var", lambda: START)
    world.publish()

    async def work(tracing: traces.Tracing) -> None:
        async with serving(world, tracing=tracing) as http:
            await call(http, "r0", traceparent=PARENT)
            await call(http, "r1", {**MATCHING, "name": "another name"}, traceparent="not a trace")
            await call(http, "r2", x_purpose="other")
            await call(http, "r3", authorization="Bearer gsk_nobody")
            await http.post("/v1/products/product-1/batch", json={}, headers={"authorization": "Bearer gsk_bank"})

    with collector() as (endpoint, bodies):
        tracing, end = service.open_tracing(Collector(endpoint, per_thousand), "g1", "1")
        asyncio.run(work(tracing))
        end()
    messages = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    spans = [
        span for message in messages for each in message.resource_spans for scope in each.scope_spans
        for span in scope.spans
    ]  # fmt: skip
    return spans, b"".join(bodies)


def test_each_traced_call_has_a_span_and_its_parts(tmp_path):
    spans, _ = traced(tmp_path, 1_000)
    calls = [span for span in spans if span.name == "product call"]
    said = [{fact.key: fact.value.string_value for fact in span.attributes} for span in calls]
    assert [facts.get("gongshu.result") for facts in said] == ["match", "mismatch", "refused", "refused", "refused"]
    assert said[0]["gongshu.contract"] == "contract-1"
    assert said[0]["gongshu.product"] == "product-1"
    assert said[2]["gongshu.refusals"] == "purpose-not-agreed"
    assert all(span.status.code == Status.StatusCode.STATUS_CODE_UNSET for span in calls)
    parts = [span for span in spans if span.parent_span_id == calls[0].span_id]
    assert [span.name for span in parts] == ["decide", "record on disk"]
    times = [calls[0].start_time_unix_nano, parts[0].start_time_unix_nano, parts[0].end_time_unix_nano]
    times += [parts[1].start_time_unix_nano, parts[1].end_time_unix_nano, calls[0].end_time_unix_nano]
    assert times == sorted(times)


def test_a_callers_trace_goes_on(tmp_path):
    spans, _ = traced(tmp_path, 1_000)
    first, second = [span for span in spans if span.name == "product call"][:2]
    assert first.trace_id.hex() == PARENT.split("-")[1]
    assert first.parent_span_id.hex() == PARENT.split("-")[2]
    assert not second.parent_span_id  # what is no traceparent is nobody's child


def test_nothing_of_a_call_reaches_the_collector(tmp_path):
    _, sent = traced(tmp_path, 1_000)
    values = [*MATCHING.values(), "another name", "gsk_", "r1", "127.0.0.1", "not a trace", "/v1/products"]
    assert not [value for value in values if value.encode() in sent]


def test_a_caller_cannot_have_its_calls_traced(tmp_path):
    spans, sent = traced(tmp_path, 0)
    assert (spans, sent) == ([], b"")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(traces.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(service.TracesMissing, match=r"gongshu\[traces\]"):
        service.open_tracing(Collector("http://127.0.0.1:1", 1), "g1", "1")
