"""`edgekd.workflows.export` as a function; its files are tested by the command."""

import pytest

from edgekd.artifact import read_manifest, write_manifest
from edgekd.errors import EdgekdError
from edgekd.workflows.export import export


def test_an_export_returns_what_its_manifest_records_and_reports_each_step(trained_run, tmp_path):
    steps = {}
    result = export(
        trained_run,
        output=tmp_path / "x.onnx",
        progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)}),
    )
    manifest = read_manifest(result.artifact)
    assert result.artifact == tmp_path / "x.onnx"
    assert (result.exported, result.triton) == (True, None)
    assert (result.system, result.precision, result.macs) == ("hkt", "fp32", manifest["macs"])
    assert result.threshold == manifest["threshold"]
    assert result.manifest["parity"] == manifest["parity"]
    assert steps == {
        "exporting the graph": (1, 1),
        "comparing with torch on each engine": (2, 2),
        "scoring 21 good images": (21, 21),
        "scoring 7 synthetic defects": (7, 7),
        "learning image checks from 110 good images": (110, 110),
    }


def test_a_threshold_that_somebody_set_is_kept_in_the_history_of_the_next_export(trained_run, tmp_path, caplog):
    artifact = export(trained_run, output=tmp_path / "x.onnx").artifact
    manifest = read_manifest(artifact)
    by_hand = manifest["threshold"] | {"value": 123.0, "origin": "set by hand", "history": []}
    write_manifest(artifact, manifest | {"threshold": by_hand})
    with caplog.at_level("INFO"):
        again = export(trained_run, output=artifact).threshold
    assert again["value"] == manifest["threshold"]["value"]
    assert [entry["value"] for entry in again["history"]] == [123.0]
    assert "the threshold 123 (set by hand) is replaced, and kept in the history" in caplog.text


def test_an_int8_export_reports_calibration_and_the_layers_that_it_tries(trained_run, tmp_path):
    steps = {}
    export(
        trained_run,
        precision="int8",
        max_drift=0.0017,  # Of 0.0024 with every layer in INT8.
        output=tmp_path / "x_int8.onnx",
        progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)}),
    )
    assert steps["calibrating"] == (4, 4)
    tried, of = steps["trying layers in INT8"]
    assert tried == of > 8
    assert steps["comparing the engines with each other"] == (2, 2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"precision": "int4"}, "unknown precision 'int4': did you mean int8"),
        (
            {"precision": "int8", "calibration_method": "minmax"},
            "unknown calibration method 'minmax': did you mean min-max",
        ),
        ({"precision": "int8", "calibration_choice": "first"}, "unknown calibration choice 'first'"),
        ({"precision": "int8", "max_drift": -0.1}, "--max-drift must be at least 0, got -0.1"),
        ({"calibration_images": 16}, "--calibration-images needs --precision int8"),
        ({"batch": 0}, "--batch must be a positive integer or dynamic, got '0'"),
        ({"false_reject_rate": 0.6}, "--false-reject-rate must be a number from 0 to 0.5, got 0.6"),
        ({"output": "x.bin"}, "--output x.bin must end in .onnx"),
        ({"size": 64}, "a run keeps the size it was trained with"),
    ],
)
def test_a_wrong_option_is_refused_before_the_work(options, complaint, trained_run, tmp_path):
    before = sorted(trained_run.iterdir())
    with pytest.raises(EdgekdError, match=complaint):
        export(trained_run, **options)
    assert sorted(trained_run.iterdir()) == before


def test_an_unknown_system_names_the_nearest_and_the_missing_run():
    with pytest.raises(EdgekdError, match=r"unknown system 'hktt': did you mean hkt.*there is no run of that name"):
        export("hktt")
