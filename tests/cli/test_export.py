"""`edgekd export` in float32, by its command."""

import json

import pytest

from edgekd.artifact import manifest_path
from edgekd.workflows.export import export

from ..run_command import main


def test_the_function_and_the_command_give_the_same(trained_run, tmp_path, capsys):
    output = tmp_path / "x.onnx"
    expected = export(trained_run, output=output, batch="dynamic").to_dict()
    output.unlink()  # What stands in its place is taken over into a threshold's history.
    output.with_suffix(".json").unlink()
    capsys.readouterr()
    assert main(["export", trained_run, "--output", output, "--batch", "dynamic", "--json", "-"]) == 0
    answered = json.loads(capsys.readouterr().out)
    assert answered == expected
    assert answered["artifact"] == str(output)
    assert answered["manifest"]["inputs"]["frames"]["shape"][0] == "batch"
    assert answered["threshold"]["false_reject_rate"] == 0.01


def test_the_steps_of_an_export_are_shown_without_a_terminal_too(trained_run, tmp_path, capsys):
    assert main(["export", trained_run, "--output", tmp_path / "x.onnx"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert "exporting the graph: done" in lines
    assert "comparing with torch on each engine: 2 of 2" in lines
    assert "scoring 21 good images: 21 of 21" in lines


@pytest.mark.parametrize("suffix", [".onnx", ".json", ".calibration.json"])
def test_the_answer_does_not_overwrite_what_is_exported(trained_run, tmp_path, capsys, suffix):
    answer = (tmp_path / "x.onnx").with_suffix(suffix)
    assert main(["export", trained_run, "--output", tmp_path / "x.onnx", "--json", answer]) == 2
    assert "is where the artifact or a manifest goes" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_answer_does_not_overwrite_the_manifest_of_what_is_served(exported, tmp_path, capsys):
    before = manifest_path(exported).read_bytes()
    words = ["export", exported, "--triton", tmp_path / "models", "--json", manifest_path(exported)]
    assert main(words) == 2
    assert "is where the artifact or a manifest goes" in capsys.readouterr().err
    assert manifest_path(exported).read_bytes() == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--batch", "0"], "must be a positive integer or dynamic, got '0'"),
        (["--batch", "many"], "must be a positive integer or dynamic, got 'many'"),
        (["--precision", "int4"], "'int4' is not one of 'fp32', 'fp16', 'int8', 'int8_fp16'"),
        (["--false-reject-rate", "0.6"], "must be a number from 0 to 0.5, got '0.6'"),
        (["--max-drift", "eleven"], "must be a number from 0 to 10, got 'eleven'"),
    ],
)
def test_a_wrong_option_is_one_line(trained_run, capsys, words, complaint):
    assert main(["export", trained_run, *words]) == 2
    line = capsys.readouterr().err.strip()
    assert complaint in line
    assert len(line.splitlines()) == 1
