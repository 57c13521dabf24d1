"""What the gateway tells of itself in Prometheus' text format: counts, times and ages, never a value, an id or an address.

Calls add to plain numbers; the library's own objects are made when somebody asks.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Measures(Collector):
    """Counts of one gateway, and what it is asked when somebody reads them."""

    def __init__(self, states: Callable[[], dict[str, float]]) -> None:
        """``states`` gives what is not counted but is: ages, waiting records, open files."""
        self._states = states
        self._outcomes: dict[tuple[str, str], int] = {}
        self._buckets = [0] * (len(BOUNDS_SECONDS) + 1)
        self._seconds = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, result: str, code: str, calls: int = 1) -> None:
        """Count calls by result and, where they were refused, by the code of the first reason."""
        key = (result, code)
        self._outcomes[key] = self._outcomes.get(key, 0) + calls

    def time(self, seconds: float) -> None:
        """Count one request's time, from its whole arrival to its answer."""
        self._buckets[bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self._seconds += seconds

    def collect(self) -> Iterator[Metric]:
        """Give the metrics as they are now."""
        calls = CounterMetricFamily("gongshu_gateway_calls", "Calls by result and refusal.", labels=("result", "code"))
        for (result, code), number in sorted(self._outcomes.items()):
            calls.add_metric((result, code), number)
        yield calls
        below, buckets = 0, []
        for bound, number in zip((*map(str, BOUNDS_SECONDS), "+Inf"), self._buckets, strict=True):
            below += number
            buckets.append((bound, below))
        yield HistogramMetricFamily(
            "gongshu_gateway_request_seconds",
            "From a request's arrival to its answer.",
            buckets=buckets,
            sum_value=self._seconds,
        )
        for name, value in self._states().items():
            yield GaugeMetricFamily(f"gongshu_gateway_{name}", name.replace("_", " ").capitalize() + ".", value=value)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
