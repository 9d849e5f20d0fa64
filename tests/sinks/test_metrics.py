from __future__ import annotations

import socket
import urllib.error
import urllib.request

import msgspec
import pytest

from edgenet.errors import SinkError, UsageError
from edgenet.stream.sinks.metrics import MetricsServer, registry
from edgenet.stream.statistics import Statistics

prometheus_client = pytest.importorskip(
    "prometheus_client", reason="prometheus-client is not installed"
)
from prometheus_client.parser import text_string_to_metric_families  # noqa: E402


@pytest.fixture
def statistics(make):
    found = Statistics()
    for label in ("cat", "cat", "unknown"):
        found.observe(make(label), publish_ms=0.5)
    return found


def samples(statistics):
    text = prometheus_client.generate_latest(registry(statistics)).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counts_latency_and_stages_are_told_in_seconds(statistics):
    found = samples(statistics)
    assert found["edgenet_frames_total",] == 3
    assert found["edgenet_frames_dropped_total",] == 3
    assert found["edgenet_results_total", "cat"] == 2
    assert found["edgenet_results_total", "unknown"] == 1
    assert found["edgenet_latency_seconds_count",] == 3
    assert found["edgenet_latency_seconds_sum",] == pytest.approx(3 * 0.009875)
    assert found["edgenet_latency_seconds", "0.99"] == pytest.approx(0.009875)
    assert found["edgenet_stage_seconds_sum", "invoke"] == pytest.approx(0.024)
    assert found["edgenet_stage_seconds_sum", "publish"] == pytest.approx(0.0015)
    assert found["edgenet_stage_seconds_count", "capture"] == 3
    assert found["edgenet_last_result_time_seconds",] == 1700000000.25
    assert found["edgenet_frames_per_second",] > 0


def test_the_newest_results_probabilities_are_told(statistics, make):
    assert ("edgenet_probability", "cat") not in samples(statistics)
    statistics.observe(make("cat", probability=0.75), publish_ms=0.1)
    assert samples(statistics)["edgenet_probability", "cat"] == 0.75


def test_where_no_time_is_known_none_is_told(make):
    statistics = Statistics()
    untimed = msgspec.structs.replace(make("cat"), stage_ms={}, latency_ms=None)
    statistics.observe(untimed, publish_ms=0.1)
    found = samples(statistics)
    assert found["edgenet_results_total", "cat"] == 1
    assert ("edgenet_latency_seconds_count",) not in found


def test_before_the_first_result_there_are_counters_alone():
    found = samples(Statistics())
    assert found["edgenet_frames_total",] == 0
    assert ("edgenet_latency_seconds_count",) not in found


def test_they_are_served_until_the_end(statistics):
    server = MetricsServer(statistics, host="127.0.0.1", port=0)
    url = server.url
    with urllib.request.urlopen(url) as answer:
        assert b"edgenet_frames_total 3.0" in answer.read()
    server.close()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_port_in_use_is_one_sentence(statistics):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=rf"port {port} of '127\.0\.0\.1' is taken"):
            MetricsServer(statistics, host="127.0.0.1", port=port)


def test_an_address_of_another_machine_is_refused(statistics):
    with pytest.raises(
        UsageError, match=r"'192\.0\.2\.1' is not an address of this machine; let the me"
    ):
        MetricsServer(statistics, host="192.0.2.1", port=0)


def test_a_page_elsewhere_cannot_read_them_by_its_own_name(statistics):
    server = MetricsServer(statistics, host="localhost", port=0)
    assert server.url.startswith("http://localhost:")
    foreign = urllib.request.Request(server.url, headers={"Host": "rebound.example"})
    with pytest.raises(urllib.error.HTTPError, match="403") as refusal:
        urllib.request.urlopen(foreign)
    assert b"edgenet_" not in refusal.value.read()
    refusal.value.close()
    server.close()


def test_an_ipv6_address_stands_in_brackets(statistics):
    try:
        server = MetricsServer(statistics, host="::1", port=0)
    except (SinkError, UsageError) as error:
        pytest.skip(str(error))
    assert server.url.startswith("http://[::1]:")
    with urllib.request.urlopen(server.url) as answer:
        assert b"edgenet_frames_total" in answer.read()
    server.close()
