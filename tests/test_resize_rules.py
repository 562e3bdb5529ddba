"""The rule of resizing goes with the artifact and the run."""

import ast
from pathlib import Path

import pytest

import edgekd
from edgekd.errors import ArtifactError
from edgekd.resize_rules import AREA, AREA_2, resize_rule

PACKAGE = Path(edgekd.__file__).parent


def test_artifacts_of_before_there_were_rules_keep_the_first():
    assert resize_rule({"file": "x.onnx"}) == AREA
    assert resize_rule({"file": "x.onnx", "resize": {"rule": AREA_2}}) == AREA_2


@pytest.mark.parametrize("rule", ["area-3", None, 2])
def test_a_rule_that_is_not_known_is_refused_in_one_line(rule):
    with pytest.raises(ArtifactError) as refused:
        resize_rule({"file": "x.onnx", "resize": {"rule": rule}})
    assert str(refused.value).startswith(f"x.onnx needs images resized by the rule {rule!r}; this edgekd has ")
    assert "\n" not in str(refused.value)


def test_whoever_reads_frames_for_a_run_or_an_artifact_prepares_them_as_it_does():
    calls = [
        (path.relative_to(PACKAGE).as_posix(), ast.unparse(node.args[1]))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "read_frames"
    ]
    assert len(calls) >= 8
    assert [(path, given) for path, given in calls if "preprocessing" not in given] == []
