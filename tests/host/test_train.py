from __future__ import annotations

import json
import math
import pickle
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgenet import image
from edgenet.errors import CheckpointError, TrainingError, UsageError
from edgenet.host import augment, checkpoint, learner, optimizer, recipe, transfer
from edgenet.host.callbacks import Observer
from edgenet.host.data import Pictures
from edgenet.host.machine import Machine
from edgenet.host.models import build
from edgenet.host.run import Run
from edgenet.host.settings import Settings, default_recipe, default_spec
from edgenet.host.train import train
from edgenet.spec import ModelSpec, Preprocess

torch = pytest.importorskip("torch", reason="torch is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

CPU = Machine(accelerator="cpu", logger="none")
TINY = recipe.Recipe(
    epochs=2,
    batch_size=16,
    ema=0.9,
    clip_norm=5,
    label_smoothing=0.1,
    optimizer=recipe.Optimizer(name="sgd", lr=0.05, nesterov=True, weight_decay=1e-4),
    augment=recipe.Augment(crop="pad", pad=1, flip=True, color=0.1),
)


@pytest.fixture
def folder(tmp_path):
    """Two classes that a glance tells apart: dark and bright noise, 24 pictures each of 16x16."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 8)):
        for label, low in (("bright", 128), ("dark", 0)):
            place = tmp_path / "data" / part / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(low, low + 128, (16, 16, 3), dtype=np.uint8)
                cv2.imwrite(str(place / f"{number}.png"), pixels)
    return tmp_path / "data"


def settings(folder, **changes):
    spec = ModelSpec("mobilenet_v1", 0.1, ("bright", "dark"), Preprocess(16, 16))
    return msgspec.structs.replace(Settings(data=str(folder), spec=spec, recipe=TINY), **changes)


class Recorder(Observer):
    def __init__(self) -> None:
        self.said: list[str] = []
        self.epochs: list[dict[str, float]] = []

    def stage(self, text):
        self.said.append(text)

    def epoch(self, epoch, epochs, metrics):
        self.epochs.append(metrics)


class Stop(Observer):
    """Ends the run like Ctrl-C after an epoch."""

    def __init__(self, after):
        self.after = after

    def epoch(self, epoch, epochs, metrics):
        if epoch == self.after:
            raise KeyboardInterrupt


def with_recipe(**changes):
    return msgspec.structs.replace(TINY, **changes)


# whole runs


def test_a_run_leaves_a_checkpoint_that_measures_what_it_says(folder, tmp_path):
    small = settings(folder, recipe=with_recipe(epochs=12, batch_size=8), float16=True)
    outcome = train(small, tmp_path / "run", machine=CPU)
    record, weights = checkpoint.load(tmp_path / "run")
    assert outcome.checkpoint == record
    assert record.metrics["val_top1"] == outcome.score.top1
    assert record.metrics.keys() == {"val_top1", "val_loss"}  # two classes have no top-5
    assert record.data["images"] == {"train": 48, "val": 16}
    assert record.data["name"] == "data"
    assert str(tmp_path) not in json.dumps(msgspec.to_builtins(record))
    model = build(record.spec)
    model.load_state_dict(weights)
    model.eval()
    right = 0
    for path in (folder / "val").rglob("*.png"):
        fitted = image.fit(image.read_rgb(path), record.spec.preprocess)
        pixels = image.normalize(fitted, record.spec.preprocess)
        logits = model(torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0))
        right += record.spec.labels[int(logits.argmax())] == path.parent.name
    assert right / 16 == outcome.score.top1


@pytest.mark.slow
def test_digits_reach_97_percent_with_nothing_but_defaults(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn comes with the host extra")
    labels = tuple("0123456789")
    wanted = dict.fromkeys(("arch", "alpha", "imgsz", "resize"))
    spec = default_spec("digits", labels, init=None, wanted=wanted)
    quick = recipe.load(default_recipe("digits"))
    outcome = train(Settings(data="digits", spec=spec, recipe=quick), tmp_path / "run", machine=CPU)
    assert outcome.score.top1 >= 0.97


def test_a_class_that_is_missing_in_val_is_told(folder, tmp_path):
    shutil.rmtree(folder / "val" / "dark")
    recorder = Recorder()
    short = settings(folder, recipe=with_recipe(epochs=1))
    outcome = train(short, tmp_path / "run", machine=CPU, observer=recorder)
    assert "data: val has no pictures of 'dark'" in recorder.said
    assert outcome.checkpoint.data["note"] == "val has no pictures of 'dark'"


def test_the_seed_decides_the_weights(folder, tmp_path):
    runs = {"a": 1, "b": 1, "c": 2}
    outcomes = [
        train(settings(folder, seed=seed), tmp_path / name, machine=CPU)
        for name, seed in runs.items()
    ]
    first, again, other = (outcome.checkpoint.weights_sha256 for outcome in outcomes)
    assert first == again != other


def test_an_interrupted_run_goes_on_to_the_same_weights(folder, tmp_path):
    straight = train(settings(folder), tmp_path / "straight", machine=CPU)
    with pytest.raises(TrainingError, match=r"interrupted; continue with: .*--resume -o .*broken"):
        train(settings(folder), tmp_path / "broken", machine=CPU, observer=Stop(after=1))
    run = Run(tmp_path / "broken")
    recorder = Recorder()
    resumed = train(run.recall(), run.folder, machine=CPU, resume=True, observer=recorder)
    assert len(recorder.epochs) == 1
    assert resumed.checkpoint.weights_sha256 == straight.checkpoint.weights_sha256
    assert not run.resume.exists()


def test_validation_happens_as_often_as_the_recipe_says(folder, tmp_path):
    recorder = Recorder()
    sparse = settings(folder, recipe=with_recipe(epochs=4, validate_every=2))
    train(sparse, tmp_path / "run", machine=CPU, observer=recorder)
    assert ["val_top1" in metrics for metrics in recorder.epochs] == [False, True, False, True]


def test_patience_stops_early_and_keeps_the_best(folder, tmp_path, monkeypatch):
    scores = iter([0.5, 0.75, 0.25, 0.25, 0.25, 0.25])
    seen = []

    def scored(*_):
        seen.append(next(scores))
        return learner.Score(seen[-1], 1.0, 1.0, 16)

    kept = []
    original = learner.Learner.on_validation_epoch_end
    monkeypatch.setattr(learner, "score", scored)

    def watch(self):
        original(self)
        kept.append(self.average.state_dict()["stem.conv.weight"].clone())

    monkeypatch.setattr(learner.Learner, "on_validation_epoch_end", watch)
    patient = settings(folder, recipe=with_recipe(epochs=20), patience=2)
    outcome = train(patient, tmp_path / "run", machine=CPU)
    assert outcome.epochs == 4
    assert outcome.checkpoint.data["kept"] == "best on validation"
    _, weights = checkpoint.load(tmp_path / "run")
    assert torch.equal(weights["stem.conv.weight"], kept[1])


def test_without_a_validation_split_patience_holds_one_out(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn comes with the host extra")
    spec = ModelSpec("mobilenet_v1", 0.1, tuple("0123456789"), Preprocess(16, 16))
    short = with_recipe(epochs=1, batch_size=256)
    given = Settings(data="digits", spec=spec, recipe=short, patience=1)
    outcome = train(given, tmp_path / "run", machine=CPU)
    assert outcome.checkpoint.data["images"] == {"train": 1167, "test": 500}


def test_patience_never_picks_on_the_split_that_is_reported(folder, tmp_path, monkeypatch):
    watched = []
    original = learner.Learner.__init__

    def watch(self, *arguments, val, **options):
        watched.append(val)
        original(self, *arguments, val=val, **options)

    monkeypatch.setattr(learner.Learner, "__init__", watch)
    short = settings(folder, recipe=with_recipe(epochs=1), patience=1)
    outcome = train(short, tmp_path / "held", machine=CPU)
    assert outcome.checkpoint.data["images"] == {"train": 44, "val": 16}
    (folder / "val").rename(folder / "test")
    shutil.copytree(folder / "train", folder / "val")
    outcome = train(short, tmp_path / "given", machine=CPU)
    assert outcome.checkpoint.data["images"] == {"train": 48, "test": 16}
    assert [len(pictures) for pictures in watched] == [4, 48]


def test_a_loss_that_is_no_number_ends_the_run_in_words(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(augment, "vary", lambda batch, _: batch * math.nan)
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1; lower the learning"):
        train(settings(folder), tmp_path / "run", machine=CPU)


@pytest.mark.parametrize("name", ["csv", "tensorboard"])
def test_curves_are_written(folder, tmp_path, name):
    machine = Machine(accelerator="cpu", logger=name)
    train(settings(folder), tmp_path / "run", machine=machine)
    logs = tmp_path / "run" / "training" / "logs" / "version_0"
    (log,) = [path for path in logs.iterdir() if path.suffix != ".yaml"]
    if name == "csv":
        header, *rows = log.read_text().splitlines()
        assert {"epoch", "lr", "train_loss", "val_top1", "val_loss"} <= set(header.split(","))
        assert len(rows) >= 2
    else:
        assert log.name.startswith("events.out.tfevents")


def test_decoded_pictures_can_stay_in_a_file(folder, tmp_path):
    mapped = Machine(accelerator="cpu", logger="none", cache=tmp_path / "cache")
    digests = {
        train(settings(folder), tmp_path / name, machine=machine).checkpoint.weights_sha256
        for name, machine in (("memory", CPU), ("file", mapped))
    }
    assert len(digests) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_mixed_precision_trains_too(folder, tmp_path):
    outcome = train(settings(folder, precision="bf16-mixed"), tmp_path / "run", machine=CPU)
    assert math.isfinite(outcome.score.loss)


def test_a_device_that_is_not_there_is_refused_in_words(folder, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(UsageError, match="cannot train on this device"):
        train(settings(folder), tmp_path / "run", machine=Machine(accelerator="gpu"))
    assert not (tmp_path / "run").exists()


# the run's folder


def test_a_folder_in_use_is_refused(folder, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"run is not empty; choose another folder"):
        train(settings(folder), tmp_path / "run", machine=CPU)


def test_an_unfinished_run_is_not_overwritten(folder, tmp_path):
    with pytest.raises(TrainingError):
        train(settings(folder), tmp_path / "run", machine=CPU, observer=Stop(after=1))
    with pytest.raises(UsageError, match="holds an unfinished run; continue it with --resume"):
        train(settings(folder), tmp_path / "run", machine=CPU)


def test_there_must_be_a_run_to_resume(folder, tmp_path):
    with pytest.raises(UsageError, match="holds no run to resume"):
        Run(tmp_path).recall()
    train(settings(folder), tmp_path / "run", machine=CPU)
    with pytest.raises(UsageError, match="is finished; there is nothing to resume"):
        Run(tmp_path / "run").recall()


def test_a_run_killed_before_anything_was_kept_starts_anew(folder, tmp_path):
    run = Run(tmp_path / "run")
    run.begin(settings(folder))
    recorder = Recorder()
    outcome = train(run.recall(), run.folder, machine=CPU, resume=True, observer=recorder)
    assert "starting anew: nothing was kept yet" in recorder.said
    assert outcome.epochs == 2


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


def test_a_pickle_that_runs_code_is_never_loaded(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run(tmp_path / "run")
    run.begin(settings(folder))
    for content in (pickle.dumps(Evil()), b"damaged"):
        run.resume.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"resume\.ckpt cannot be read safely; delete it"):
            train(run.recall(), run.folder, machine=CPU, resume=True)
    torch.save({"state_dict": Evil()}, run.resume)
    with pytest.raises(CheckpointError, match="cannot be read safely"):
        train(run.recall(), run.folder, machine=CPU, resume=True)
    assert not (tmp_path / "ran").exists()


def test_damaged_settings_are_named(folder, tmp_path):
    run = Run(tmp_path / "run")
    run.begin(settings(folder))
    run.settings.write_text('{"data": 1}')
    with pytest.raises(CheckpointError, match=r"run\.json is malformed"):
        run.recall()


# transfer


@pytest.fixture
def base(tmp_path):
    """A checkpoint of three other classes."""
    torch.manual_seed(5)
    spec = ModelSpec("mobilenet_v1", 0.1, ("a", "b", "c"), Preprocess(24, 24, mean=(0.5,) * 3))
    checkpoint.save(tmp_path / "base", checkpoint.Checkpoint(spec=spec), build(spec).state_dict())
    return tmp_path / "base"


def test_another_class_count_gets_a_new_head_and_is_told_so(folder, base, tmp_path):
    recorder = Recorder()
    train(
        settings(folder, init=str(base), freeze="features"),
        tmp_path / "run",
        machine=CPU,
        observer=recorder,
    )
    said = " ".join(recorder.said)
    assert "its head knows 3 other classes: a new one is trained for 2" in said
    assert "frozen: all but the classifier" in said
    before, after = checkpoint.load(base)[1], checkpoint.load(tmp_path / "run")[1]
    for name, tensor in after.items():
        if name.startswith("classifier"):
            assert tensor.shape[0] == 2
        else:
            assert torch.equal(before[name], tensor), name  # batch norm statistics too


def test_the_same_classes_keep_the_head(folder, tmp_path):
    train(settings(folder), tmp_path / "first", machine=CPU)
    spec = settings(folder).spec
    model = build(spec)
    said = transfer.start_from(model, spec, tmp_path / "first")
    assert len(said) == 1
    weights = checkpoint.load(tmp_path / "first")[1]
    assert torch.equal(model.classifier.weight, weights["classifier.weight"])


def test_some_blocks_can_be_frozen(folder, base, tmp_path):
    train(settings(folder, init=str(base), freeze="2"), tmp_path / "run", machine=CPU)
    before, after = checkpoint.load(base)[1], checkpoint.load(tmp_path / "run")[1]
    kept = {name for name in before if name in after and before[name].equal(after[name])}
    assert {n for n in before if n.startswith(("stem", "blocks.0.", "blocks.1."))} <= kept
    assert "blocks.2.pointwise.conv.weight" not in kept
    assert "blocks.2.depthwise.norm.running_mean" not in kept


@pytest.mark.parametrize("part", ["14", "-1", "head", "1.5"])
def test_a_part_that_the_network_does_not_have_cannot_be_frozen(part):
    spec = ModelSpec("mobilenet_v1", 0.1, ("a", "b"), Preprocess(16, 16))
    with pytest.raises(UsageError, match="give 'features' or 0 to 13 blocks"):
        transfer.freeze(build(spec), part)


def test_a_checkpoint_of_another_network_is_refused(base):
    spec = ModelSpec("mobilenet_v1", 0.25, ("a", "b"), Preprocess(16, 16))
    with pytest.raises(CheckpointError, match=r"has alpha 0\.1, asked for is 0\.25"):
        transfer.start_from(build(spec), spec, base)


def test_what_is_left_open_comes_from_the_data_or_from_the_checkpoint(base):
    open_ = dict.fromkeys(("arch", "alpha", "imgsz", "resize"))
    spec = default_spec("digits", ("0", "1"), init=None, wanted=open_)
    assert (spec.arch, spec.alpha, spec.preprocess.width) == ("mobilenet_v1", 0.25, 32)
    spec = default_spec("cifar10:x", ("0", "1"), init=None, wanted=open_)
    assert (spec.arch, spec.alpha, spec.preprocess.width) == ("mobilenet_v1_cifar", 1.0, 32)
    spec = default_spec("x", ("0", "1"), init=base, wanted=open_)
    assert (spec.alpha, spec.preprocess.width, spec.preprocess.mean) == (0.1, 24, (0.5, 0.5, 0.5))
    assert spec.labels == ("0", "1")
    spec = default_spec("x", ("0", "1"), init=None, wanted={**open_, "arch": "mobilenet_v1_cifar"})
    assert spec.preprocess.width == 32
    with pytest.raises(UsageError, match="did you mean 'mobilenet_v1'"):
        default_spec("x", ("0", "1"), init=None, wanted={**open_, "arch": "mobilnet_v1"})


# parts


def test_neither_norms_nor_biases_nor_depthwise_filters_decay():
    model = build(ModelSpec("mobilenet_v1", 0.1, ("a", "b"), Preprocess(16, 16)))
    names = {id(p): name for name, p in model.named_parameters()}
    plain = recipe.Optimizer(name="sgd", lr=0.1, weight_decay=0.1)
    decayed = {names[id(p)] for p in optimizer.make(model, plain).param_groups[0]["params"]}
    assert {"stem.conv.weight", "blocks.0.pointwise.conv.weight", "classifier.weight"} <= decayed
    assert not [n for n in decayed if "norm" in n or "depthwise" in n or n.endswith("bias")]
    also = msgspec.structs.replace(plain, decay_depthwise=True)
    decayed = {names[id(p)] for p in optimizer.make(model, also).param_groups[0]["params"]}
    assert "blocks.0.depthwise.conv.weight" in decayed


@pytest.mark.parametrize("name", ["sgd", "adamw", "rmsprop"])
def test_every_optimizer_learns(name):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    made = optimizer.make(model, recipe.Optimizer(name=name, lr=0.05, weight_decay=0.01))
    x = torch.randn(64, 2)
    losses = []
    for _ in range(50):
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        made.zero_grad()
        loss.backward()
        made.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert made.param_groups[0]["weight_decay"] == 0.01


def test_the_learning_rate_rises_and_falls():
    curve = optimizer.factor(recipe.Schedule(warmup_epochs=2, final=0.1), epochs=10, steps=5)
    values = [curve(step) for step in range(50)]
    assert 0 < values[0] < 0.1
    assert values[:11] == sorted(values[:11])
    assert values[10] == max(values) == 1
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[30] == pytest.approx(0.55)
    assert curve(50) == pytest.approx(0.1)
    falling = optimizer.factor(recipe.Schedule(name="exponential", rate=0.5), epochs=9, steps=3)
    assert [falling(step) for step in (0, 2, 3, 8)] == [1, 1, 0.5, 0.25]
    assert optimizer.factor(recipe.Schedule(name="constant"), epochs=9, steps=3)(20) == 1


def test_the_input_is_the_bundles_input_to_the_last_bit():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    for preprocess in (
        Preprocess(5, 6),
        Preprocess(5, 6, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    ):
        ours = learner.normalize(torch.from_numpy(pixels), preprocess)
        theirs = image.normalize(pixels, preprocess)
        assert np.array_equal(ours.permute(0, 2, 3, 1).numpy(), theirs)


def test_scores_are_counted_right():
    logits = torch.tensor([[9.0, 1, 2, 3, 4, 5], [0, 9, 1, 2, 3, 4], [0, 9, 8, 7, 6, 5]])
    targets = torch.tensor([0, 2, 0])
    found = learner.score(
        learner.tally(logits, targets) + learner.tally(logits[:1], targets[:1]), 6
    )
    assert (found.top1, found.top5, found.images) == (2 / 4, 3 / 4, 4)
    loss = torch.nn.functional.cross_entropy(logits[[0, 1, 2, 0]], targets[[0, 1, 2, 0]])
    assert found.loss == pytest.approx(loss.item(), rel=1e-6)


def test_the_average_follows_the_weights(folder, tmp_path):
    spec = settings(folder).spec
    pictures = Pictures(torch.zeros(16, 16, 16, 3, dtype=torch.uint8), torch.arange(16) % 2)
    module = learner.Learner(
        build(spec), TINY, spec.preprocess, train=pictures, val=pictures, seed=0
    )
    assert module.learned is module.average
    assert not any(p.requires_grad for p in module.average.parameters())
    module.train()
    assert module.model.training
    assert not module.average.training
    without = learner.Learner(
        build(spec), with_recipe(ema=0.0), spec.preprocess, train=pictures, val=pictures, seed=0
    )
    assert without.learned is without.model


def test_batch_norm_gets_the_recipes_momentum(folder):
    spec = settings(folder).spec
    model = build(spec)
    nothing = Pictures(torch.zeros(1), torch.zeros(1))
    changed = with_recipe(norm_momentum=0.03)
    learner.Learner(model, changed, spec.preprocess, train=nothing, val=nothing, seed=0)
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {m.momentum for m in norms} == {0.03}
    assert {m.eps for m in norms} == {1e-3}
