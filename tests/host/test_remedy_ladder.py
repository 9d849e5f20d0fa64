"""Which remedies are kept, when the ladder ends, and what the commands make of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click.testing
import cv2
import numpy as np
import pytest
import torch
from norms import scatter

from edgenet import target as targets
from edgenet.bundle import Calibration
from edgenet.cli import export
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.drift.compare import compare
from edgenet.drift.significance import mean_interval
from edgenet.errors import UsageError
from edgenet.host import checkpoint as checkpoints
from edgenet.host.checkpoint import Checkpoint
from edgenet.host.models import build
from edgenet.host.remedy import ladder
from edgenet.host.remedy.candidate import Candidate, Material
from edgenet.host.remedy.options import options
from edgenet.host.remedy.wish import AUTO, Wish
from edgenet.report import remedy as report
from edgenet.report.remedy import Option, RemedyReport, Score, Step
from edgenet.spec import ModelSpec, Preprocess

LABELS = tuple("0123456789")
SPEC = ModelSpec("mobilenet_v1", 0.25, LABELS, Preprocess(32, 32))
PLAIN = Candidate(SPEC, torch.nn.Identity(), torch.nn.Identity(), {})
MATERIAL = Material(())
PICTURES = 1000


class Scripted:
    """A judge that was told how many of 1000 pictures each set of remedies gets wrong."""

    def __init__(self, wrong: Mapping[tuple[str, ...], int]) -> None:
        self.wrong = wrong
        self.targets = np.zeros(PICTURES, np.int64)

    def of(self, candidate: Candidate) -> int:
        return self.wrong[candidate.applied]

    def score(self, wrong: int) -> Score:
        right = np.tile(np.float32([1, 0]), (PICTURES, 1))
        given = right.copy()
        given[:wrong] = [0, 1]
        drift = compare(right, given, self.targets, ("a", "b"))
        return Score(drift.top1, drift.agreement, drift.snr_db, wrong / 1000, 1.0, 100)

    def gain(self, candidate: Candidate, since: Candidate) -> tuple[float, float, float]:
        gained = (self.of(since) - self.of(candidate)) / 1000
        return gained, gained - 0.005, gained + 0.005


@pytest.fixture(autouse=True)
def named_only(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Remedies that do nothing but add their name."""
    if "slow" in request.keywords:
        return

    def adds(name: str) -> Any:
        return lambda candidate, _: candidate.with_remedy(name)

    monkeypatch.setattr(ladder, "STEPS", {name: adds(name) for name in ladder.STEPS})


def climb(wish: Wish, wrong: Mapping[tuple[str, ...], int]) -> tuple[Candidate, list[Step]]:
    return ladder.climb(PLAIN, wish, MATERIAL, Scripted(wrong))  # type: ignore[arg-type]


def tried(steps: list[Step]) -> list[tuple[str, bool]]:
    return [(step.name, step.kept) for step in steps]


def test_auto_keeps_what_helps_and_stops_when_the_limit_holds() -> None:
    wrong = {(): 100, ("percentile",): 98, ("mse",): 50, ("mse", "equalize"): 60}
    best, steps = climb(Wish((AUTO,)), wrong | {("mse", "bias"): 2})
    assert tried(steps) == [
        ("plain", True),
        ("percentile", False),  # 2 of 1000 may be luck
        ("mse", True),
        ("equalize", False),
        ("bias", True),
    ]
    assert best.applied == ("mse", "bias")
    assert ladder.keeps(steps, 1.0)


def test_auto_does_nothing_where_plain_int8_keeps_the_limit() -> None:
    best, steps = climb(Wish((AUTO,)), {(): 2})
    assert best is PLAIN
    assert tried(steps) == [("plain", True)]


def test_a_limit_is_held_against_the_end_of_the_interval() -> None:
    _, steps = climb(Wish(("bias",)), {(): 9, ("bias",): 9})
    assert steps[-1].score.top1.value == -0.009
    assert not ladder.keeps(steps, 1.0)


def test_named_remedies_are_applied_in_the_ladders_order_whether_they_help_or_not() -> None:
    wish = Wish(("bias", "percentile"))
    best, steps = climb(wish, {(): 0, ("percentile",): 5, ("percentile", "bias"): 5})
    assert best.applied == ("percentile", "bias")
    assert [step.gain and step.gain[0] for step in steps] == [None, -0.005, 0.0]
    assert ladder.keeps(steps, wish.limit) is None


def test_a_remedy_with_nothing_to_do_is_named_and_not_applied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(ladder.STEPS, "layers", lambda candidate, _: candidate)  # type: ignore[arg-type]
    best, steps = climb(Wish(("layers",)), {(): 3})
    assert best is PLAIN
    assert (steps[-1].gain, steps[-1].kept) == (None, False)


def test_auto_trains_only_where_it_was_told_how_long() -> None:
    assert "qat" not in Wish((AUTO,)).ladder
    assert Wish((AUTO,), qat_epochs=2).ladder[-1] == "qat"
    with pytest.raises(UsageError, match="say how long with --qat-epochs N"):
        Wish(("qat",))


@pytest.mark.parametrize("limit", [-1.0, 101.0, float("nan")])
def test_a_drift_that_cannot_be_is_refused(limit: float) -> None:
    with pytest.raises(UsageError, match="points of drift; from 0 to 100 make sense"):
        Wish((AUTO,), limit)


def test_the_interval_of_a_mean_is_the_textbooks() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    assert mean == 2.5
    assert high - mean == pytest.approx(1.959964 * 1.2909944 / 2, rel=1e-6)
    assert mean - low == pytest.approx(high - mean)
    assert mean_interval([5.0]) == (5.0, -float("inf"), float("inf"))


@pytest.mark.parametrize(
    ("wish", "pictures", "limit"),
    [
        (Wish((AUTO,)), 276, 1.0),
        (Wish((AUTO,)), 275, None),
        (Wish((AUTO,), 1.0), 50, 1.0),
        (Wish(("bias",)), 2000, None),
    ],
)
def test_auto_sets_its_own_limit_where_the_pictures_can_show_it(
    wish: Wish, pictures: int, limit: float | None
) -> None:
    assert ladder.demanded(wish, pictures) == limit


def score(divergence: float, latency: float, size: int) -> Score:
    return replace_score(Scripted({}).score(9), divergence, latency, size)


def replace_score(old: Score, divergence: float, latency: float, size: int) -> Score:
    return Score(old.top1, old.agreement, old.snr_db, divergence, latency, size)


def test_the_front_holds_what_nothing_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("float16", score(0.0, 2.0, 60), 2.0, 60), ("dynamic", score(0.1, 2.0, 30), 2.0, 30)]
    monkeypatch.setattr("edgenet.host.remedy.options._formats", lambda *_: iter(rows))
    judge: Any = Scripted({})
    judge.reference = type("Reference", (), {"latency_ms": 2.0, "model": bytes(100)})
    steps = [
        Step("plain", "", score(0.2, 1.0, 25), None, kept=True),
        Step("mse", "", score(0.3, 1.0, 25), (-0.1, -0.2, 0.0), kept=False),
        Step("bias", "", score(0.1, 1.0, 25), (0.1, 0.05, 0.2), kept=True),
        Step("layers", "", score(0.1, 1.0, 25), None, kept=False),
    ]
    found = options(judge, PLAIN, steps)
    assert {option.name: option.front for option in found} == {
        "fp32": False,  # float16 is as good and smaller
        "int8": False,
        "int8 + mse": False,
        "int8 + bias": True,
        "float16": True,
        "dynamic": False,
    }


def some_report(**changes: Any) -> RemedyReport:
    steps = (
        Step("plain", "", score(0.2, 1.0, 25), None, kept=True),
        Step("bias", "biases move", Scripted({}).score(4), (0.1, 0.05, 0.2), kept=True),
        Step("layers", "", Scripted({}).score(4), None, kept=False),
    )
    used = Calibration("digits train", 8, 3, "minmax", ())
    rows = (Option("fp32", None, 2.0, 100, True), Option("int8", steps[0].score, 1.0, 25, False))
    whole = RemedyReport(
        used, PICTURES, 3, steps, ("bias",), (), 1.0, False, rows, "A CPU"
    )  # fmt: skip
    return replace_struct(whole, **changes)


def replace_struct(whole: RemedyReport, **changes: Any) -> RemedyReport:
    import msgspec

    return msgspec.structs.replace(whole, **changes)


def test_the_text_tells_what_each_remedy_gained_and_what_else_could_run() -> None:
    words = report.text(some_report())
    assert "calibrated with 8 pictures of digits train, measured on 1000 others (seed 3)" in words
    assert "plain   -0.90  -1.54 to -0.25     99.10%  17.4 dB         0.2" in words
    (line,) = (line for line in words.splitlines() if line.startswith("bias"))
    assert line.endswith("kept           gained +0.50 top-1, +0.50 agreement, +3.5 dB  biases move")
    assert "nothing to do" in words
    assert "on this machine (A CPU; LiteRT, 1 thread; * on the Pareto front)" in words
    assert "applied: bias" in words


def test_the_refusal_names_the_loss_its_interval_and_the_limit() -> None:
    assert report.refusal(some_report()) == (
        "int8 moves top-1 by -0.40 points on 1000 training pictures, with 95 % confidence it loses "
        "at most 0.88, and --max-drift is 1"
    )


def test_the_text_says_how_few_pictures_there_were_and_what_they_cannot_show() -> None:
    words = report.text(some_report(asked_for=9, max_drift=None, held_back=50))
    assert "9 were asked for; a third of all is held back to measure on" in words
    said = "50 pictures cannot show that int8 loses less than 5.3 points of top-1, so no limit is"
    assert said in words
    many = report.text(some_report(asked_for=8, max_drift=None))
    assert "asked for" not in many
    assert "cannot show" not in many


def test_the_refusal_says_where_no_network_could_have_passed() -> None:
    words = report.refusal(some_report(held_back=50))
    assert words.endswith("and --max-drift is 1; so few pictures cannot show less than 5.33")


def run(*words: str | Path) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--remedy", "bais"), "no remedy 'bais'; did you mean 'bias'? (auto, bias, equalize"),
        (("--remedy", "auto,bias"), "--remedy auto stands alone; give it, or the names of"),
        (("--remedy", "none,bias"), "--remedy none stands alone; give it, or the names of"),
        (("--max-drift", "1"), "--max-drift is about remedies; give --remedy auto or their names"),
        (("--remedy", "none", "--qat-epochs", "1"), "--qat-epochs is about remedies"),
        (("--remedy", "qat"), "the remedy qat trains; say how long with --qat-epochs N"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], said: str) -> None:
    result = run("quantize", "nowhere", "--data", "digits", *words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("target", "words", "said"),
    [
        ("pc", ("--quantize", "none", "--remedy", "auto"), "--remedy is about int8 and int16x8"),
        ("pc", ("--quantize", "float16", "--remedy", "bias"), "hold fp32.tflite, fp32.onnx, float"),
        ("mcu", ("--remedy", "layers"), "the remedy layers keeps the worst layers float, and"),
        ("coral", ("--remedy", "bias,layers"), "the remedy layers keeps the worst layers float"),
        ("pc", ("--quantize", "int16x8", "--remedy", "layers"), "in int8 or int16x8 alone"),
    ],
)
def test_remedies_that_the_bundle_cannot_hold_are_refused_before_anything_takes_time(
    target: str, words: tuple[str, ...], said: str
) -> None:
    result = run("export", "--target", target, "--model", "nowhere", "--data", "digits", *words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize(
    ("target", "words", "whole"),
    [("pc", (), False), ("mcu", (), True), ("coral", (), True), ("rpi", ("int8", "int16x8"), True)],
)
def test_auto_keeps_no_layer_float_where_the_bundle_cannot_hold_it(
    target: str, words: tuple[Any, ...], whole: bool
) -> None:
    device = targets.load(target)
    wish = export._possible(Wish((AUTO,), qat_epochs=1), device, device.to_export(words))
    assert wish.ladder == [name for name in report.REMEDIES if not whole or name != "layers"]


def test_the_text_says_where_float_layers_do_not_run() -> None:
    words = report.text(some_report(remedies=("layers",), keep_float=("stem", "hidden")))
    assert "float: stem, hidden; so not for microcontrollers and the Edge TPU, which" in words
    assert "microcontrollers" not in report.text(some_report())


def test_int16x8_that_cannot_be_is_refused_before_the_ladder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModelSpec("mobilenet_v3_small", 0.5, LABELS, Preprocess(32, 32))
    checkpoints.save(tmp_path / "v3", Checkpoint(spec=spec), build(spec).state_dict())
    monkeypatch.setattr(ladder, "record", lambda *_, **__: pytest.fail("the ladder was climbed"))
    words = ("--quantize", "int16x8", "--data", "digits", "--remedy", "auto")
    result = run("export", "--target", "rpi", "--model", tmp_path / "v3", *words)
    assert result.exit_code == 1, result.output
    assert "int16x8 cannot hold this network: it has HARD_SWISH" in result.output


def test_remedies_without_pictures_are_refused() -> None:
    result = run("export", "--target", "rpi", "--remedy", "auto")
    assert result.exit_code == 2
    assert "--remedy has no effect on a recorded calibration; drop it, or" in result.output


def answer(*words: str | Path) -> Any:
    """What a command prints with ``--json``; exporters are quiet in a process of their own."""
    command = [sys.executable, "-m", "edgenet", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    network = build(SPEC)
    scatter(network, centred=True)
    checkpoints.save(folder, Checkpoint(spec=SPEC), network.state_dict())
    return folder


@pytest.mark.slow
def test_quantize_writes_the_remedied_weights_and_export_names_the_remedies(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "int8"
    words = ("--data", "digits", "--calib-samples", "32", "--remedy", "bias", "-o", out)
    found = answer("quantize", checkpoint, *words)
    assert found["remedies"] == ["bias"]
    assert found["held_back"] >= 500
    assert found["steps"][1]["score"]["snr_db"] > found["steps"][0]["score"]["snr_db"]
    record = checkpoints.read_record(out)
    assert checkpoints.has_int8(record)
    assert record.calibration is not None
    assert record.calibration.remedies == ("bias",)

    result = run("export", "--target", "rpi", "--model", out, "-o", tmp_path / "bundle")
    assert result.exit_code == 0, result.output
    assert "remedies: bias" in result.output

    result = run("quantize", out, "--data", "digits")
    assert result.exit_code == 2
    assert "holds weights for int8, which a plain calibration would drop" in result.output


def few_digits(folder: Path, each: int) -> Path:
    """The first pictures of each digit as a folder, and two more to evaluate on."""
    train = open_dataset("digits").splits["train"]
    for label in LABELS:
        found = np.flatnonzero(train.targets == int(label))[: each + 2]
        for number, index in enumerate(found.tolist()):
            place = folder / ("train" if number < each else "val") / label
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{index}.png"), train.rgb(index)[..., ::-1])
    return folder


@pytest.mark.slow
def test_few_pictures_are_parted_and_no_limit_stops_the_ladder(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = dict.fromkeys(ladder.STEPS, lambda candidate, _: candidate)
    monkeypatch.setattr(ladder, "STEPS", nothing)
    data = few_digits(tmp_path / "data", 3)
    result = run("quantize", checkpoint, "--data", data, "--remedy", "auto", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "calibrated with 20 pictures of data train, measured on 10 others" in result.output
    assert "200 were asked for; a third of all is held back to measure on" in result.output
    assert "10 pictures cannot show that int8 loses less than 23.1 points" in result.output
    assert result.output.count("nothing to do") == 6


def test_too_few_pictures_are_refused_and_nothing_is_written(
    checkpoint: Path, tmp_path: Path
) -> None:
    data = few_digits(tmp_path / "data", 1)
    out = tmp_path / "out"
    result = run("quantize", checkpoint, "--data", data, "--remedy", "auto", "-o", out)
    assert result.exit_code == 1
    assert "data has 10 different training pictures" in result.output
    assert not out.exists()


@pytest.mark.slow
def test_a_limit_that_no_remedy_keeps_ends_with_code_3_and_the_table(
    checkpoint: Path, tmp_path: Path
) -> None:
    words = ("--data", "digits", "--calib-samples", "16", "--remedy", "equalize")
    out = tmp_path / "bundle"
    result = run(
        *("export", "--target", "rpi", "--model", checkpoint, *words),
        *("--max-drift", "0", "-o", out),
    )
    assert result.exit_code == 3, result.output
    for name in ("fp32", "int8 + equalize", "int16x8", "float16", "dynamic"):
        assert f"\n{name} " in result.output
    assert "edgenet train --qat --init" in result.output
    assert not out.exists()


@pytest.mark.slow
def test_training_is_the_last_remedy_and_starts_from_those_before_it(
    checkpoint: Path, tmp_path: Path
) -> None:
    words = ("--remedy", "bias,qat", "--qat-epochs", "1", "--calib-samples", "16")
    out = tmp_path / "int8"
    steps = answer("quantize", checkpoint, "--data", "digits", *words, "-o", out)["steps"]
    assert [step["name"] for step in steps] == ["plain", "bias", "qat"]
    record, network = checkpoints.load_network(out)
    assert record.calibration is not None
    assert record.calibration.remedies == ("bias", "qat")
    assert record.calibration.training
    learned = checkpoints.int8_network(out, record, network).state_dict()
    assert not torch.equal(learned["stem.conv.weight"], network.stem.conv.weight)
