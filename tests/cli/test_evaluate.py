"""`edgekd evaluate`: its figures, its report, and what is refused before anything is measured."""

import json
import shutil

import pytest

from edgekd.artifact import manifest_path
from edgekd.run_folder import DETECTOR_FILE
from edgekd.workflows.evaluate import evaluate

from ..run_command import main


def test_the_command_and_the_function_give_the_same_answer(exported, category, capsys):
    words = ["--engine", exported, "--data", category, "--backend", "openvino", "--threads", "1", "--json", "-"]
    assert main(["evaluate", *words]) == 0
    printed = json.loads(capsys.readouterr().out)
    result = evaluate(exported, category, backend="openvino", threads=1)
    assert printed == result.to_dict()
    assert printed["image_auroc"] == result.image_auroc


def test_evaluate_reports_the_figures_and_a_page(exported, category, tmp_path, capsys):
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"
    words = ["evaluate", "--engine", exported.parent, "--data", category, "--html", page, "--json", figures]
    assert main([str(word) for word in words]) == 0
    content = json.loads(figures.read_text())
    assert 0 <= content["image_auroc"] <= 1
    assert 0 <= content["pixel_auroc"] <= 1
    assert sum(content["verdicts"][name] for name in ("OK", "NG", "ERROR")) == (
        content["test_good"] + content["test_defective"]
    )
    assert page.read_text().count("data:image/jpeg") >= 2


def test_evaluate_sets_its_figures_beside_the_papers_and_names_what_differs(exported, category, tmp_path, capsys):
    transistor = category.rename(tmp_path / "transistor")
    assert main(["evaluate", "--engine", str(exported), "--data", str(transistor)]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "beside the paper, MVTec AD, transistor" in told
    assert "0.9050" in told
    for difference in ("iterations: 20; the paper's 50,000", "size: 64 pixels", "images: 96 x 96 pixels; MVTec AD's"):
        assert f"different set-up: {difference}" in told


def test_progress_counts_the_images_on_no_terminal(exported, category, capsys):
    assert main(["evaluate", "--engine", exported, "--data", category]) == 0
    assert "evaluating 12 images: 12 of 12" in capsys.readouterr().err


def test_a_test_set_without_defects_says_what_is_missing(exported, good_folder, capsys):
    assert main(["evaluate", "--engine", exported, "--data", good_folder]) == 2
    line = capsys.readouterr().err
    assert "test/good" in line
    assert line.count("\n") == 1


def test_one_file_for_both_is_refused(exported, category, tmp_path, capsys):
    file = tmp_path / "both"
    assert main(["evaluate", "--engine", exported, "--data", category, "--html", file, "--json", file]) == 2
    assert "--json and --html both name" in capsys.readouterr().err
    assert not file.exists()


def test_the_artifact_of_a_run_is_not_written_over(exported, category, tmp_path, capsys):
    for path in (exported, manifest_path(exported)):
        shutil.copy(path, tmp_path / path.name)
    before = (tmp_path / DETECTOR_FILE).read_bytes()
    for option in ("--html", "--json"):
        words = ["--engine", tmp_path, "--data", category, option, tmp_path / DETECTOR_FILE]
        assert main(["evaluate", *words]) == 2
        assert "belongs to the artifact that is measured" in capsys.readouterr().err
    assert (tmp_path / DETECTOR_FILE).read_bytes() == before


@pytest.mark.parametrize("option", ["--data", "--engine"])
def test_what_is_required_is_asked_for(exported, category, option, capsys):
    words = {"--engine": exported, "--data": category}
    del words[option]
    assert main(["evaluate", *next(iter(words.items()))]) == 2
    assert f"missing option '{option}'; see 'edgekd evaluate --help'" in capsys.readouterr().err


def test_quiet_prints_the_answer_and_nothing_else(exported, category, tmp_path, capsys):
    words = ["--engine", exported, "--data", category, "--html", tmp_path / "page.html"]
    assert main(["evaluate", *words]) == 0
    assert f"wrote {tmp_path / 'page.html'}\n" in capsys.readouterr().err
    assert main(["-q", "evaluate", *words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "image_auroc" in printed.out
