"""The loop's numbers as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from edgenet import __version__
from edgenet.errors import MissingPackage
from edgenet.listening import names_this_machine, refusal
from edgenet.runner import Frame
from edgenet.stream.result import Result
from edgenet.stream.statistics import Snapshot, Statistics
from edgenet.url import at

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

_App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def registry(statistics: Statistics) -> CollectorRegistry:
    """A registry of the loop's metrics alone, which asks ``statistics`` when it is scraped.

    Raises:
        MissingPackage: prometheus-client is not installed.
    """
    try:
        from prometheus_client.registry import CollectorRegistry
    except ImportError as error:
        raise MissingPackage("prometheus-client", "view", needed_for="metrics") from error
    found = CollectorRegistry(auto_describe=False)
    found.register(_Collector(statistics))
    return found


class MetricsServer:
    """Serves /metrics; a sink, so that it ends with the others.

    On loopback it answers to names of this machine alone; elsewhere to whoever can connect.

    Args:
        statistics: of the loop.
        host: address to listen on.
        port: likewise.

    Raises:
        MissingPackage: prometheus-client is not installed.
        SinkError: the port is taken or not allowed.
        UsageError: ``host`` is no address of this machine.
    """

    def __init__(self, statistics: Statistics, *, host: str, port: int) -> None:
        found = registry(statistics)
        from prometheus_client import start_http_server

        try:
            self._server, self._thread = start_http_server(port, host, found)
        except OSError as error:
            raise refusal(error, "the metrics", host, port) from error
        listening = str(self._server.server_address[0])
        if names_this_machine(at(listening, None)):
            self._server.set_app(_local(cast("_App", self._server.get_app())))
        self.url = f"http://{at(host, int(self._server.server_port))}/metrics"

    def publish(self, result: Result, frame: Frame) -> None:
        """Nothing: the statistics are told by the loop."""

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _local(app: _App) -> _App:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if names_this_machine(environ.get("HTTP_HOST", "")):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8")])
        return [b"these metrics answer to localhost, 127.0.0.1 and [::1] only\n"]

    return answer


class _Collector:
    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are now."""
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        found = self.statistics.snapshot()
        yield InfoMetricFamily("edgenet", "What runs.", {"version": __version__})
        yield GaugeMetricFamily(
            "edgenet_start_time_seconds", "When the loop began, since the epoch.", found.started
        )
        yield from _counters(found)
        yield GaugeMetricFamily(
            "edgenet_frames_per_second", "Results a second over the last seconds.", found.fps
        )
        if found.latest is None:
            return
        yield GaugeMetricFamily(
            "edgenet_last_result_time_seconds",
            "When the newest result was made, since the epoch.",
            found.latest.time,
        )
        if found.p50_ms is not None:
            yield _latency(found)
        yield _stages(found)
        probabilities = GaugeMetricFamily(
            "edgenet_probability", "Of the classes that the newest result names.", labels=["label"]
        )
        for guess in found.latest.top:
            probabilities.add_metric([guess.label], guess.probability)
        yield probabilities


def _counters(found: Snapshot) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily

    yield CounterMetricFamily("edgenet_frames", "Frames that were answered.", found.frames)
    yield CounterMetricFamily(
        "edgenet_frames_dropped", "Frames that a newer one replaced.", found.dropped
    )
    results = CounterMetricFamily("edgenet_results", "Results of each label.", labels=["label"])
    for label, count in sorted(found.seen.items()):
        results.add_metric([label], count)
    yield results


def _latency(found: Snapshot) -> Metric:
    from prometheus_client.core import Metric

    family = Metric(
        "edgenet_latency_seconds",
        "From capture to result; quantiles of the last results.",
        "summary",
    )
    for quantile, ms in (("0.5", found.p50_ms), ("0.9", found.p90_ms), ("0.99", found.p99_ms)):
        family.add_sample(family.name, {"quantile": quantile}, (ms or 0.0) / 1e3)
    family.add_sample(f"{family.name}_sum", {}, found.total_ms["latency"] / 1e3)
    family.add_sample(f"{family.name}_count", {}, found.frames)
    return family


def _stages(found: Snapshot) -> Metric:
    from prometheus_client.core import SummaryMetricFamily

    family = SummaryMetricFamily(
        "edgenet_stage_seconds", "Where the time of a frame goes.", labels=["stage"]
    )
    for stage in found.stage_ms:
        family.add_metric([stage], found.frames, found.total_ms[stage] / 1e3)
    return family
