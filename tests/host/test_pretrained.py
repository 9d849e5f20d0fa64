"""Weights of timm and torchvision: every name and shape, the same answers, the hub, bad files."""

from __future__ import annotations

import hashlib
import json
import pickle
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import published
import pytest
import torch
from click.testing import CliRunner
from huggingface_hub import constants
from safetensors.torch import save_file

from edgenet.cli.main import main
from edgenet.errors import CheckpointError, UsageError
from edgenet.host import checkpoint, layouts, pretrained
from edgenet.host.models import build
from edgenet.host.settings import default_spec
from edgenet.spec import ModelSpec, Preprocess

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "layouts.json").read_bytes())
LABELS = tuple(map(str, range(1000)))
SMALL = "timm mobilenetv3_small_050"
QUICK = {SMALL, "timm mobilenetv2_035", "timm tf_mobilenetv3_small_minimal_100"}
QUICK |= {"torchvision mobilenet_v2", "torchvision mobilenet_v3_small"}
NOTHING = dict.fromkeys(("arch", "alpha", "imgsz", "resize"))


def tensors(name: str) -> dict[str, torch.Tensor]:
    shapes = published.unpacked(GOLDEN[name]["names"])
    return {key: torch.from_numpy(value) for key, value in published.weights(shapes).items()}


def saved(name: str, folder: Path) -> Path:
    """The weights of a layout in the file that its library publishes."""
    library, _, network = name.partition(" ")
    if library == "timm":
        path = folder / f"{network}.safetensors"
        save_file(tensors(name), path)
    else:
        path = folder / f"{network}.pth"
        torch.save(tensors(name), path)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return saved(SMALL, tmp_path)


NIGHTLY = (pytest.mark.slow, pytest.mark.nightly)


@pytest.mark.parametrize("name", GOLDEN)
def test_every_name_and_shape_of_a_layout_is_a_weight_of_ours(name: str) -> None:
    entry = GOLDEN[name]
    spec = ModelSpec(entry["arch"], entry["alpha"], LABELS, Preprocess(32, 32))
    with torch.device("meta"):
        wanted = build(spec).state_dict()
        shapes = published.unpacked(entry["names"])
        given = {key: torch.empty(shape) for key, shape in shapes.items()}
    found = layouts.translate(given, spec.arch, wanted)
    assert found.keys() == wanted.keys()
    assert len(found) == len(given)
    parameters = [t for key, t in found.items() if key.rpartition(".")[2] in ("weight", "bias")]
    assert sum(t.numel() for t in parameters) == entry["parameters"]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else NIGHTLY) for n in GOLDEN]
)
def test_the_answer_is_theirs(name: str, tmp_path: Path) -> None:
    entry = GOLDEN[name]
    arch, alpha, side = entry["arch"], entry["alpha"], entry["side"]
    found = pretrained.find(str(saved(name, tmp_path)), arch, alpha)
    preprocess = Preprocess(side, side, mean=found.mean, std=found.std)
    spec = ModelSpec(arch, alpha, LABELS, preprocess, padding=found.padding)
    network = build(spec).eval()
    found.give(network, spec)
    with torch.inference_mode():
        logits = network.double()(torch.from_numpy(published.picture(side)).double())[0]
    expected = np.array(entry["logits"])
    # weights are stored in float32 after the epsilons are made equal
    np.testing.assert_allclose(logits[:10], expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def test_the_golden_file_has_all_families_in_both_paddings() -> None:
    assert len({(entry["arch"], entry["alpha"]) for entry in GOLDEN.values()}) >= 14
    assert sum("tf_" in name for name in GOLDEN) >= 3


def test_a_mean_of_each_channel_goes_into_the_first_convolution(small: Path) -> None:
    """All but the edge, which padding reaches, is as it was; the edge is off by little."""
    found = pretrained.find(str(small), "mobilenet_v3_small", 0.5)
    theirs = ModelSpec(
        "mobilenet_v3_small", 0.5, ("a", "b"),
        Preprocess(33, 33, mean=found.mean, std=found.std), padding="symmetric",
    )  # fmt: skip
    ours = found.fit(theirs)
    assert ours.preprocess.mean == (114 / 255,) * 3
    assert len(set(ours.preprocess.std)) == 1
    pixels = torch.rand(1, 3, 33, 33, generator=torch.Generator().manual_seed(0))
    maps = []
    for spec in (theirs, ours):
        network = build(spec).eval()
        found.give(network, spec)
        mean, std = (
            torch.tensor(v).reshape(3, 1, 1) for v in (spec.preprocess.mean, spec.preprocess.std)
        )
        with torch.inference_mode():
            maps.append(network.stem((pixels - mean) / std)[0])
    inside, edge = maps[0][:, 1:-1, 1:-1] - maps[1][:, 1:-1, 1:-1], maps[0] - maps[1]
    assert inside.abs().max() < 1e-5
    assert 1e-3 < edge.abs().max() < 0.25 * maps[0].abs().max()


def test_one_mean_and_std_are_kept_as_they_are(tmp_path: Path) -> None:
    path = saved("timm mobilenetv1_100", tmp_path)
    found = pretrained.find(str(path), "mobilenet_v1", 1.0)
    spec = found.fit(ModelSpec("mobilenet_v1", 1.0, ("a", "b"), Preprocess(32, 32)))
    assert (spec.preprocess.mean, spec.preprocess.std) == ((0.5,) * 3, (0.5,) * 3)
    assert spec.padding == "symmetric"


def test_another_number_of_classes_gets_a_new_head(small: Path) -> None:
    found = pretrained.find(str(small), "mobilenet_v3_small", 0.5)
    spec = found.fit(ModelSpec("mobilenet_v3_small", 0.5, ("a", "b"), Preprocess(32, 32)))
    network = build(spec)
    fresh = network.classifier.weight.clone()
    assert found.give(network, spec).endswith("with a new head")
    assert torch.equal(network.classifier.weight, fresh)
    assert torch.equal(network.hidden.bias, found.weights["conv_head.bias"])


def test_a_config_beside_the_file_is_believed(small: Path) -> None:
    config = {
        "architecture": "tf_mobilenetv3_small_050",
        "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5]},
    }
    (small.parent / "config.json").write_text(json.dumps(config))
    found = pretrained.find(str(small), "mobilenet_v3_small", 0.5)
    assert (found.padding, found.eps, found.mean) == ("same", 1e-3, (0.1, 0.2, 0.3))
    for broken in ("{", "[]", '{"architecture": "x", "pretrained_cfg": {"mean": 3}}'):
        (small.parent / "config.json").write_text(broken)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            pretrained.find(str(small), "mobilenet_v3_small", 0.5)


def test_a_training_checkpoint_of_torchvision_is_read_through_its_wrapping(tmp_path: Path) -> None:
    weights = tensors("torchvision mobilenet_v2")
    torch.save({"model": weights, "epoch": 3}, tmp_path / "model_299.pth")
    found = pretrained.find(str(tmp_path / "model_299.pth"), "mobilenet_v2", 1.0)
    assert found.weights.keys() == weights.keys()


# the hub, from its cache on disk: there is no network here


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the hub that holds one repository; nothing may be downloaded."""
    name = pretrained.PUBLISHED["mobilenet_v3_small", 0.5]
    repository = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    for folder in (snapshot, repository / "refs", repository / "blobs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text("0" * 40)
    content = saved(SMALL, tmp_path).read_bytes()
    blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
    blob.write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(blob)
    config = {"architecture": "mobilenetv3_small_050", "mean": [0.485, 0.456, 0.406]}
    (snapshot / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return blob


def at_hub(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    place = "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + place)


def test_imagenet_is_fetched_from_the_hub_by_architecture_and_alpha(hub: Path) -> None:
    found = pretrained.find("imagenet", "mobilenet_v3_small", 0.5)
    assert found.source == "timm/mobilenetv3_small_050.lamb_in1k"
    assert found.mean == (0.485, 0.456, 0.406)
    assert found.weights.keys() == tensors(SMALL).keys()


def test_a_repository_is_fetched_by_its_name(hub: Path) -> None:
    name = "timm/mobilenetv3_small_050.lamb_in1k"
    assert pretrained.find(name, "mobilenet_v3_small", 0.5).source == name


def test_a_download_that_changed_is_refused(hub: Path) -> None:
    content = bytearray(hub.read_bytes())
    content[-1] ^= 1
    hub.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"sha256 is \w{12}…, the hub says"):
        pretrained.find("imagenet", "mobilenet_v3_small", 0.5)


def test_a_hub_that_is_not_reached_is_said_with_what_to_fetch_elsewhere(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    at_hub(monkeypatch, "http://127.0.0.1:9")  # nothing listens there
    place = "http://127.0.0.1:9/timm/mobilenetv2_100.ra_in1k/resolve/main"
    with pytest.raises(
        CheckpointError,
        match=rf"fetched from the hub \(.*Connection refused\); on a machine that can, fetch "
        rf"{place}/model\.safetensors and {place}/config\.json into one folder, and give --weights",
    ):
        pretrained.find("imagenet", "mobilenet_v2", 1.0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RepoNotFound", r"the hub has no repository timm/mobilenet_v2 that is open to all; see"),
        ("EntryNotFound", r"timm/mobilenet_v2 on the hub has no model\.safetensors; give weights"),
    ],
)
def test_what_the_hub_has_not_is_said(
    code: str, words: str, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.handle_request, daemon=True).start()
        at_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(CheckpointError, match=words):
            pretrained.find("timm/mobilenet_v2", "mobilenet_v2", 1.0)


def test_a_file_that_is_missing_is_not_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=r"downloads/v2\.pth"):
        pretrained.find("downloads/v2.pth", "mobilenet_v2", 1.0)


@pytest.mark.network
@pytest.mark.parametrize(("arch", "alpha"), pretrained.PUBLISHED)
def test_every_published_network_is_there(arch: str, alpha: float) -> None:
    found = pretrained.find("imagenet", arch, alpha)
    spec = found.fit(ModelSpec(arch, alpha, LABELS, Preprocess(64, 64)))
    assert "head and all" in found.give(build(spec), spec)


# refusals


def test_imagenet_weights_that_nobody_published_are_refused_with_the_list() -> None:
    with pytest.raises(UsageError, match=r"mobilenet_v1 0\.5; there are some for mobilenet_v1 1, "):
        pretrained.find("imagenet", "mobilenet_v1", 0.5)


@pytest.mark.parametrize(
    ("arch", "alpha", "words"),
    [
        ("mobilenet_v3_small", 1.0, "needs 16x16x1x1: give the --arch and --alpha"),
        ("mobilenet_v2", 0.5, "needs .*: give the --arch and --alpha"),
        ("mobilenet_v3_small_minimalistic", 0.5, "needs .*: give the --arch and --alpha"),
    ],
)
def test_weights_of_another_network_are_refused(
    small: Path, arch: str, alpha: float, words: str
) -> None:
    found = pretrained.find(str(small), arch, alpha)
    spec = found.fit(ModelSpec(arch, alpha, ("a", "b"), Preprocess(32, 32)))
    with pytest.raises(CheckpointError, match=words):
        found.give(build(spec), spec)


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    weights = tensors(SMALL)
    del weights["blocks.0.0.se.conv_reduce.bias"]
    save_file(weights, tmp_path / "w.safetensors")
    found = pretrained.find(str(tmp_path / "w.safetensors"), "mobilenet_v3_small", 0.5)
    spec = ModelSpec("mobilenet_v3_small", 0.5, LABELS, Preprocess(32, 32))
    with pytest.raises(CheckpointError, match=r"have blocks\.0\.0\.se\.conv_reduce\.bias; here"):
        found.give(build(spec), spec)


def test_torchvision_has_no_first_version(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="torchvision has no mobilenet_v1"):
        layouts.translate({"features.0.0.weight": torch.zeros(1)}, "mobilenet_v1", {})


class Harmful:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("harm").touch, ())


def test_a_file_that_is_no_table_of_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"epoch": 3}, "epoch.pth")
    torch.save({"weights": torch.zeros(3)}, "other.pth")
    Path("harmful.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    torch.save({1: torch.zeros(3), "conv_stem.weight": torch.zeros(3)}, "keys.pth")
    torch.save({"conv_stem.weight": torch.zeros(3).to_sparse()}, "sparse.pth")
    torch.save(torch.nn.Linear(1, 1), "network.pth")
    for name in ("noise.safetensors", "noise.pth"):
        Path(name).write_bytes(b"no weights")
    for name in ("empty.safetensors", "empty.pth"):
        Path(name).touch()
    Path("passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    for name, words in {
        "epoch.pth": "no table of named weights",
        "keys.pth": "no table of named weights",
        "sparse.pth": "no table of named weights",
        "other.pth": r"in no layout that is known .*called weights; a checkpoint .*--init",
        "harmful.pth": "no file of weights alone",
        "noise.safetensors": "no file of weights alone",
        "noise.pth": "no file of weights alone",
        "empty.pth": "no file of weights alone: it was damaged or cut short",
        "empty.safetensors": "no file of weights alone: it was damaged or cut short",
        "passwd": "no file of weights alone: it was damaged or cut short",
        "network.pth": r"more than tensors \(save the network's state_dict",
        "nose.pth": "did you mean 'noise.pth'",
    }.items():
        with pytest.raises(CheckpointError, match=words) as caught:
            pretrained.find(name, "mobilenet_v2", 1.0)
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not Path("harm").exists()


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_read_or_refused_however_damaged(zipped: bool, tmp_path: Path) -> None:
    """Bytes are changed, and the file cut, where the pickle stands."""
    path = tmp_path / "w.pth"
    weights = {"conv_stem.weight": torch.zeros(4), "bn1.weight": torch.ones(4)}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    whole, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for number in range(120):
        damaged = bytearray(whole[: rng.integers(len(whole))] if number % 3 == 0 else whole)
        for at in rng.integers(min(len(damaged), 600), size=number % 3) if damaged else ():
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            pretrained.read(path)
        except CheckpointError:
            refused += 1
    assert refused > 40


def test_a_file_that_may_not_be_read_says_why(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(path: Path) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(pretrained, "load_file", closed)
    with pytest.raises(CheckpointError, match=r"safetensors cannot be read: Permission denied$"):
        pretrained.read(small)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    weights = tensors(SMALL)
    weights["blocks.0.0.bn1.weight"][2] = torch.nan
    save_file(weights, tmp_path / "w.safetensors")
    found = pretrained.find(str(tmp_path / "w.safetensors"), "mobilenet_v3_small", 0.5)
    spec = ModelSpec("mobilenet_v3_small", 0.5, LABELS, Preprocess(32, 32))
    with pytest.raises(CheckpointError, match=r"no numbers; the file is damaged: fetch it again"):
        found.give(build(spec), spec)


# edgenet train --weights


def test_weights_decide_the_network_where_nothing_else_is_said(tmp_path: Path) -> None:
    path = saved("torchvision mobilenet_v2", tmp_path)
    spec = default_spec("digits", ("a", "b"), init=None, wanted=NOTHING, weights=str(path))
    assert (spec.arch, spec.alpha, spec.padding) == ("mobilenet_v2", 1.0, "symmetric")
    assert (spec.preprocess.height, len(set(spec.preprocess.mean))) == (224, 1)


def test_two_starts_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--init and --weights are both given"):
        default_spec("digits", ("a",), init=tmp_path, wanted=NOTHING, weights="imagenet")


@pytest.mark.slow
def test_a_run_from_published_weights_goes_on_and_is_exported(small: Path, tmp_path: Path) -> None:
    """Symmetric padding and the one mean go with the checkpoint all the way to the device."""

    def run(*words: object) -> str:
        result = CliRunner().invoke(main, list(map(str, words)))
        assert result.exit_code == 0, result.output
        return result.output

    network = ("--arch", "mobilenet_v3_small", "--alpha", 0.5, "--imgsz", 32)
    rest = ("--data", "digits", "--epochs", 1, "--freeze", "features", "-o", tmp_path / "run")
    said = run("train", "--weights", small, *network, *rest)
    assert f"starting from {small}, with a new head" in said
    (tmp_path / "run" / "checkpoint.json").unlink()  # as if killed just before the end
    assert "starting from" in run("train", "--resume", "-o", tmp_path / "run")
    record, trained = checkpoint.load_network(tmp_path / "run")
    assert (record.spec.padding, record.spec.preprocess.mean) == ("symmetric", (114 / 255,) * 3)
    fresh = build(record.spec)
    pretrained.find(str(small), "mobilenet_v3_small", 0.5).give(fresh, record.spec)
    assert torch.equal(
        trained.blocks.get_submodule("3.expand.conv").weight,
        fresh.blocks.get_submodule("3.expand.conv").weight,
    )
    run(
        "export",
        "--target",
        "pc",
        "--model",
        tmp_path / "run",
        "--data",
        "digits",
        "--calib-samples",
        8,
        "-o",
        tmp_path / "bundle",
    )
    assert "equal" in run("verify", tmp_path / "bundle")
