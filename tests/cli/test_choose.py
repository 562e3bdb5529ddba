"""`edgekd choose`: from good images to the run to take, and what it refuses."""

import json
import re
import shlex
import shutil

import pytest

import edgekd.workflows.candidates as candidates_module
import edgekd.workflows.choose as workflow
import edgekd.workflows.halving as halving
import edgekd.workflows.shipping as shipping
from edgekd.artifact import read_json, write_json
from edgekd.cli.group import with_optional_values
from edgekd.workflows.candidates import Candidate

from ..run_command import main


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(forty_good, out):
    """Runs the command with options; gives the exit code."""
    return lambda *options: main(["choose", "--data", forty_good, "--out", out, *options])


@pytest.fixture
def two_candidates(monkeypatch, tiny_teacher):
    """HKT at 64 pixels, and a system that fails since its teacher is not there; little time is for them."""
    both = [Candidate("hkt", (64, 64), (str(tiny_teacher),)), Candidate("dskd", (64, 64), ("wide_resnet101_2",))]
    monkeypatch.setattr(workflow, "find_candidates", lambda teacher, views: iter(both))
    monkeypatch.setattr(shipping, "TIMING_SECONDS", 0.1)
    monkeypatch.setattr(halving, "LEAST_SECONDS", 1.0)


@pytest.fixture
def trained(monkeypatch):
    """The systems that were trained, in order."""
    names, real = [], candidates_module.finish_training
    monkeypatch.setattr(
        candidates_module,
        "finish_training",
        lambda training, progress: (names.append(training.system), real(training, progress))[1],
    )
    return names


@pytest.mark.slow
@pytest.mark.usefixtures("two_candidates")
def test_it_names_the_run_to_take_and_goes_on_where_it_was_interrupted(
    run, out, trained, capsys, monkeypatch, tmp_path
):
    real = shipping.finish_export

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shipping, "finish_export", interrupt)
        assert run("--minutes", "0.1") == 130
    assert "what is finished is kept; the same command goes on from here" in capsys.readouterr().err
    student = out / "round1/hkt_64/student.safetensors"
    before = student.stat().st_mtime_ns

    assert run("--minutes", "0.1", "--json", tmp_path / "answer.json", "--html", tmp_path / "page.html") == 0
    assert student.stat().st_mtime_ns == before
    assert trained == ["hkt", "dskd"]
    printed = capsys.readouterr()
    assert "2 candidates, judged on 10 held-out good images against 140 with synthetic defects" in printed.err
    assert re.search(r"hkt_64: image AUROC 0\.\d{3} \(1 of 2\)", printed.err)
    assert "dskd_64: the weights of wide_resnet101_2 are not here" in printed.err

    answer = json.loads((tmp_path / "answer.json").read_text())
    best, failed = answer["rows"]
    assert answer["take"] == best["run"] == str(out / "round1/hkt_64")
    assert 0 <= best["image_auroc"] <= 1
    assert best["latency_ms"] > 0
    assert best["ceiling_stands_still"]  # So few patches are all remembered.
    assert best["fast_enough"]
    assert failed["error"].startswith("the weights of wide_resnet101_2 are not here")
    assert not failed["fast_enough"]
    text = " ".join(printed.out.split())
    shipped = answer["shipped"]
    assert shipped["artifact"] == str(out / "round1/hkt_64/detector_int8.onnx")
    assert best["latency_ms"] == shipped["latency_ms"]
    assert shipped["image_auroc"] == pytest.approx(best["image_auroc"], abs=0.02)
    assert f"take {shipped['artifact']}: hkt at 64 pixels in INT8, image AUROC {shipped['image_auroc']:.3f}" in text
    assert f"--engine {shipped['artifact']}" in text
    assert "hkt at 64 pixels" in (tmp_path / "page.html").read_text()

    # The images it was judged by are a category, and give the same figure.
    assert (
        main(["evaluate", "--engine", out / "round1/hkt_64/detector_int8.onnx", "--data", out / "judge", "--json", "-"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["image_auroc"] == pytest.approx(shipped["image_auroc"])

    # What is finished is not done again; the function gives the same answer as the command.
    trained.clear()
    monkeypatch.setattr(shipping, "finish_export", real)
    result = workflow.choose(data=out.parent / "forty", out=out, minutes=0.1)
    assert trained == []
    assert student.stat().st_mtime_ns == before
    assert result.to_dict() == answer | {"seconds": result.seconds}

    # Where nothing is fast enough, the answer is no.
    record = read_json(out / "choose.json")
    write_json(out / "choose.json", record | {"asked": record["asked"] | {"latency": 0.02}})
    assert run("--minutes", "0.1", "--latency", "0.02") == 1
    assert "no candidate is as fast as 0.02 ms: the fastest is hkt at 64 pixels" in capsys.readouterr().out


@pytest.mark.usefixtures("two_candidates")
def test_other_options_than_before_are_refused(run, out, capsys):
    out.mkdir()
    record = {
        "asked": {"minutes": 3.0},
        "images": "",
        "rounds": [],
        "latency_ms": {},
        "macs": {},
        "shipped": {},
        "ceilings": {},
    }
    record |= {"seconds": 0}
    write_json(out / "choose.json", record)
    assert run("--minutes", "5") == 2
    assert "was begun without --data, not with --data" in capsys.readouterr().err


def test_where_every_candidate_fails_the_first_error_is_told(run, out, capsys):
    assert run("--teacher", "nosuch", "--minutes", "1") == 2
    assert "every candidate failed, hkt_128 with: unknown teacher 'nosuch'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--minutes", "0"), "must be a number from 0.1 to 100000, got '0'"),
        (("--latency", "-3"), "must be a number from 0.01 to 100000, got '-3'"),
        (("--ng", "nowhere"), "no such folder: nowhere"),
        (("--device", "tpu"), "device must be auto, cpu or cuda, got 'tpu'"),
        (("--ray", "hkt"), "--ray must be local, auto or the HOST:PORT of a Ray cluster, got 'hkt'"),
        (("--html", "."), "it is a folder, give the name of a file"),
        (("--json", "same", "--html", "same"), "--json and --html both name same"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_trained(run, out, capsys, options, expected):
    assert run(*options) == 2
    assert expected in capsys.readouterr().err
    assert not out.exists()


def test_too_few_good_images_are_one_line(good_folder, out, capsys):
    shutil.rmtree(out, ignore_errors=True)
    assert main(["choose", "--data", good_folder, "--out", out]) == 2
    assert "holds 24 good images, too few" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("choose --ray", "choose --ray local"),
        ("choose --ray --data good", "choose --ray local --data good"),
        ("choose --ray auto --data good", "choose --ray auto --data good"),
        ("choose --ray=10.0.0.1:6379", "choose --ray=10.0.0.1:6379"),
        ("inspect -- --ray", "inspect -- --ray"),
        ("choose --ray -- x", "choose --ray local -- x"),
    ],
)
def test_ray_may_stand_without_an_address(words, completed):
    assert with_optional_values(shlex.split(words)) == shlex.split(completed)
