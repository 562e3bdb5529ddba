"""A benchmark of two small categories of real cells, from training to its table."""

import json
import shutil

import pytest

import edgekd.workflows.benchmark as workflow
import edgekd.workflows.finishing as finishing
from edgekd.errors import DriftError

from ..run_command import main

pytestmark = pytest.mark.usefixtures("short_looks")
OPTIONS = ("--size", "64", "--iterations", "2", "--batch", "2", "--precision", "fp32", "--duration", "0.1")


@pytest.fixture
def dataset(category, tmp_path):
    root = tmp_path / "cells"
    shutil.copytree(category, root / "front")
    shutil.copytree(category, root / "back")
    return root


@pytest.fixture
def run(dataset, tmp_path, tiny_teacher):
    """Runs the benchmark with options; gives the exit code."""

    def benchmarked(*options):
        words = ["benchmark", "hkt", "--data", dataset, "--out", tmp_path / "out", *options]
        return main([str(word) for word in words])

    benchmarked.options = (*OPTIONS, "--teacher", tiny_teacher)
    return benchmarked


def stamps(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in (".onnx", ".safetensors")}


@pytest.fixture
def steps(monkeypatch):
    """The workflows that were called, in order."""
    called = []

    def follow(module, name):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, **kwargs: (called.append(name), real(*args, **kwargs))[1])

    for module, name in ((finishing, "train"), (finishing, "export"), (workflow, "evaluate"), (workflow, "bench")):
        follow(module, name)
    return called


def test_it_makes_one_table_and_continues_where_it_was_interrupted(run, dataset, tmp_path, steps, monkeypatch, capsys):
    out, real = tmp_path / "out", finishing.export

    def interrupted_at_the_second(*args, **kwargs):
        if "export" in steps:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "export", interrupted_at_the_second)
        assert run(*run.options) == 130
    printed = capsys.readouterr().err
    assert "the same command goes on" in printed
    assert "back, hkt: training (1 of 2 categories, 1 of 1 systems)" in printed
    assert "front, hkt: exporting in fp32 (2 of 2 categories, 1 of 1 systems)" in printed
    assert "back, hkt: training hkt: 2 of 2" in printed
    (first,) = json.loads((out / "benchmark.json").read_text())
    assert (first["category"], first["system"], first["precision"]) == ("back", "hkt", "fp32")
    before = stamps(out)
    assert len(before) == 5  # Two students and teachers, one graph.

    steps.clear()
    assert run(*run.options) == 0
    assert steps == ["export", "evaluate", "bench"]
    assert stamps(out).items() >= before.items()
    table = json.loads((out / "benchmark.json").read_text())
    assert [row["category"] for row in table] == ["back", "front", "mean of 2"]
    assert table[0] == first
    assert table[2]["image_auroc"] == pytest.approx((table[0]["image_auroc"] + table[1]["image_auroc"]) / 2)
    assert (out / "benchmark.md").read_text() in capsys.readouterr().out

    steps.clear()
    assert run("--precision", "fp32") == 0
    assert steps == []

    # One category is a dataset too, and what is named twice counts once.
    words = ["hkt", "hkt", "--data", dataset / "front", "--out", out, "--precision", "fp32", "--precision", "fp32"]
    capsys.readouterr()
    assert main(["benchmark", *words, "--json", "-"]) == 0
    assert steps == []
    (row,) = json.loads(capsys.readouterr().out)
    assert row["category"] == "front"
    assert json.loads((out / "benchmark.json").read_text()) == [row]
    assert (out / "front/hkt/detector.html").is_file()

    # The function gives the same answer as the command.
    result = workflow.benchmark("hkt", data=dataset / "front", out=out, precision="fp32")
    assert result.to_dict() == {"out": str(out), "rows": [row]}
    assert result.table.to_dicts() == [row]
    assert steps == []

    for option, expected in (("--iterations", "--iterations 2, not 3"), ("--seed", "--seed 0, not 3")):
        assert run("--precision", "fp32", option, "3") == 2
        assert f"was trained with {expected}: leave it out, or use another folder" in capsys.readouterr().err
    assert run("--precision", "fp32", "--quantization-aware") == 2
    assert "was trained without --quantization-aware: leave it out" in capsys.readouterr().err


def test_one_that_fails_is_a_row_with_its_reason_and_the_others_go_on(run, tmp_path, monkeypatch, capsys):
    real = finishing.export

    def drifts_once(folder, **options):
        if folder.parent.name == "back":
            raise DriftError("no INT8 graph drifts by so little")
        return real(folder, **options)

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "export", drifts_once)
        assert run(*run.options) == 1
    printed = capsys.readouterr()
    assert "back, hkt: fp32 failed: no INT8 graph drifts by so little" in printed.err
    assert "no INT8 graph drifts by so little" in printed.out
    failed, done, _ = json.loads((tmp_path / "out/benchmark.json").read_text())
    assert (failed["category"], failed["system"], failed["precision"]) == ("back", "hkt", "fp32")
    assert (done["category"], done["error"]) == ("front", None)

    assert run("--precision", "fp32") == 0  # It is tried again.
    assert [row.get("error") for row in json.loads((tmp_path / "out/benchmark.json").read_text())] == [None, None, None]


def test_a_category_that_is_incomplete_is_refused_before_anything_is_trained(run, dataset, tmp_path, capsys):
    next((dataset / "front/ground_truth/crack").iterdir()).unlink()
    assert run(*run.options) == 2
    assert "1 of 6 masks of defect 'crack' are missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--categories", "frnt"), "unknown category 'frnt': did you mean front?"),
        (("--teacher", "dskd=resnet18"), "--teacher is given with and without SYSTEM="),
        (("--set", "cbma=off"), "unknown setting of hkt 'cbma'"),
        (("--textures", "cells"), "none of hkt learns from them"),
        (("--precision", "int4"), "unknown precision 'int4': did you mean int8?"),
        (("--ray", "dskd"), "--ray must be local, auto or the HOST:PORT of a Ray cluster, got 'dskd'"),
        (("--json", "."), "it is a folder, give the name of a file"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(run, tmp_path, capsys, options, expected):
    assert run(*run.options, *options) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [
        ("nosuch", "unknown teacher 'nosuch'"),
        ("dskd=resnet18", "a teacher is given for dskd, which is not benchmarked, only hkt"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_before_anything_is_trained(run, tmp_path, capsys, teacher, expected):
    assert run(*OPTIONS, "--teacher", teacher) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_mistake_in_the_second_system_is_refused_before_the_first_is_trained(dataset, tmp_path, tiny_teacher, capsys):
    words = ["hkt", "dskd", "--data", dataset, "--out", tmp_path / "out", *OPTIONS]
    assert main(["benchmark", *words, "--teacher", f"hkt={tiny_teacher}", "--teacher", "dskd=nosuch"]) == 2
    assert "unknown teacher 'nosuch'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_category_that_lacks_its_good_folders_is_refused_and_not_passed_over(run, dataset, tmp_path, capsys):
    shutil.rmtree(dataset / "front/train")
    shutil.rmtree(dataset / "front/test/good")
    assert run(*run.options) == 2
    assert f"{dataset / 'front/test'} has no folder good" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_category_without_masks_is_refused_where_others_have_them(run, dataset, capsys):
    shutil.rmtree(dataset / "front/ground_truth")
    assert run(*OPTIONS, "--teacher", "nosuch") == 2
    assert f"{dataset / 'front'} has no masks, others have" in capsys.readouterr().err


def test_a_folder_without_categories_names_the_layouts(run, dataset, capsys):
    shutil.rmtree(dataset / "front")
    shutil.rmtree(dataset / "back")
    assert run(*run.options) == 2
    assert "holds no category in a layout that edgekd reads" in capsys.readouterr().err
