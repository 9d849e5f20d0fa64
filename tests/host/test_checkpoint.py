from __future__ import annotations

import json

import msgspec
import pytest

from edgenet.bundle import Calibration
from edgenet.errors import CheckpointError
from edgenet.host import checkpoint
from edgenet.host.checkpoint import CalibrationRecord, Checkpoint, load, save
from edgenet.host.models import build
from edgenet.host.tensors import as_stored
from edgenet.spec import ModelSpec, Preprocess

torch = pytest.importorskip("torch", reason="torch is not installed")

SPEC = ModelSpec("mobilenet_v1", 0.25, ("cat", "dog"), Preprocess(32, 32))


@pytest.fixture
def weights():
    torch.manual_seed(0)
    return build(SPEC).state_dict()


def test_what_is_saved_is_what_is_loaded(tmp_path, weights):
    calibration = CalibrationRecord(
        Calibration("digits train", 2, 0, "minmax", ("ab", "cd")), {"stem": (0.0, 5.5)}
    )
    record = Checkpoint(
        spec=SPEC,
        metrics={"val_top1": 0.5},
        recipe={"epochs": 3, "optimizer": {"lr": 0.1}},
        data={"name": "digits"},
        seed=7,
        versions={"torch": "2"},
        calibration=calibration,
    )
    written = save(tmp_path / "new" / "run", record, weights)
    loaded, tensors = load(tmp_path / "new" / "run")
    assert loaded == written
    assert msgspec.structs.replace(loaded, weights_sha256="") == record
    assert set(tensors) == set(weights)
    assert all(torch.equal(tensors[name], weights[name]) for name in weights)


def test_the_files_are_the_same_bytes_every_time(tmp_path, weights):
    save(tmp_path / "a", Checkpoint(spec=SPEC), weights)
    save(tmp_path / "b", Checkpoint(spec=SPEC), dict(reversed(weights.items())))
    for name in (checkpoint.WEIGHTS, checkpoint.RECORD):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_half_precision_halves_weights_and_spares_vectors(tmp_path, weights):
    variance = "stem.norm.running_var"
    weights[variance].fill_(1e-9)  # zero in float16
    save(tmp_path / "full", Checkpoint(spec=SPEC), weights)
    save(tmp_path / "half", Checkpoint(spec=SPEC), weights, float16=True)
    sizes = [(tmp_path / name / checkpoint.WEIGHTS).stat().st_size for name in ("full", "half")]
    assert 0.5 < sizes[1] / sizes[0] < 0.6
    _, tensors = load(tmp_path / "half")
    assert torch.equal(tensors[variance], weights[variance])
    assert torch.equal(tensors["stem.conv.weight"], weights["stem.conv.weight"].half().float())
    assert tensors["stem.conv.weight"].dtype == torch.float32
    foreseen = as_stored(weights, float16=True)
    assert all(torch.equal(tensors[name], foreseen[name]) for name in weights)


def test_channels_last_weights_are_stored_in_their_logical_order(tmp_path, weights):
    turned = {
        name: t.to(memory_format=torch.channels_last) if t.ndim == 4 else t
        for name, t in weights.items()
    }
    save(tmp_path, Checkpoint(spec=SPEC), turned)
    assert torch.equal(load(tmp_path)[1]["stem.conv.weight"], weights["stem.conv.weight"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_not_written(tmp_path, weights, value):
    weights["stem.conv.weight"][0, 0, 0, 0] = value
    with pytest.raises(CheckpointError, match=r"stem\.conv\.weight has values that are not finite"):
        save(tmp_path / "run", Checkpoint(spec=SPEC), weights)
    assert not (tmp_path / "run").exists()


def test_weights_too_large_for_float16_are_refused(tmp_path, weights):
    weights["stem.conv.weight"][0, 0, 0, 0] = 1e5
    save(tmp_path, Checkpoint(spec=SPEC), weights)
    with pytest.raises(CheckpointError, match="not finite in float16"):
        save(tmp_path, Checkpoint(spec=SPEC), weights, float16=True)


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path, weights, monkeypatch):
    save(tmp_path, Checkpoint(spec=SPEC, seed=1), weights)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save(tmp_path, Checkpoint(spec=SPEC, seed=2), weights)
    assert load(tmp_path)[0].seed == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.RECORD, checkpoint.WEIGHTS]


def change_json(folder, **changes):
    path = folder / checkpoint.RECORD
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(key):
    def spoil(folder):
        path = folder / checkpoint.RECORD
        content = json.loads(path.read_text())
        del content[key]
        path.write_text(json.dumps(content))

    return spoil


def swap_weights(folder):
    """Puts a file of another format where the weights were, with the right digest."""
    import hashlib

    content = b"\x80\x04pickle"
    (folder / checkpoint.WEIGHTS).write_bytes(content)
    change_json(folder, weights_sha256=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / checkpoint.RECORD).unlink(), r"is no checkpoint: checkpoint\.json cannot"),
        (lambda f: (f / checkpoint.WEIGHTS).unlink(), r"model\.safetensors cannot be read"),
        (lambda f: (f / checkpoint.RECORD).write_text("{"), r"checkpoint\.json is malformed"),
        (lambda f: change_json(f, schema=99), "schema 99, this edgenet reads up to 2"),
        (lambda f: change_json(f, seed="x"), r"malformed: Expected `int`.*seed"),
        (without("spec"), "malformed: .*spec"),
        (without("schema"), "malformed: .*schema"),
        (
            lambda f: (f / checkpoint.WEIGHTS).write_bytes(b"x"),
            "changed after the checkpoint was written",
        ),
        (swap_weights, "is no safetensors file"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_a_sentence(tmp_path, weights, spoil, words):
    save(tmp_path, Checkpoint(spec=SPEC), weights)
    spoil(tmp_path)
    with pytest.raises(CheckpointError, match=words) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_missing_folder_is_told_the_nearest_and_what_makes_one(tmp_path):
    (tmp_path / "digits-run").mkdir()
    with pytest.raises(CheckpointError, match=r"did you mean '.*digits-run'\?; .*'edgenet train'"):
        load(tmp_path / "digit-run")


def test_keys_of_a_later_edgenet_are_passed_over(tmp_path, weights):
    save(tmp_path, Checkpoint(spec=SPEC), weights)
    change_json(tmp_path, invented_later=True)
    assert load(tmp_path)[0].spec == SPEC
