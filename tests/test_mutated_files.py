"""Every field of the files that edgekd reads, replaced by what does not belong there: a line that names the file, or an
answer, and nothing else.

A few at a time here; all of them with `make slow`.
"""

import contextlib
import json
import shutil
import time

import pytest
import torch

from edgekd.artifact import manifest_path, read_entries
from edgekd.errors import EdgekdError
from edgekd.quantization.calibration_set import CalibrationSet, hashed, read_calibration_set, write_calibration_set
from edgekd.recipe import read_recipe
from edgekd.run_folder import RECIPE_FILE, TEACHER_CARDS_FILE
from edgekd.training.run import untrained_detector
from edgekd.training.teachers.cards import read_card, read_teacher_cards

from .mutations import deranged, mutations, some_mutations
from .run_command import main

SLOWEST = 2.0  # Seconds of the processor that any of these files may take to be read or refused.


@pytest.fixture(scope="module")
def originals(trained_run, exported, tmp_path_factory):
    """By a file's kind, its content and what reads it."""
    images = sorted((trained_run.parent / "good").iterdir())[:8]
    chosen = CalibrationSet(hashed(images[0].parent, images), str(images[0].parent), "random", 0, 99)
    path = tmp_path_factory.mktemp("set") / "set.json"
    write_calibration_set(path, chosen)
    files = {
        "manifest": (manifest_path(exported), read_entries),
        "recipe": (trained_run / RECIPE_FILE, lambda path: read_recipe(path.parent)),
        "calibration set": (path, read_calibration_set),
        "teachers of a run": (trained_run / TEACHER_CARDS_FILE, lambda path: read_teacher_cards(path.parent)),
    }
    found = {kind: (json.loads(file.read_text()), file.name, read) for kind, (file, read) in files.items()}
    card = {"teacher": "resnet18", "network": "resnet18", "licence": "BSD-3-Clause", "sha256": "0" * 64}
    card |= {"made_from": {"resnet18": "1" * 64}, "hash_checked": True, "strides": [4, 8]}
    return found | {"teacher card": (card, "card.json", read_card)}


KINDS = ("manifest", "recipe", "calibration set", "teachers of a run", "teacher card")


def read_or_refuse(path, text, read, what):
    """Whether a changed file is read; otherwise it is refused in one line that names it, and soon."""
    path.write_bytes(text)
    start = time.process_time()
    try:
        read(path)
    except EdgekdError as error:
        line = str(error)
        assert str(path) in line, what
        assert line.isprintable(), what
        assert len(line) < 600, what
        return False
    finally:
        assert time.process_time() - start < SLOWEST, what
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_with_one_wrong_field_is_read_or_refused_with_its_name(originals, tmp_path, kind):
    content, name, read = originals[kind]
    changes = some_mutations(content, 150, seed=1)
    answers = [read_or_refuse(tmp_path / name, each.text, read, each[:2]) for each in changes]
    assert answers.count(False) > 50, "most changes are wrong, and few of them were found to be"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_hardly_json_is_refused_with_its_name(originals, tmp_path, kind):
    content, name, read = originals[kind]
    for what, text in deranged(json.dumps(content, indent=2).encode()).items():
        was_read = read_or_refuse(tmp_path / name, text, read, what)
        assert not was_read or (kind, what) == ("teachers of a run", "one list")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_wrong_field_is_read_or_refused_with_its_name(originals, tmp_path, kind):
    content, name, read = originals[kind]
    for each in mutations(content):
        read_or_refuse(tmp_path / name, each.text, read, each[:2])


@pytest.fixture
def changed_run(trained_run, exported, tmp_path):
    """A copy of the run with its artifact, to be changed; the images stay where they are."""
    folder = tmp_path / "run"
    shutil.copytree(trained_run, folder)
    return folder


def accepted(content, count, path, read):
    """So many changed files that are read: what uses them has to cope with them."""
    found = []
    for each in some_mutations(content, 40 * count, seed=2):
        path.write_bytes(each.text)
        try:
            read(path)
        except EdgekdError:
            continue
        found.append(each)
    return found[:count]


def commands(run, category):
    """What reads a manifest, by its command."""
    artifact, out = run / "detector.onnx", run.parent / "out"
    one_thread = ["--backend", "onnxruntime", "--threads", "1"]
    return {
        "inspect": ["inspect", "--engine", artifact, "--source", category / "test" / "good", "--out", out, *one_thread],
        "evaluate": ["evaluate", artifact, "--data", category, *one_thread],
        "threshold": ["threshold", artifact, "--write"],
        "drift": ["drift", run, "--data", category],
        "bench": ["bench", "--engine", artifact, "--duration", "0.1", *one_thread],
        "export": ["export", artifact, "--triton", out / "models"],
        "build": ["build", artifact, "--backend", "openvino", "--output", out / "x.engine"],
    }


def run_with(words, what):
    """Runs a command on a changed file: it does its work, or says what is wrong; it never fails by a fault of ours."""
    code = main([str(word) for word in words])
    assert code in (0, 1, 2, 3), (what, words)


def test_what_is_read_of_a_changed_manifest_is_inspected_with_or_refused(originals, changed_run, category):
    content, name, read = originals["manifest"]
    for each in accepted(content, 3, changed_run / name, read):
        (changed_run / name).write_bytes(each.text)
        run_with(commands(changed_run, category)["inspect"], each[:2])


@pytest.mark.slow
@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("command", ["inspect", "evaluate", "threshold", "drift", "bench", "export", "build"])
def test_every_command_does_its_work_or_refuses_a_changed_manifest(originals, changed_run, category, command):
    content, name, read = originals["manifest"]
    for each in accepted(content, 40, changed_run / name, read):
        (changed_run / name).write_bytes(each.text)
        run_with(commands(changed_run, category)[command], each[:2])


def test_a_changed_recipe_that_is_read_builds_its_detector_or_is_refused(originals, changed_run):
    content, name, read = originals["recipe"]
    for each in accepted(content, 20, changed_run / name, read):
        (changed_run / name).write_bytes(each.text)
        recipe = read_recipe(changed_run)
        with contextlib.suppress(EdgekdError), torch.device("meta"):
            untrained_detector(recipe)


@pytest.mark.slow
def test_a_changed_recipe_that_is_read_is_resumed_and_exported_or_refused(originals, changed_run):
    content, name, read = originals["recipe"]
    for each in accepted(content, 60, changed_run / name, read):
        (changed_run / name).write_bytes(each.text)
        run_with(["train", content["system"], "--run", changed_run, "--resume", "--device", "cpu"], each[:2])
        run_with(["export", changed_run, "--output", changed_run.parent / "x.onnx"], each[:2])
