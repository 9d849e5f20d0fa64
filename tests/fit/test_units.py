from __future__ import annotations

import pytest

from edgenet.errors import UsageError
from edgenet.fit import units


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512K", 524288),
        ("256KiB", 262144),
        ("2M", 2097152),
        ("1.5MiB", 1572864),
        ("7B", 7),
        ("30KB", 30720),
        ("512k", 524288),
        ("2m", 2097152),
        ("1G", 2**30),
    ],
)
def test_sizes_count_by_1024(text, count):
    assert units.size(text) == count


@pytest.mark.parametrize(("text", "ms"), [("50ms", 50.0), ("0.5s", 500.0), ("800us", 0.8)])
def test_times_become_milliseconds(text, ms):
    assert units.milliseconds(text) == pytest.approx(ms)


@pytest.mark.parametrize(
    "text", ["", "512", "512 K", "256Kb", "0K", "-1K", "K", "1e3K", "0.3B", "50ms"]
)
def test_any_other_size_is_refused(text):
    with pytest.raises(UsageError, match=r"512K|whole number of bytes"):
        units.size(text)


@pytest.mark.parametrize("text", ["50", "0ms", "50 ms", "ms", "50MS", "1h", "nan", "512K"])
def test_any_other_time_is_refused(text):
    with pytest.raises(UsageError, match=r"50ms, 0\.5s or 800us"):
        units.milliseconds(text)


@pytest.mark.parametrize(("text", "hz"), [("168MHz", 168_000_000), ("16000kHz", 16_000_000)])
def test_clocks_become_hertz(text, hz):
    assert units.hertz(text) == hz


@pytest.mark.parametrize("text", ["168", "0MHz", "168mhz", "168M", ""])
def test_any_other_clock_is_refused(text):
    with pytest.raises(UsageError, match=r"168MHz or 16000kHz"):
        units.hertz(text)
