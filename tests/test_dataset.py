from __future__ import annotations

import functools
import hashlib
import http.server
import os
import shutil
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest

from edgenet import image
from edgenet.dataset import cifar10, digits, hold_out, open_dataset
from edgenet.dataset.fetch import fetch
from edgenet.dataset.split import ArraySplit
from edgenet.errors import DataError, MissingPackage
from edgenet.spec import Preprocess

GOLDEN = Path(__file__).parent / "golden"
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


def write_picture(path, seed=0, side=12, channels=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (side, side, channels) if channels > 1 else (side, side)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, pixels)[1].tobytes())
    return path


def write_classes(root, classes=("cat", "dog"), pictures=5):
    for index, name in enumerate(classes):
        for number in range(pictures):
            write_picture(root / name / f"{number}.png", seed=index * 100 + number)
    return root


# folders


def test_pictures_come_in_the_order_of_their_names(tmp_path):
    for name in ("b/2.png", "b/10.png", "a/deep/x.png", "a/y.jpg"):
        write_picture(tmp_path / "train" / name)
        write_picture(tmp_path / "val" / name)
    dataset = open_dataset(str(tmp_path))
    assert dataset.labels == ("a", "b")
    train = dataset.splits["train"]
    names = ["train/a/deep/x.png", "train/a/y.jpg", "train/b/10.png", "train/b/2.png"]
    assert names == [example.name for example in train]
    assert train.targets.tolist() == [0, 0, 1, 1]


def test_an_example_holds_the_pixels_of_its_file(tmp_path):
    write_classes(tmp_path)
    example = open_dataset(str(tmp_path)).splits["val"][0]
    assert np.array_equal(image.read_rgb(tmp_path / example.name), example.rgb)
    assert example.name.split("/")[0] == ("cat", "dog")[example.label]


def test_a_folder_without_splits_holds_out_a_fifth_of_every_class(tmp_path):
    write_classes(tmp_path, pictures=10)
    dataset = open_dataset(str(tmp_path))
    train, val = dataset.splits["train"], dataset.splits["val"]
    assert np.bincount(train.targets).tolist() == [8, 8]
    assert np.bincount(val.targets).tolist() == [2, 2]
    assert not {e.name for e in train} & {e.name for e in val}


def test_the_split_is_the_same_every_time(tmp_path):
    write_classes(tmp_path, pictures=10)
    first, again = ([e.name for e in open_dataset(str(tmp_path)).splits["val"]] for _ in range(2))
    assert first == again


def test_a_class_that_a_split_lacks_is_in_the_note(tmp_path):
    write_classes(tmp_path / "train", ("ant", "bee", "cat", "dog", "elk"))
    write_classes(tmp_path / "val", ("ant", "bee", "cat", "elk"))
    write_classes(tmp_path / "test", ("ant",))
    assert open_dataset(str(tmp_path)).note == (
        "test has no pictures of 'bee', 'cat', 'dog' and 1 more; val has no pictures of 'dog'"
    )


def test_a_whole_folder_needs_no_note(tmp_path):
    write_classes(tmp_path)
    assert open_dataset(str(tmp_path)).note == ""


def test_a_train_folder_alone_is_split(tmp_path):
    write_classes(tmp_path / "train")
    dataset = open_dataset(str(tmp_path))
    assert {name: len(split) for name, split in dataset.splits.items()} == {"train": 8, "val": 2}


@pytest.mark.parametrize("name", ["val", "valid", "validation", "VAL"])
def test_validation_folders_have_several_names(tmp_path, name):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / name, pictures=1)
    assert len(open_dataset(str(tmp_path)).splits["val"]) == 2


def test_results_are_measured_on_test_where_there_is_one(tmp_path):
    for count, part in enumerate(("train", "val"), start=1):
        write_classes(tmp_path / part, pictures=count)
    assert open_dataset(str(tmp_path)).evaluation_name == "val"
    write_classes(tmp_path / "test", pictures=3)
    dataset = open_dataset(str(tmp_path))
    assert (dataset.evaluation_name, len(dataset.evaluation)) == ("test", 6)


def test_a_class_may_be_called_test(tmp_path):
    write_classes(tmp_path, classes=("test", "prod"))
    assert open_dataset(str(tmp_path)).labels == ("prod", "test")


def test_hidden_files_and_other_files_are_passed_over(tmp_path):
    write_classes(tmp_path)
    for name in (".DS_Store", "cat/._0.png", "cat/notes.txt", ".cache/x.png", "__MACOSX/cat/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"nothing")
    dataset = open_dataset(str(tmp_path))
    assert dataset.labels == ("cat", "dog")
    assert sum(len(split) for split in dataset.splits.values()) == 10


def test_every_kind_of_picture_becomes_rgb(tmp_path):
    write_picture(tmp_path / "a/grey.png", channels=1)
    write_picture(tmp_path / "a/alpha.png", channels=4)
    write_picture(tmp_path / "b/plain.png")
    shutil.copy(GOLDEN / "cmyk.jpg", tmp_path / "b" / "cmyk.jpg")
    dataset = open_dataset(str(tmp_path))
    shapes = {e.name: e.rgb.shape[2] for split in dataset.splits.values() for e in split}
    assert dict.fromkeys(("a/alpha.png", "a/grey.png", "b/cmyk.jpg", "b/plain.png"), 3) == shapes


def test_a_damaged_picture_is_named(tmp_path):
    write_classes(tmp_path / "train")
    write_classes(tmp_path / "val")
    (tmp_path / "val" / "dog" / "4.png").write_bytes(b"no picture")
    val = open_dataset(str(tmp_path)).splits["val"]
    with pytest.raises(DataError, match=r"val/dog/4\.png: not a picture"):
        val[9]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "has no class folders; expected .*/<class>/<picture>"),
        (lambda root: write_picture(root / "x.png"), "has no class folders"),
        (lambda root: write_classes(root, ("cat",)), "has one class, 'cat'"),
        (lambda root: (write_classes(root), (root / "ant").mkdir()), "/ant holds no pictures"),
        (lambda root: write_classes(root / "test"), r"has test/ but no train/ folder"),
        (
            lambda root: (
                write_classes(root / "train"),
                write_classes(root / "val", ("cow", "dog")),
            ),
            "val/cow is a class that .*/train does not have",
        ),
        (
            lambda root: (write_classes(root / "train"), (root / "val").mkdir()),
            "/val has no class folders",
        ),
        (
            lambda root: [write_classes(root / part) for part in ("train", "val", "valid")],
            "has both val/ and valid/",
        ),
        (
            lambda root: (write_classes(root), write_picture(root / "ant" / "one.png")),
            "ant/one.png is the only picture of its class",
        ),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(DataError, match=words):
        open_dataset(str(tmp_path))


def test_an_unknown_source_is_told_what_there_is(tmp_path):
    with pytest.raises(DataError, match=r"no data set 'cifar11'.*cifar10, digits"):
        open_dataset("cifar11")
    with pytest.raises(DataError, match=r"no data set 'digitz'; did you mean 'digits'"):
        open_dataset("digitz")
    (tmp_path / "imagenette").mkdir()
    for source in (f"{tmp_path}/imagenete", f"cifar10:{tmp_path}/imagenete"):
        with pytest.raises(DataError, match=r"nothing at .*; did you mean '.*imagenette'\?"):
            open_dataset(source)
    file = write_picture(tmp_path / "x.png")
    with pytest.raises(DataError, match="is a file; give the folder"):
        open_dataset(str(file))


# digests


def test_equal_pictures_have_equal_digests_whatever_their_format(tmp_path):
    write_picture(tmp_path / "a" / "1.png", seed=7)
    write_picture(tmp_path / "a" / "2.bmp", seed=7)
    write_picture(tmp_path / "b" / "1.png", seed=8)
    write_picture(tmp_path / "b" / "2.png", seed=8, side=13)
    dataset = open_dataset(str(tmp_path))
    found = {
        split.name(i): split.sha256(i)
        for split in dataset.splits.values()
        for i in range(len(split))
    }
    assert found["a/1.png"] == found["a/2.bmp"]
    assert len(set(found.values())) == 3


def test_the_digest_covers_the_size():
    tall = ArraySplit("x", lambda: (np.zeros((1, 2, 3, 3), np.uint8), np.zeros(1)))
    wide = ArraySplit("x", lambda: (np.zeros((1, 3, 2, 3), np.uint8), np.zeros(1)))
    assert tall.sha256(0) != wide.sha256(0)


def test_the_fingerprint_changes_with_a_file(tmp_path):
    write_classes(tmp_path)
    before = open_dataset(str(tmp_path)).splits["train"].fingerprint()
    assert before == open_dataset(str(tmp_path)).splits["train"].fingerprint()
    for path in tmp_path.rglob("*.png"):
        write_picture(path, side=13)
    assert before != open_dataset(str(tmp_path)).splits["train"].fingerprint()


def test_a_split_is_a_sequence():
    pixels = np.arange(3 * 12, dtype=np.uint8).reshape(3, 2, 2, 3)
    split = ArraySplit("x", lambda: (pixels, np.array([2, 1, 0])))
    assert len(split) == 3
    assert (split[-1].label, split[-1].name) == (0, "x/00002")
    assert [example.label for example in split] == [2, 1, 0]
    with pytest.raises(IndexError):
        split[3]


def test_held_out_parts_are_disjoint_and_whole():
    targets = np.repeat([0, 1, 2], [50, 30, 3])
    whole = ArraySplit("x", lambda: (np.zeros((83, 1, 1, 3), np.uint8), targets))
    first, second = hold_out(whole, 0.1, seed=0, source="x")
    assert np.bincount(second.targets).tolist() == [5, 3, 1]
    assert list(range(83)) == sorted([*first.indices, *second.indices])
    assert second.indices.tolist() != hold_out(whole, 0.1, seed=1, source="x")[1].indices.tolist()


# digits


def test_digits_are_real_pictures_that_come_split():
    pytest.importorskip("sklearn", reason="scikit-learn comes with the host extra")
    dataset = open_dataset("digits")
    train, test = dataset.splits["train"], dataset.splits["test"]
    assert (len(train), len(test)) == (1297, 500)
    assert tuple("0123456789") == dataset.labels
    assert ((32, 32, 3), np.uint8) == (test[0].rgb.shape, test[0].rgb.dtype)
    assert not {e.name for e in train} & {e.name for e in test}
    assert np.ptp(np.bincount(test.targets)) <= 3


def test_digits_say_what_they_need(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    digits._load.cache_clear()
    with pytest.raises(MissingPackage, match=r"pip install 'edgenet\[host\]'"):
        open_dataset("digits")


# CIFAR-10


def records(count, seed):
    """Labels (N,), pixels (N, 32, 32, 3), and the bytes of a binary batch that holds them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count, dtype=np.uint8)
    pixels = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    planes = pixels.transpose(0, 3, 1, 2).reshape(count, -1)
    return labels, pixels, np.hstack((labels[:, None], planes)).tobytes()


@pytest.fixture
def batches(tmp_path):
    """A folder of binary batches, and what the test batch holds."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for seed, name in enumerate((*cifar10.BATCHES["train"], "test_batch.bin")):
        labels, pixels, content = records(4, seed)
        (folder / name).write_bytes(content)
    return folder, labels, pixels


def pack(folder, archive):
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"cifar-10-batches-bin/{path.name}")
    return archive


def holds(dataset, labels, pixels):
    test = dataset.splits["test"]
    assert labels.tolist() == test.targets.tolist()
    assert all(np.array_equal(picture, test[i].rgb) for i, picture in enumerate(pixels))
    assert dataset.labels == cifar10.LABELS


def test_cifar10_is_read_from_batches_and_from_the_archive(batches, tmp_path):
    folder, labels, pixels = batches
    holds(open_dataset(f"cifar10:{folder}"), labels, pixels)
    holds(open_dataset(f"cifar10:{folder.parent}"), labels, pixels)
    archive = pack(folder, tmp_path / cifar10.ARCHIVE)
    holds(open_dataset(f"cifar10:{archive}"), labels, pixels)
    assert len(open_dataset(f"cifar10:{archive}").splits["train"]) == 20


def test_cifar10_is_read_from_mosaics(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar10, "ROWS", 2)
    monkeypatch.setattr(cifar10, "COLUMNS", 3)
    labels, pixels, _ = records(6, seed=0)
    mosaic = pixels.reshape(2, 3, 32, 32, 3).transpose(0, 2, 1, 3, 4).reshape(64, 96, 3)
    encoded = cv2.imencode(".webp", mosaic[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 101])[1]
    for name in (*cifar10.MOSAICS["train"], "test.webp"):
        (tmp_path / name).write_bytes(encoded.tobytes())
    exact = np.array([True, False, True, True, True, True])
    np.savez(tmp_path / "labels.npz", train=np.tile(labels, 5), test=labels, test_exact=exact)
    dataset = open_dataset(f"cifar10:{tmp_path}")
    holds(dataset, labels, pixels)
    assert dataset.note == "1 of 60000 pictures are lossy re-encodes of the originals"


def test_cifar10_is_read_from_a_folder_of_pictures(tmp_path):
    write_classes(tmp_path / "train", cifar10.LABELS, 1)
    write_classes(tmp_path / "test", cifar10.LABELS, 1)
    assert len(open_dataset(f"cifar10:{tmp_path}").splits["test"]) == 10


def test_a_pickle_among_the_labels_is_never_loaded(tmp_path):
    np.savez(tmp_path / "labels.npz", train=np.array([{}], object), test=np.zeros(1))
    with pytest.raises(DataError, match=r"labels\.npz cannot be read"):
        open_dataset(f"cifar10:{tmp_path}")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (
            lambda f: (f / "test_batch.bin").write_bytes(b"x" * 100),
            r"test_batch\.bin has 100 bytes",
        ),
        (lambda f: (f / "test_batch.bin").write_bytes(b""), r"test_batch\.bin has 0 bytes"),
        (lambda f: (f / "test_batch.bin").write_bytes(b"\x0b" * 3073), "a label above 9"),
        (lambda f: (f / "data_batch_3.bin").unlink(), r"data_batch_3\.bin"),
    ],
)
@pytest.mark.parametrize("archived", [False, True])
def test_damaged_cifar10_is_named(batches, tmp_path, spoil, words, archived):
    folder, _, _ = batches
    spoil(folder)
    place = pack(folder, tmp_path / cifar10.ARCHIVE) if archived else folder
    splits = open_dataset(f"cifar10:{place}").splits
    with pytest.raises(DataError, match=words):
        _ = splits["train"].targets, splits["test"].targets


def test_a_place_that_is_not_cifar10_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no CIFAR-10; expected"):
        open_dataset(f"cifar10:{tmp_path}")
    with pytest.raises(DataError, match=r"nothing at '.*/nowhere'"):
        open_dataset(f"cifar10:{tmp_path}/nowhere")
    (tmp_path / "x.tar.gz").write_bytes(b"not a tar file")
    split = open_dataset(f"cifar10:{tmp_path}/x.tar.gz").splits["test"]
    with pytest.raises(DataError, match=r"x\.tar\.gz cannot be read as cifar-10-binary"):
        _ = split.targets


# downloads, from a server of this process


@pytest.fixture
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("served")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=root)
    ) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield root, f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_download_is_checked_and_told_of(server, tmp_path):
    root, url = server
    content = os.urandom(3 << 20)
    (root / "x.bin").write_bytes(content)
    told = []
    path = fetch(
        f"{url}/x.bin",
        tmp_path / "new" / "x.bin",
        sha256=hashlib.sha256(content).hexdigest(),
        progress=lambda *what: told.append(what),
    )
    assert content == path.read_bytes()
    assert told[-1] == ("downloading x.bin (MB)", 4, 4)
    assert len(told) > 1


def test_a_wrong_download_leaves_nothing_behind(server, tmp_path):
    root, url = server
    (root / "x.bin").write_bytes(b"changed")
    with pytest.raises(DataError, match=r"sha256 is .*, expected 0000"):
        fetch(f"{url}/x.bin", tmp_path / "x.bin", sha256="0" * 64)
    with pytest.raises(DataError, match=r"cannot download .*404"):
        fetch(f"{url}/y.bin", tmp_path / "y.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_silent_server_is_named(tmp_path):
    with pytest.raises(DataError, match=r"cannot download http://127\.0\.0\.1:9/x"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", sha256="0" * 64)


def test_cifar10_without_a_place_is_downloaded_once(batches, server, tmp_path, monkeypatch):
    folder, labels, pixels = batches
    root, url = server
    archive = pack(folder, root / cifar10.ARCHIVE)
    monkeypatch.setattr(cifar10, "URL", f"{url}/{cifar10.ARCHIVE}")
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.delenv("EDGENET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    holds(open_dataset("cifar10"), labels, pixels)
    archive.unlink()
    holds(open_dataset("cifar10"), labels, pixels)
    assert (tmp_path / "cache" / "edgenet" / "cifar10" / cifar10.ARCHIVE).is_file()


# real pictures


@pytest.fixture
def real():
    if "EDGENET_DATA" not in os.environ:
        pytest.skip("EDGENET_DATA is not set; it names the folder of the real pictures")
    return Path(os.environ["EDGENET_DATA"])


@pytest.mark.slow
def test_the_real_cifar10_has_ten_balanced_classes(real):
    dataset = open_dataset(f"cifar10:{real / 'cifar10'}")
    assert (len(dataset.splits["train"]), len(dataset.splits["test"])) == (50_000, 10_000)
    assert np.bincount(dataset.splits["test"].targets).tolist() == [1000] * 10
    mean = dataset.splits["train"].pixels.mean(axis=(0, 1, 2)) / 255
    assert np.allclose((0.4914, 0.4822, 0.4465), mean, atol=1e-4)


@pytest.mark.slow
def test_the_real_imagenette_is_read_in_full(real, tmp_path):
    with tarfile.open(real / "imagenette128.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    (root,) = {path.parent for path in tmp_path.rglob("train")}
    dataset = open_dataset(str(root))
    assert (len(dataset.splits["train"]), len(dataset.splits["val"])) == (9469, 3925)
    fitted = image.fit(dataset.splits["val"][0].rgb, Preprocess(128, 128))
    assert np.array_equal(dataset.splits["val"][0].rgb, fitted)
