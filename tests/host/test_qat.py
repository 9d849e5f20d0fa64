"""``edgenet train --qat``: the float network stays, int8 is made of what learned beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from edgenet import image
from edgenet.cli.main import main
from edgenet.dataset import open_dataset
from edgenet.errors import CheckpointError, TrainingError, UsageError
from edgenet.host import checkpoint, learner, qat, recipe, tuning
from edgenet.host.callbacks import Observer
from edgenet.host.data import Pictures
from edgenet.host.fakequant import FakeQuantized
from edgenet.host.integer import IntegerGraph
from edgenet.host.machine import Machine
from edgenet.host.quantize import Calibrator
from edgenet.host.run import Run
from edgenet.host.settings import Settings
from edgenet.host.train import Outcome, train
from edgenet.spec import ModelSpec, Preprocess

CPU = Machine(accelerator="cpu", logger="none")
LABELS = ("bright", "dark")
SPEC = ModelSpec("mobilenet_v1", 0.1, LABELS, Preprocess(16, 16))
TINY = recipe.Recipe(
    epochs=2,
    batch_size=16,
    clip_norm=5,
    optimizer=recipe.Optimizer(name="adamw", lr=1e-3),
    augment=recipe.Augment(flip=True),
    qat=recipe.Qat(follow=0.1, frozen=0.5, distill=0.5),
)


class Stop(Observer):
    """Ends the run like Ctrl-C after an epoch."""

    def epoch(self, epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        if epoch == 1:
            raise KeyboardInterrupt


@dataclass
class Trained:
    """A float checkpoint, and the one that came of it."""

    data: Path
    before: Path
    after: Path
    outcome: Outcome

    def settings(self, **changes: object) -> Settings:
        made = qat.settings(self.before, str(self.data), LABELS, TINY)
        return msgspec.structs.replace(made, **changes)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two classes that a glance tells apart: dark and bright noise."""
    folder = tmp_path_factory.mktemp("qat")
    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 60)):
        for label, low in (("bright", 100), ("dark", 0)):
            place = folder / "data" / part / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(low, low + 156, (16, 16, 3), dtype=np.uint8)
                cv2.imwrite(str(place / f"{number}.png"), pixels)
    plain = recipe.Recipe(
        epochs=12, batch_size=8, optimizer=recipe.Optimizer(name="sgd", lr=0.1), clip_norm=5
    )
    data, before, after = folder / "data", folder / "before", folder / "after"
    train(Settings(data=str(data), spec=SPEC, recipe=plain), before, machine=CPU)
    settings = qat.settings(before, str(data), LABELS, TINY)
    outcome = train(settings, after, machine=CPU)
    assert outcome is not None
    return Trained(data, before, after, outcome)


def test_the_float_network_stays_and_int8_has_weights_and_ranges_of_its_own(
    trained: Trained,
) -> None:
    weights = [(f / checkpoint.WEIGHTS).read_bytes() for f in (trained.before, trained.after)]
    assert weights[0] == weights[1]
    record, network = checkpoint.load_network(trained.after)
    assert record == trained.outcome.checkpoint
    assert record.calibration is not None
    assert record.calibration.remedies == record.calibration.record.remedies == ("qat",)
    assert record.calibration.record.source == "data train"
    assert record.calibration.training["recipe"]["qat"]["distill"] == 0.5
    other = checkpoint.int8_network(trained.after, record, network)
    assert other is not network
    assert not Run(trained.after).resume.exists()


def test_both_networks_are_measured(trained: Trained) -> None:
    before = checkpoint.read_record(trained.before).metrics
    metrics = trained.outcome.checkpoint.metrics
    assert metrics["val_top1"] == before["val_top1"] == trained.outcome.score.top1
    assert trained.outcome.int8 is not None
    assert metrics["int8_val_top1"] == trained.outcome.int8.top1
    assert metrics["int8_val_loss"] != metrics["val_loss"]


def learned(folder: Path) -> tuple[FakeQuantized, IntegerGraph]:
    """The network as it was trained, and its int8 graph as export makes it."""
    record, network = checkpoint.load_network(folder)
    assert record.calibration is not None
    source = checkpoint.int8_network(folder, record, network)
    rounding = FakeQuantized(source, record.spec)
    for name, (low, high) in record.calibration.ranges.items():
        rounding.activations[name].low.fill_(low)
        rounding.activations[name].high.fill_(high)
    rounding.settle(0.0)
    calibrator = Calibrator(source, record.spec)
    calibrator.apply(record.calibration.ranges)
    return rounding.eval(), IntegerGraph(calibrator.convert())


def evaluation(data: str, preprocess: Preprocess) -> tuple[torch.Tensor, torch.Tensor]:
    split = open_dataset(data).evaluation
    fitted = [image.fit(split.rgb(i), preprocess) for i in range(len(split))]
    pictures = np.stack([image.normalize(pixels, preprocess) for pixels in fitted])
    return torch.from_numpy(pictures), torch.tensor(split.targets)


def test_the_exported_graph_answers_as_the_network_that_learned(trained: Trained) -> None:
    rounding, graph = learned(trained.after)
    pictures, targets = evaluation(str(trained.data), SPEC.preprocess)
    with torch.no_grad():
        ours = rounding(pictures.permute(0, 3, 1, 2))
    theirs = graph.logits(pictures)
    away = ((ours - theirs) / rounding.activations["classifier"].scale).abs().round()
    # a wrong scale or weight is tens of codes away; in a network this small, what rounding moves
    # grows from layer to layer, so that the trained one below is where codes are counted
    assert away.mean() <= 1
    assert trained.outcome.int8 is not None
    assert (theirs.argmax(1) == targets).float().mean() == pytest.approx(trained.outcome.int8.top1)


@pytest.mark.slow
def test_digits_from_float_to_the_file_on_the_device(tmp_path: Path) -> None:
    """The int8.tflite of the bundle scores what training said, to the picture."""
    run = CliRunner().invoke
    float_run, qat_run, bundle = (str(tmp_path / name) for name in ("float", "qat", "bundle"))
    common = ("--data", "digits", "--accelerator", "cpu", "--logger", "none", "--json")
    for words in (
        ("train", *common, "--epochs", "12", "-o", float_run),
        ("train", "--qat", "--init", float_run, *common, "--epochs", "2", "-o", qat_run),
        ("export", "--target", "pc", "--model", qat_run, "-o", bundle),
    ):
        result = run(main, words)
        assert result.exit_code == 0, result.output
    result = run(main, ["evaluate", bundle, "--data", "digits", "--json"])
    metrics = checkpoint.read_record(tmp_path / "qat").metrics
    results = json.loads(result.stdout)["results"]
    found = {one["variant"]: one["top1"]["count"] / one["top1"]["of"] for one in results}
    assert found["int8.tflite"] == pytest.approx(metrics["int8_test_top1"])
    assert found["fp32.tflite"] == pytest.approx(metrics["test_top1"])
    assert metrics["int8_test_top1"] >= 0.93
    rounding, graph = learned(tmp_path / "qat")
    pictures, _ = evaluation("digits", Preprocess(32, 32))
    with torch.no_grad():
        ours = rounding(pictures.permute(0, 3, 1, 2))
    theirs = graph.logits(pictures)
    assert (ours.argmax(1) == theirs.argmax(1)).float().mean() >= 0.99
    away = ((ours - theirs) / rounding.activations["classifier"].scale).abs().round()
    # layer by layer codes are equal or neighbours (test_fakequant); from layer to layer what float
    # sums round otherwise adds up, as between two families of engines
    assert (away <= 1).float().mean() >= 0.85
    assert away.max() <= 8


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_weights(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="interrupted; continue with"):
        train(trained.settings(), tmp_path / "run", machine=CPU, observer=Stop())
    run = Run(tmp_path / "run")
    resumed = train(run.recall(), run.folder, machine=CPU, resume=True)
    assert resumed is not None
    assert resumed.checkpoint == trained.outcome.checkpoint


@pytest.mark.slow
def test_the_seed_decides_the_order(trained: Trained, tmp_path: Path) -> None:
    other = train(trained.settings(seed=1), tmp_path / "run", machine=CPU)
    assert other is not None
    ours, theirs = (o.checkpoint.calibration for o in (trained.outcome, other))
    assert ours is not None
    assert theirs is not None
    assert ours.weights_sha256 != theirs.weights_sha256


@pytest.mark.slow
def test_training_goes_on_from_the_weights_that_int8_had(trained: Trained, tmp_path: Path) -> None:
    said: list[str] = []
    observer = Observer()
    observer.stage = said.append  # type: ignore[method-assign]
    outcome = qat.tune(
        trained.after, tmp_path / "run", str(trained.data), epochs=1, observer=observer
    )
    assert outcome.checkpoint.calibration is not None
    assert outcome.checkpoint.calibration.remedies == ("qat",)
    assert any(sentence.endswith("after qat") for sentence in said)


@pytest.mark.slow
def test_a_checkpoint_that_changed_is_not_gone_on_from(trained: Trained, tmp_path: Path) -> None:
    spec = msgspec.structs.replace(SPEC, labels=("dark", "bright"))
    with pytest.raises(CheckpointError, match="holds another network than the one"):
        train(trained.settings(spec=spec), tmp_path / "run", machine=CPU)


def pictures() -> Pictures:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (32, 16, 16, 3), dtype=torch.uint8, generator=generator)
    return Pictures(pixels, torch.arange(32) % 2)


def test_the_target_is_the_label_and_the_float_networks_answer(trained: Trained) -> None:
    model = tuning.start(trained.settings(), Observer())
    module = tuning.QatLearner(model, trained.settings(), train=pictures(), val=pictures())
    batch = learner.normalize(pictures().pixels, SPEC.preprocess)
    labels = torch.eye(2)[pictures().targets]
    with torch.no_grad():
        answers = checkpoint.load_network(trained.before)[1](batch).softmax(1)
    # the teacher is folded, so that its sums come in another order
    assert torch.allclose(module.aims(batch, labels), (labels + answers) / 2, atol=1e-5)
    assert not any("teacher" in name for name in module.state_dict())


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [0.0, 1.0])
def test_ranges_stay_in_the_last_part(trained: Trained, tmp_path: Path, frozen: float) -> None:
    changed = msgspec.structs.replace(TINY, qat=recipe.Qat(follow=0.1, frozen=frozen))
    settings = trained.settings(recipe=changed)
    model = tuning.start(settings, Observer())
    split = open_dataset(str(trained.data)).splits["train"]
    fitted = [image.fit(split.rgb(i), SPEC.preprocess) for i in range(len(split))]
    seen = Pictures(torch.from_numpy(np.stack(fitted)), torch.from_numpy(np.array(split.targets)))
    first = tuning.QatLearner(model, settings, train=seen, val=seen).model.ranges()
    outcome = train(settings, tmp_path / "run", machine=CPU)
    assert outcome is not None
    assert outcome.checkpoint.calibration is not None
    assert (outcome.checkpoint.calibration.ranges == first) == (frozen == 1.0)


def test_other_classes_are_refused(trained: Trained) -> None:
    with pytest.raises(UsageError, match=r"has 3 classes, 2 has .*; --qat keeps the head"):
        qat.settings(trained.before, "pets", ("a", "b", "c"), TINY)
    with pytest.raises(UsageError, match=r"pets has other classes than .*; --qat keeps the head"):
        qat.settings(trained.before, "pets", ("a", "b"), TINY)


def test_a_recipe_for_it_has_a_section_for_it_and_no_average(trained: Trained) -> None:
    plain = msgspec.structs.replace(TINY, qat=None)
    with pytest.raises(UsageError, match=r"no \[qat\] section, which --qat needs; leave --recipe"):
        qat.settings(trained.before, str(trained.data), LABELS, plain)
    with pytest.raises(
        UsageError, match=r"ema is 0\.9, but no average is kept of weights that are"
    ):
        recipe.load("qat", ("ema=0.9",))
    with pytest.raises(UsageError, match="no qat key 'distil'; did you mean 'distill'"):
        recipe.load("qat", ("qat.distil=0.9",))
