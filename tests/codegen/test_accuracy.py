"""Generated C on every picture of real data sets: TensorFlow Lite Micro's logits, each of them."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from benchmark_networks import resnet8

from edgenet.codegen import eliminate
from edgenet.dataset import open_dataset
from edgenet.image import fit
from edgenet.spec import Preprocess

pytest.importorskip("flatbuffers")
pytest.importorskip("tflite_micro")
mcu_accuracy = pytest.importorskip("mcu_accuracy")
pytestmark = pytest.mark.tool("cc")

DEAD_CHANNELS = Path(__file__).parents[1] / "golden" / "dead_channels.tflite"


@pytest.fixture(scope="module")
def data() -> Path:
    if "EDGENET_DATA" not in os.environ:
        pytest.skip("EDGENET_DATA is not set; it names the folder of the real pictures")
    return Path(os.environ["EDGENET_DATA"])


@pytest.fixture(scope="module")
def imagenette(data, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("imagenette")
    with tarfile.open(data / "imagenette128.tar") as tar:
        tar.extractall(root, filter="data")
    (found,) = {path.parent for path in root.rglob("train")}
    return found


def pictures(split, side: int) -> np.ndarray:
    """int8 (pictures, side, side, 3): pixels less 128, as bundles that edgenet exports take."""
    fitted = np.stack([fit(split.rgb(i), Preprocess(side, side)) for i in range(len(split))])
    return (fitted ^ 128).view(np.int8)


def test_every_logit_of_pictures_of_noise_is_tflms():
    codes = np.random.default_rng(2).integers(-128, 128, (40, 32, 32, 3)).astype(np.int8)
    model = resnet8(softmax=False)
    ours = mcu_accuracy.generated(model, codes)
    assert len(np.unique(ours, axis=0)) == 40
    np.testing.assert_array_equal(ours, mcu_accuracy.micro(model, codes))


@pytest.mark.slow
@pytest.mark.nightly
def test_every_logit_of_the_whole_cifar10_test_set_is_tflms(data):
    split = open_dataset(f"cifar10:{data / 'cifar10'}").evaluation
    codes, model = pictures(split, 32), resnet8(softmax=False)
    ours = mcu_accuracy.generated(model, codes)
    assert ours.shape == (10_000, 10)
    assert len(np.unique(ours, axis=0)) > 9_000
    np.testing.assert_array_equal(ours, mcu_accuracy.micro(model, codes))


@pytest.mark.slow
@pytest.mark.nightly
def test_every_logit_of_the_whole_of_imagenettes_val_is_tflms(imagenette):
    """The shipped checkpoint's; its int8 accuracy there is no accident either."""
    pytest.importorskip("torch")
    from edgenet.host import checkpoint as checkpoints
    from edgenet.host import export

    record, network = checkpoints.load_network(checkpoints.default())
    calibrator, _ = export.calibrated(record, network, None)
    model = export.convert(network, calibrator, record.spec, ("int8.tflite",))["int8.tflite"]
    split = open_dataset(str(imagenette)).evaluation
    codes = pictures(split, record.spec.preprocess.height)
    ours = mcu_accuracy.generated(model, codes)
    assert ours.shape == (3_925, 10)
    assert np.mean(ours.argmax(1) == split.targets) > 0.85
    np.testing.assert_array_equal(ours, mcu_accuracy.micro(model, codes))


@pytest.mark.slow
@pytest.mark.nightly
def test_dead_channels_change_no_logit_of_any_picture(imagenette, tmp_path):
    """Of the two classes that the model was trained on; both are wrong on all others."""
    for name in ("church", "garbage_truck"):
        for split in ("train", "val"):
            (tmp_path / split).mkdir(exist_ok=True)
            (tmp_path / split / name).symlink_to(imagenette / split / name)
    split = open_dataset(str(tmp_path)).evaluation
    codes, whole = pictures(split, 96), DEAD_CHANNELS.read_bytes()
    smaller, report = eliminate(whole)
    assert report.macs_left < 0.3 * report.macs
    ours = mcu_accuracy.generated(whole, codes)  # which leaves more out than eliminate does
    assert np.mean(ours.argmax(1) == split.targets) > 0.8
    np.testing.assert_array_equal(ours, mcu_accuracy.micro(whole, codes))
    np.testing.assert_array_equal(ours, mcu_accuracy.micro(smaller, codes))
