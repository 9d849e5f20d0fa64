from __future__ import annotations

import msgspec
import numpy as np
import pytest

from edgenet.drift.compare import compare, measure
from edgenet.drift.limits import LIMITS, judge, of_target, parse
from edgenet.drift.record import DriftReport, Layer
from edgenet.errors import TargetError, UsageError

LABELS = tuple("abc")


def report(lost: int = 0, *, images: int = 200, layers: tuple[Layer, ...] = ()) -> DriftReport:
    """fp32 is always right; int8 misses ``lost`` pictures of the first class."""
    targets = np.arange(images) % 3
    reference = np.eye(3, dtype=np.float32)[targets]
    variant = reference.copy()
    variant[np.flatnonzero(targets == 0)[:lost]] = [0, 1, 0]
    drift = compare(reference, variant, targets, LABELS)
    return DriftReport(
        bundle="b",
        target="pc",
        bundle_sha256="",
        dataset="d",
        note="",
        split="val",
        images=images,
        available=images,
        seed=None,
        calibrated=0,
        reference="fp32.tflite",
        results=(
            measure(reference, targets, variant="fp32.tflite", engine="e", drift=None),
            measure(variant, targets, variant="int8.tflite", engine="e", drift=drift),
        ),
        skipped={},
        layers=layers,
        images_per_s=1.0,
        versions={},
    )


def test_a_limit_that_is_kept_is_recorded_and_breaks_nothing():
    judged = judge(report(lost=1), {"top1_drop": 0.5})
    assert judged.limits == {"top1_drop": 0.5}
    assert judged.violations == ()


def test_a_drop_at_the_limit_is_allowed_and_one_picture_more_is_not():
    assert not judge(report(lost=1), {"top1_drop": 0.5}).violations
    (violation,) = judge(report(lost=2), {"top1_drop": 0.5}).violations
    assert violation.message == "int8.tflite: top1_drop is 1 point, above its limit of 0.5 points"
    assert (violation.limit, violation.variant, violation.bound) == (
        "top1_drop",
        "int8.tflite",
        0.5,
    )


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("top1", 0.999),
        ("top1_drop", 0.4),
        ("class_drop", 1.4),
        ("agreement", 0.996),
        ("confidence_change", 0.0),
        ("snr_db", 22.0),
    ],
)
def test_each_limit_is_broken_by_one_lost_picture_of_200_only_where_it_should(name, bound):
    drifted = judge(report(lost=1), {name: bound}).violations
    assert [v.variant for v in drifted] == ([] if name == "confidence_change" else ["int8.tflite"])
    assert not judge(report(lost=0), {name: bound}).violations


def test_a_change_of_confidence_in_either_direction_counts():
    base = report()
    results = []
    for change in (-0.03, 0.03):
        drift = msgspec.structs.replace(base.results[1].drift, confidence=change)
        moved = msgspec.structs.replace(base.results[1], drift=drift)
        results.append(msgspec.structs.replace(base, results=(base.results[0], moved)))
    for moved in results:
        assert judge(moved, {"confidence_change": 2.5}).violations
        assert not judge(moved, {"confidence_change": 3.5}).violations


def test_the_worst_layer_is_held_to_its_limit():
    layers = (
        Layer(3, "DEPTHWISE_CONV_2D", (1, 8, 8, 4), 7.0, -9.0, 0.0),
        Layer(2, "CONV_2D", (1, 8, 8, 4), 16.0, None, 0.0),
    )
    (violation,) = judge(report(layers=layers), {"layer_snr_db": 10}).violations
    assert violation.message == "int8.tflite: layer_snr_db is 7 dB, below its limit of 10 dB"
    with pytest.raises(UsageError, match="the layers were not compared"):
        judge(report(), {"layer_snr_db": 10})


def test_a_message_never_rounds_a_value_onto_its_limit():
    drifted = report(lost=1, images=1996)  # 0.0501 points
    (violation,) = judge(drifted, {"top1_drop": 0.05}).violations
    assert "top1_drop is 0.0501 points, above its limit of 0.05" in violation.message


def test_a_limit_without_a_second_variant_is_refused_not_passed():
    single = msgspec.structs.replace(report(), results=report().results[:1])
    with pytest.raises(UsageError, match="agreement cannot be judged"):
        judge(single, {"agreement": 0.99})
    assert not judge(single, {"top1": 0.9}).violations


def test_settings_are_read():
    assert parse(["top1_drop=0.5", "agreement=0.98"]) == {"top1_drop": 0.5, "agreement": 0.98}
    assert parse([]) == {}


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("top1_drop", "is not of the form name=value"),
        ("top1_dorp=1", r"no limit 'top1_dorp'; did you mean 'top1_drop'\? \(agreement, "),
        ("flash=1", "no limit 'flash'; choose one of"),
        ("snr_db=high", "limit snr_db is 'high', not a number"),
        ("snr_db=nan", "is nan, not between 0 and 200 dB"),
        ("top1_drop=-1", "not between 0 and 100 points"),
        ("agreement=98", "not between 0 and 1; it is a share, not a percentage"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(setting, words):
    with pytest.raises(UsageError, match=words):
        parse([setting])


def test_a_targets_limits_are_all_of_them_or_refused():
    assert of_target({"top1_drop": 0.5, "agreement": 1}) == {"top1_drop": 0.5, "agreement": 1}
    with pytest.raises(TargetError, match=r"^kettle: no limit 'top1_dropp'; did you mean"):
        of_target({"top1_dropp": 0.0}, source="kettle")
    with pytest.raises(TargetError, match=r"agreement is 95, not between 0 and 1; it is a share"):
        of_target({"agreement": 95})


def test_every_limit_says_what_it_demands():
    assert all(limit.meaning for limit in LIMITS.values())
