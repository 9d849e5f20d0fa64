from __future__ import annotations

import csv
import json
import shutil

import msgspec
import pytest
from click.testing import CliRunner

from edgenet.bundle import Bundle
from edgenet.cli.main import main
from edgenet.drift.record import DriftReport


@pytest.fixture
def evaluate(folder):
    def run(bundle, *options, data=folder):
        path = bundle.root if isinstance(bundle, Bundle) else bundle
        return CliRunner().invoke(main, ["evaluate", str(path), "--data", str(data), *options])

    return run


def test_a_good_bundle_ends_well_and_shows_its_numbers(evaluate, tiny):
    result = evaluate(tiny)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny for pc on 120 pictures of noisy (val)"
    assert lines[2].split("  ")[0] == "variant"
    assert [line.split()[0] for line in lines[3:7]] == [
        "fp32.tflite",
        "int8.tflite",
        "fp32.onnx",
        "int8.onnx",
    ]
    assert "against fp32.tflite" in result.stdout
    assert "fp32.onnx: no picture's answer changed between right and wrong." in result.stdout
    assert "top1_drop" in result.stdout  # the target's limits are shown
    assert "evaluating 120" in result.stderr


def test_a_bad_quantization_breaks_the_targets_limits_with_exit_code_3(evaluate, coarse):
    result = evaluate(coarse)
    assert result.exit_code == 3
    assert "int8.tflite: top1_drop is 10 points, above its limit of 1 point" in result.stderr
    assert "int8.tflite: agreement is 0.9, below its limit of 0.95" in result.stderr
    assert "int8.onnx" not in result.stderr  # which is still good
    assert "BROKEN" in result.stdout
    assert "it is less accurate than fp32.tflite" in result.stdout


def test_a_flag_takes_the_place_of_the_targets_limit(evaluate, coarse, tiny):
    loose = ["--limit", "top1_drop=50", "--limit", "agreement=0"]
    assert evaluate(coarse, *loose).exit_code == 0
    result = evaluate(tiny, "--limit", "snr_db=60")
    assert result.exit_code == 3
    assert "int8.tflite: snr_db is" in result.stderr
    assert "dB, below its limit of 60 dB" in result.stderr
    assert "fp32.onnx: snr_db" not in result.stderr


def test_a_limit_on_layers_compares_them_unasked(evaluate, coarse, tiny):
    assert evaluate(tiny, "--limit", "layer_snr_db=20").exit_code == 0
    result = evaluate(coarse, "--limit", "layer_snr_db=20", "--limit", "top1_drop=100")
    assert result.exit_code == 3
    assert "int8.tflite: layer_snr_db is" in result.stderr


def test_an_unknown_limit_is_refused_with_the_nearest_before_any_work(evaluate, tiny):
    result = evaluate(tiny, "--limit", "top1drop=1", data="nowhere")
    assert result.exit_code == 2
    assert "no limit 'top1drop'; did you mean 'top1_drop'?" in result.stderr
    assert "layer_snr_db" in result.stderr


def test_a_limit_that_needs_a_reference_is_not_passed_without_one(evaluate, rewrite):
    result = evaluate(rewrite(variants=("int8.tflite",)))
    assert result.exit_code == 2
    assert "limit top1_drop cannot be judged" in result.stderr


def test_layers_are_shown_worst_first(evaluate, tiny):
    result = evaluate(tiny, "--layers")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("worst layers"))
    assert lines[start + 1].startswith("4 FULLY_CONNECTED")
    assert lines[start + 6].startswith("Over 64 pictures.")


def test_json_is_the_whole_report_and_nothing_else(evaluate, tiny):
    result = evaluate(tiny, "--json", "--layers", "--variant", "int8.tflite")
    report = msgspec.json.decode(result.stdout, type=DriftReport)
    assert [r.variant for r in report.results] == ["fp32.tflite", "int8.tflite"]
    assert len(report.layers) == 5
    assert report.limits["top1_drop"] == 1.0
    assert json.loads(result.stdout)["kind"] == "drift"


def test_json_and_exit_code_3_go_together(evaluate, coarse):
    result = evaluate(coarse, "--json")
    assert result.exit_code == 3
    violations = json.loads(result.stdout)["violations"]
    assert {v["limit"] for v in violations} == {"top1_drop", "agreement"}
    assert violations[0]["variant"] == "int8.tflite"


def test_csv_has_one_row_for_each_variant(evaluate, tiny, tmp_path):
    assert evaluate(tiny, "--csv", str(tmp_path / "drift.csv")).exit_code == 0
    with (tmp_path / "drift.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == [
        "fp32.tflite",
        "int8.tflite",
        "fp32.onnx",
        "int8.onnx",
    ]
    assert rows[0]["top1_change"] == ""
    assert float(rows[1]["top1"]) == pytest.approx(
        float(rows[0]["top1"]) + float(rows[1]["top1_change"])
    )


def test_html_is_one_file_with_every_part(evaluate, coarse, tmp_path):
    page = tmp_path / "drift.html"
    assert evaluate(coarse, "--layers", "--html", str(page)).exit_code == 3
    text = page.read_text(encoding="utf-8")
    for anchor in ("accuracy", "drift", "classes", "layers", "limits", "evaluation"):
        assert f'id="{anchor}"' in text
    assert "limit broken" in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
    assert [path.name for path in tmp_path.iterdir()] == ["drift.html"]


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_a_file_in_a_folder_that_is_not_there_is_refused_before_any_work(
    evaluate, tiny, tmp_path, option
):
    result = evaluate(tiny, option, str(tmp_path / "no" / "drift"))
    assert result.exit_code == 2
    assert "there is no folder" in result.stderr
    assert "evaluating" not in result.stderr


def test_a_sample_says_so(evaluate, tiny):
    result = evaluate(tiny, "--max-images", "30", "--seed", "7")
    assert result.stdout.startswith("tiny for pc on 30 pictures of noisy (val)")
    assert "Drawn from 120 pictures with seed 7." in result.stdout


def test_other_labels_are_refused_in_a_sentence(evaluate, rewrite):
    result = evaluate(rewrite(labels=tuple("abcdeX")))
    assert result.exit_code == 1
    assert "noisy has other labels than tiny: number 5 is 'f' instead of 'X'" in result.stderr


def test_a_target_that_is_not_known_here_is_a_warning(evaluate, rewrite):
    result = evaluate(rewrite(target="moon_lander"))
    assert result.exit_code == 0
    assert "warning: target 'moon_lander' is not known here, nor are its limits" in result.stderr


@pytest.fixture
def kettle(tmp_path):
    """Makes a target's folder with one limit."""

    def make(limit):
        folder = tmp_path / "kettle"
        folder.mkdir(exist_ok=True)
        (folder / "target.toml").write_text(
            'name = "kettle"\ntitle = "A kettle"\nbackends = ["litert"]\n'
            f'variants = ["int8.tflite"]\n[requires]\nextra = "pc"\n[limits]\n{limit}\n'
        )
        return str(folder)

    return make


def test_a_folder_targets_limits_are_enforced(evaluate, rewrite, coarse, kettle):
    custom = rewrite(target="kettle")
    assert evaluate(custom, "--target", kettle("snr_db = 1.0")).exit_code == 0
    result = evaluate(custom, "--target", kettle("snr_db = 60.0"))
    assert result.exit_code == 3
    assert "below its limit of 60 dB" in result.stderr
    assert "warning" not in result.stderr
    # they take the place of those of the bundle's own target
    assert evaluate(coarse, "--target", kettle("snr_db = 1.0")).exit_code == 0


def test_a_folder_targets_misspelt_limit_is_refused_before_any_work(evaluate, tiny, kettle):
    result = evaluate(tiny, "--target", kettle("top1_dropp = 0.0"), data="nowhere")
    assert result.exit_code == 1
    assert "kettle/target.toml: no limit 'top1_dropp'; did you mean 'top1_drop'?" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--target", "pcc"], 2, "no target 'pcc'; did you mean 'pc'?"),
        (["--max-images", "0"], 2, "0 is not in the range x>=1"),
        (["--workers", "0"], 2, "0 is not in the range x>=1"),
        (["--variant", "int8"], 2, "no variant 'int8'"),
        (["--limit", "agreement=95"], 2, "it is a share, not a percentage"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(evaluate, tiny, options, code, words):
    result = evaluate(tiny, *options)
    assert result.exit_code == code
    assert words in result.stderr


def test_no_bundle_and_no_data_are_refused_in_a_sentence(evaluate, tiny, tmp_path):
    result = evaluate(tmp_path / "nothing")
    assert (result.exit_code, "nothing at" in result.stderr) == (1, True)
    result = evaluate(tiny, data=tmp_path / "nothing")
    assert (result.exit_code, "nothing" in result.stderr) == (1, True)
    result = CliRunner().invoke(main, ["evaluate", str(tiny.root)])
    assert (result.exit_code, "--data" in result.stderr) == (2, True)


def test_help_names_every_limit():
    from edgenet.drift.limits import LIMITS

    text = CliRunner().invoke(main, ["evaluate", "--help"]).stdout
    assert [name for name in LIMITS if name not in text] == []


def test_a_recorded_report_is_in_the_manifest_and_the_bundle_stays_whole(evaluate, tiny, tmp_path):
    copy = shutil.copytree(tiny.root, tmp_path / "copy")
    result = evaluate(copy, "--record", "--json")
    assert result.exit_code == 0
    # the report still names the bundle that it is about
    assert json.loads(result.stdout)["bundle_sha256"] == Bundle.open(copy).sha256 == tiny.sha256
    recorded = Bundle.open(copy).manifest.drift
    assert recorded["images"] == 120
    assert recorded["variants"]["int8.tflite"]["drift"]["agreement"]["of"] == 120
    names = sorted(path.name for path in copy.iterdir())
    assert names == sorted(path.name for path in tiny.root.iterdir())


def test_nothing_is_recorded_unasked(evaluate, tiny, tmp_path):
    copy = shutil.copytree(tiny.root, tmp_path / "copy")
    evaluate(copy)
    assert Bundle.open(copy).manifest == tiny.manifest
