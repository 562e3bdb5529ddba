"""The rule OK: all or nothing, and nowhere else."""

from __future__ import annotations

import ast
import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import edgekd.station
from edgekd.result import Verdict
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.parts import Inspected
from edgekd.station.ports import Released
from edgekd.station.recipes import CameraSettings, Detector, Recipe, Release
from edgekd.station.rule_ok import Evidence, Row, decide
from edgekd.station.states import State

PACKAGE = Path(edgekd.station.__file__).parent
RULE = PACKAGE / "rule_ok.py"


def recipe(status="released", digest="d"):
    released = Recipe(
        id="bolt",
        job=1,
        revision=1,
        status=status,
        release=Release(by="a", at="b", reason="c"),
        detector=Detector(artifact="detector.onnx"),
        cameras={"top": CameraSettings()},
    )
    return Released(released, digest)


GOOD = Evidence(
    acquisition_id=5,
    state=State.RUNNING,
    fault=ErrorCode.NONE,
    recipe=recipe(),
    inspected=Inspected(5, recipe_digest="d", score=0.5, threshold=0.5, severity=1.0),
    now=10.0,
    due=10.0,
    row=Row.COMMITTED,
)


def seen(**fields):
    return dataclasses.replace(GOOD, inspected=dataclasses.replace(GOOD.inspected, **fields))


def test_everything_right_is_ok_up_to_the_threshold_itself_and_the_last_moment():
    assert decide(GOOD).verdict is Verdict.OK
    assert decide(GOOD).error is ErrorCode.NONE


@pytest.mark.parametrize(
    ("evidence", "verdict", "error"),
    [
        (dataclasses.replace(GOOD, inspected=None), Verdict.ERROR, ErrorCode.ANSWER_LATE),
        (dataclasses.replace(GOOD, row=Row.FAILED), Verdict.ERROR, ErrorCode.ROW_NOT_WRITTEN),
        (dataclasses.replace(GOOD, now=10.000001), Verdict.ERROR, ErrorCode.ANSWER_LATE),
        (dataclasses.replace(GOOD, due=math.nan), Verdict.ERROR, ErrorCode.ANSWER_LATE),
        (dataclasses.replace(GOOD, state=State.READY), Verdict.ERROR, ErrorCode.SYSTEM),
        (
            dataclasses.replace(GOOD, state=State.FAULT, fault=ErrorCode.CAMERA_LOST),
            Verdict.ERROR,
            ErrorCode.CAMERA_LOST,
        ),
        (dataclasses.replace(GOOD, recipe=None), Verdict.ERROR, ErrorCode.JOB_UNKNOWN),
        (dataclasses.replace(GOOD, recipe=recipe("draft")), Verdict.ERROR, ErrorCode.JOB_UNKNOWN),
        (dataclasses.replace(GOOD, recipe=recipe("retired")), Verdict.ERROR, ErrorCode.JOB_UNKNOWN),
        (dataclasses.replace(GOOD, recipe=recipe(digest="e")), Verdict.ERROR, ErrorCode.DIGEST_DIFFERS),
        (dataclasses.replace(GOOD, acquisition_id=6), Verdict.ERROR, ErrorCode.SYSTEM),
        (seen(error=ErrorCode.IMAGE_BLACK), Verdict.ERROR, ErrorCode.IMAGE_BLACK),
        (seen(score=math.nan), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (seen(score=-math.inf), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (seen(threshold=math.inf), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (seen(threshold=math.nan), Verdict.ERROR, ErrorCode.SCORE_NOT_FINITE),
        (seen(uncertain=True), Verdict.NG, ErrorCode.NONE),
        (seen(score=0.5000001), Verdict.NG, ErrorCode.NONE),
    ],
)
def test_one_thing_wrong_is_never_ok_and_says_what(evidence, verdict, error):
    decision = decide(evidence)
    assert decision.verdict is verdict
    assert decision.error is error
    assert bool(decision.text) is (verdict is Verdict.ERROR or evidence.inspected.uncertain)


numbers = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 1.0])
evidences = st.builds(
    Evidence,
    acquisition_id=st.sampled_from([5, 6]),
    state=st.sampled_from(State),
    fault=st.sampled_from([ErrorCode.NONE, ErrorCode.CAMERA_LOST]),
    recipe=st.one_of(
        st.none(), st.builds(recipe, st.sampled_from(["draft", "released", "retired"]), st.sampled_from("de"))
    ),
    inspected=st.one_of(
        st.none(),
        st.builds(
            Inspected,
            st.sampled_from([5, 6]),
            recipe_digest=st.sampled_from(["d", "e", ""]),
            error=st.sampled_from([ErrorCode.NONE, *TEXTS]),
            score=numbers,
            threshold=numbers,
            uncertain=st.booleans(),
        ),
    ),
    now=numbers,
    due=numbers,
    row=st.sampled_from(Row),
)


def biased(evidence):
    """Draws that are nearly good: each field of the good case is kept with a chance of its own."""
    return st.builds(
        lambda drawn, kept: dataclasses.replace(GOOD, **{name: getattr(drawn, name) for name in kept}),
        st.just(evidence),
        st.sets(st.sampled_from([field.name for field in dataclasses.fields(Evidence)])),
    )


@given(evidences.flatmap(biased))
def test_ok_is_all_conditions_at_once_and_nothing_else(evidence):
    what, recipe = evidence.inspected, evidence.recipe
    conditions = (
        evidence.state is State.RUNNING,
        evidence.row is not Row.FAILED,
        recipe is not None and recipe.recipe.status == "released",
        what is not None and recipe is not None and what.recipe_digest == recipe.digest,
        what is not None and what.acquisition_id == evidence.acquisition_id,
        what is not None and what.error is ErrorCode.NONE and not what.uncertain,
        what is not None and math.isfinite(what.score) and math.isfinite(what.threshold),
        what is not None and what.score <= what.threshold,
        evidence.now <= evidence.due,
    )
    decision = decide(evidence)
    assert (decision.verdict is Verdict.OK) == all(conditions)
    assert (decision.verdict is Verdict.ERROR) == (decision.error is not ErrorCode.NONE)


# These give no part's verdict: a PLC's side of the wire, and images of a self-test.
OF_NO_PART = {PACKAGE / "simulated_plc.py", PACKAGE / "inspector" / "self_test.py"}
# The one place where answers are put together from a decision, and the one where rows are read back from the record.
MAKERS_OF_OUTCOMES = {PACKAGE / "outcomes.py", PACKAGE / "record" / "reading.py"}


def sources():
    return [path for path in PACKAGE.rglob("*.py") if path not in (RULE, *OF_NO_PART)]


def parents_of(tree):
    return {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}


def is_only_looked_at(node, parents):
    """Whether a mention of OK compares with it, or is the key of a table."""
    parent = parents[node]
    if isinstance(parent, (ast.Tuple, ast.Set, ast.List, ast.Attribute)):
        return is_only_looked_at(parent, parents)
    if isinstance(parent, ast.Dict):
        return node in parent.keys
    return isinstance(parent, (ast.Compare, ast.Subscript, ast.MatchValue))


def name_of(call):
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def keyword(call, name):
    """The source of a keyword of a call; None where it has none."""
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def check_call(call, path):
    """Of all calls that could give a verdict, only those with ERROR, and those that pass a decision on, are left."""
    name = name_of(call)
    assert name != "verdict_of"
    if name == "Verdict":
        assert not any(isinstance(value, ast.Constant) for value in call.args)
    if name == "Outcome":
        assert path in MAKERS_OF_OUTCOMES or keyword(call, "verdict") == "Verdict.ERROR"
    if name == "replace":
        assert keyword(call, "verdict") is None
    if name == "Decision":
        assert ast.unparse(call.args[0]) == "Verdict.ERROR"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_other_module_can_make_a_verdict_ok(path):
    tree = ast.parse(path.read_text())
    parents = parents_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "OK":
            assert is_only_looked_at(node, parents), f"{path}:{node.lineno} makes a verdict OK"
        if isinstance(node, ast.Call):
            check_call(node, path)
        if isinstance(node, ast.Subscript):
            assert ast.unparse(node.value) != "Verdict", f"{path}:{node.lineno} may make a verdict OK"


def test_answers_that_are_put_together_have_the_verdict_that_was_decided():
    tree = ast.parse((PACKAGE / "outcomes.py").read_text())
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and name_of(node) == "Outcome"]
    assert [keyword(call, "verdict") for call in made] == ["decision.verdict"]


def test_what_is_read_back_from_the_record_never_goes_to_a_plc():
    reading = "record.reading"
    for path in sources():
        if path.name == "simulation.py":
            continue  # It prints what is on record, once its simulated PLC has the answer.
        if path.parent == PACKAGE or path.parent.name in ("inspector", "cameras"):
            assert reading not in path.read_text(), path
