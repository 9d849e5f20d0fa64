from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgenet.bundle import Bundle
from edgenet.cli.main import main

for engine in ("ai_edge_litert", "onnxruntime"):
    pytest.importorskip(engine, reason=f"{engine} is not installed")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")

TINY = Path(__file__).parent / "golden" / "tiny"
LABELS = Bundle.open(TINY).labels


@pytest.fixture
def folder(tmp_path):
    """The golden frames as pictures 0.png to 5.png."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, rgb in enumerate(Bundle.open(TINY).golden().frames):
        cv2.imwrite(str(folder / f"{index}.png"), rgb[..., ::-1])
    return folder


def run(*arguments, **options):
    return CliRunner().invoke(main, ["run", *map(str, arguments)], **options)


def records(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_folder_is_classified_a_line_a_picture(folder):
    result = run(TINY, "--source", folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 6
    for index, line in enumerate(lines):
        assert f"{index}.png" in line
        # 40 characters of name, then three labels with their probabilities, the best first
        assert line[40:].strip().startswith(LABELS[index])
        assert line.count("%") == 3
    assert "6 pictures with int8.tflite: median " in result.stderr
    assert " ms (preprocess " in result.stderr


def test_json_has_one_object_a_line(folder):
    result = run(TINY, "--source", folder, "--json", "--top-k", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    for index, record in enumerate(records(result)):
        assert record["frame"] == index
        assert record["name"] == str(folder / f"{index}.png")
        assert list(record["stage_ms"]) == ["preprocess", "invoke", "postprocess"]
        first, second = record["top"]
        assert (first["class"], first["label"]) == (index, LABELS[index])
        assert 1 >= first["probability"] > second["probability"] > 0


@pytest.mark.parametrize("variant", ["fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx"])
def test_every_variant_can_be_chosen(folder, variant):
    result = run(TINY, "--source", folder / "2.png", "--variant", variant)
    assert result.exit_code == 0
    assert result.stdout[42:].startswith("stripes")
    assert f"1 picture with {variant}: " in result.stderr


def test_probabilities_of_all_classes_add_up_to_one(folder):
    (record,) = records(run(TINY, "--source", folder / "1.png", "--json", "--top-k", 99))
    assert len(record["top"]) == 6
    assert sum(each["probability"] for each in record["top"]) == pytest.approx(1, abs=1e-5)


def test_threshold_leaves_out_what_is_below(folder):
    (whole,) = records(run(TINY, "--source", folder / "1.png", "--json", "--top-k", 6))
    second = whole["top"][1]["probability"]
    arguments = (TINY, "--source", folder / "1.png", "--top-k", 6)
    (cut,) = records(run(*arguments, "--json", "--threshold", second + 1e-4))
    assert cut["top"] == whole["top"][:1]
    assert run(*arguments, "--threshold", 1).stdout.split()[-1] == "unknown"


def test_damaged_pictures_are_named_and_left_out(folder):
    (folder / "2.png").write_bytes((folder / "2.png").read_bytes()[:100])
    (folder / "zebra.jpg").write_text("not a picture")
    result = run(TINY, "--source", folder, "--json")
    assert result.exit_code == 0
    assert [record["frame"] for record in records(result)] == [0, 1, 3, 4, 5]
    first, second = result.stderr.splitlines()
    assert first.startswith(f"skipped {folder / '2.png'}: the PNG is cut short")
    assert second.startswith(f"skipped {folder / 'zebra.jpg'}: not a picture")


def test_no_readable_picture_fails(folder):
    for path in folder.iterdir():
        path.write_text("not a picture")
    result = run(TINY, "--source", folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("Error: no picture could be classified; skipped 6\n")


def test_standard_input_is_classified(folder):
    data = b"".join(
        len(png).to_bytes(4, "big") + png
        for png in ((folder / f"{index}.png").read_bytes() for index in (4, 5))
    )
    result = run(TINY, "--source", "-", "--json", input=data)
    assert result.exit_code == 0
    assert [record["top"][0]["label"] for record in records(result)] == ["discs", "plasma"]


def test_standard_input_cut_short_fails_after_what_came_before(folder):
    png = (folder / "4.png").read_bytes()
    data = 2 * (len(png).to_bytes(4, "big") + png)
    result = run(TINY, "--source", "-", "--json", input=data[:-1])
    assert result.exit_code == 1
    assert [record["top"][0]["label"] for record in records(result)] == ["discs"]
    assert "bytes of picture 1" in result.stderr


def test_results_are_written_as_they_come(folder):
    """The first answer arrives while the pipe is still open."""
    png = (folder / "4.png").read_bytes()
    command = [sys.executable, "-m", "edgenet", "run", str(TINY), "--source", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(len(png).to_bytes(4, "big") + png)
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.stdin.close()
    assert process.returncode == 0


def test_video_is_classified(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for rgb in Bundle.open(TINY).golden().frames[:3]:
        writer.write(np.ascontiguousarray(cv2.resize(rgb, (32, 24))[..., ::-1]))
    writer.release()
    result = run(TINY, "--source", path, "--json")
    assert result.exit_code == 0
    assert [record["name"] for record in records(result)] == [f"{path}#{i}" for i in range(3)]


# what to run as


def test_target_can_be_named(folder):
    result = run(TINY, "--source", folder / "1.png", "--target", "rpi", "--num-threads", 2)
    assert result.exit_code == 0
    result = run(TINY, "--source", folder, "--target", "rpi", "--variant", "int8.onnx")
    assert result.exit_code == 1
    assert "rpi runs int8.tflite, " in result.stderr
    assert ", not int8.onnx" in result.stderr


@pytest.mark.parametrize("target", ["pc", "rpi", "arm_cpu"])
def test_streams_answer_as_one_does(folder, target):
    answers = [
        [
            (one["name"], one["top"])
            for one in records(
                run(TINY, "--source", folder, "--target", target, "--streams", streams, "--json")
            )
        ]
        for streams in (1, 3)
    ]
    assert len(answers[0]) > 1
    assert answers[0] == answers[1]


def test_target_that_takes_one_frame_at_a_time_refuses_streams(folder):
    result = run(TINY, "--source", folder, "--target", "coral", "--streams", 2)
    assert result.exit_code == 2
    assert "coral takes one frame at a time; leave --streams out" in result.stderr


def test_bundle_of_a_target_that_is_not_here_asks_for_one(folder, tmp_path):
    root = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    content = json.loads((root / "manifest.json").read_bytes())
    (root / "manifest.json").write_text(json.dumps(content | {"target": "toaster"}))
    result = run(root, "--source", folder)
    assert result.exit_code == 2
    assert "is for the target 'toaster', which is not installed here; name one" in result.stderr
    assert run(root, "--source", folder, "--target", "pc").exit_code == 0


# wrong words


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--source", "pictured"], 1, "nothing at 'pictured'; did you mean 'pictures'?"),
        (["--source", "*.jpg"], 1, "no file matches '*.jpg'; look at the folder"),
        (["--source", "a.jpg", "b.jpg"], 2, "unexpected 'b.jpg'; quote a pattern"),
        ([], 2, "Missing option '--source'"),
        (["--sorce", "x"], 2, "Did you mean"),
        (["--source", "x", "--variant", "int8.tflit"], 2, "did you mean 'int8.tflite'?"),
        (["--source", "x", "--target", "rip"], 2, "no target 'rip'; did you mean 'rpi'?"),
        (["--source", "x", "--threshold", "1.5"], 2, "1.5 is not in the range 0<=x<=1"),
        (["--source", "x", "--top-k", "0"], 2, "0 is not in the range x>=1"),
        (["--source", "x", "--num-threads", "0"], 2, "0 is not in the range x>=1"),
        (["--source", "-", "--streams", "2"], 2, "standard input is read a picture at a time"),
        (["--source", "x", "--streams", "0"], 2, "0 is not in the range x>=1"),
    ],
)
def test_wrong_words_get_one_sentence(folder, monkeypatch, arguments, code, message):
    monkeypatch.chdir(folder.parent)
    result = run(TINY, *arguments)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_variant_that_the_bundle_lacks_is_refused(folder, tmp_path):
    root = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    content = json.loads((root / "manifest.json").read_bytes())
    del content["models"]["int8.onnx"]
    (root / "manifest.json").write_text(json.dumps(content))
    result = run(root, "--source", folder, "--variant", "int8.onnx")
    assert result.exit_code == 2
    assert (
        "no variant 'int8.onnx'; choose one of (fp32.onnx, fp32.tflite, int8.tflite)"
        in result.stderr
    )


def test_missing_bundle_is_named(folder):
    result = run(folder / "none", "--source", folder)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: nothing at '{folder / 'none'}'; edgenet export makes a bundle\n"
    )


def test_a_source_with_a_password_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("EDGENET_SOURCE", "rtsp://guard:sesame@127.0.0.1:1/key")
    result = CliRunner().invoke(main, ["run", str(TINY), "--give-up", "0.2"])
    assert "rtsp://127.0.0.1:1 cannot be reached" in result.stderr
    assert "sesame" not in result.output
