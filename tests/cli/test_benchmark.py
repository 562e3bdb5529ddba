"""A benchmark of two small categories of real cells, from training to its table."""

import json
import shutil

import pytest

import edgekd.cli.benchmark as benchmark
from edgekd.cli.main import main

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


def test_it_makes_one_table_and_goes_on_where_it_was_interrupted(run, dataset, tmp_path, monkeypatch, capsys):
    out, real, commands = tmp_path / "out", benchmark.show_command, []

    def interrupted_at_the_second_export(*words):
        commands.append(words[0])
        if commands.count("export") == 2:
            raise KeyboardInterrupt
        real(*words)

    monkeypatch.setattr(benchmark, "show_command", interrupted_at_the_second_export)
    assert run(*run.options) == 130
    told = capsys.readouterr().err
    assert "the same command goes on" in told
    assert "back, hkt: training (1 of 2 categories, 1 of 1 systems)" in told
    assert "front, hkt: exporting in fp32 (2 of 2 categories, 1 of 1 systems)" in told
    (first,) = json.loads((out / "benchmark.json").read_text())
    assert (first["category"], first["system"], first["precision"]) == ("back", "hkt", "fp32")
    before = stamps(out)
    assert len(before) == 5  # Two students and teachers, one graph.

    monkeypatch.setattr(benchmark, "show_command", lambda *words: (commands.append(words[0]), real(*words)))
    commands.clear()
    assert run(*run.options) == 0
    assert commands == ["export", "evaluate", "bench"]
    assert stamps(out).items() >= before.items()
    table = json.loads((out / "benchmark.json").read_text())
    assert [row["category"] for row in table] == ["back", "front", "mean of 2"]
    assert table[0] == first
    assert table[2]["image_auroc"] == pytest.approx((table[0]["image_auroc"] + table[1]["image_auroc"]) / 2)
    assert (out / "benchmark.md").read_text() in capsys.readouterr().out

    commands.clear()
    assert run("--precision", "fp32") == 0
    assert commands == []

    # One category is a dataset too, and what is named twice counts once.
    words = ["benchmark", "hkt", "hkt", "--data", dataset / "front", "--out", out, "--precision", "fp32", "fp32"]
    capsys.readouterr()
    assert main([str(word) for word in [*words, "--json", "-"]]) == 0
    assert commands == []
    (row,) = json.loads(capsys.readouterr().out)
    assert row["category"] == "front"
    assert json.loads((out / "benchmark.json").read_text()) == [row]
    assert (out / "front/hkt/detector.html").is_file()

    for option, told in (("--iterations", "--iterations 2, not 3"), ("--seed", "--seed 0, not 3")):
        assert run("--precision", "fp32", option, "3") == 2
        assert f"was trained with {told}: leave it out, or name another --out" in capsys.readouterr().err
    assert run("--precision", "fp32", "--quantization-aware") == 2
    assert "was trained without --quantization-aware: leave it out" in capsys.readouterr().err


def test_a_category_that_is_incomplete_is_told_before_anything_is_trained(run, dataset, tmp_path, capsys):
    next((dataset / "front/ground_truth/crack").iterdir()).unlink()
    assert run(*run.options) == 2
    assert "1 of 6 masks of defect 'crack' are missing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--categories", "frnt"), "unknown category 'frnt': did you mean front?"),
        (("--backbone", "resnet18"), "--backbone is for none of hkt"),
        (("--switch", "cbma=off"), "unknown switch of hkt 'cbma'"),
        (("--teacher", "nosuch"), "unknown teacher 'nosuch'"),
        (("--textures", "cells"), "none of hkt learns from them"),
        (("--json", "."), "it is a folder, give the name of a file"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_trained(run, tmp_path, capsys, options, told):
    assert run(*run.options, *options) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_mistake_in_the_second_system_is_told_before_the_first_is_trained(dataset, tmp_path, tiny_teacher, capsys):
    words = ["benchmark", "hkt", "dskd", "--data", dataset, "--out", tmp_path / "out", *OPTIONS]
    assert main([str(word) for word in [*words, "--teacher", tiny_teacher, "--backbone", "nosuch"]]) == 2
    assert "unknown teacher 'nosuch'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_category_that_lacks_its_good_folders_is_told_and_not_passed_over(run, dataset, tmp_path, capsys):
    shutil.rmtree(dataset / "front/train")
    shutil.rmtree(dataset / "front/test/good")
    assert run(*run.options) == 2
    assert f"{dataset / 'front/test'} has no folder good" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_category_without_masks_is_told_where_others_have_them(run, dataset, capsys):
    shutil.rmtree(dataset / "front/ground_truth")
    assert run(*run.options, "--teacher", "nosuch") == 2
    assert f"{dataset / 'front'} has no masks, others have" in capsys.readouterr().err


def test_a_folder_without_categories_names_the_layouts(run, dataset, capsys):
    shutil.rmtree(dataset / "front")
    shutil.rmtree(dataset / "back")
    assert run(*run.options) == 2
    assert "holds no category in a layout that edgekd reads" in capsys.readouterr().err
