"""`edgekd log`: what it prints, and what it refuses."""

import json

import pytest

from edgekd.result import AnomalyResult, Verdict, error_result
from edgekd.run_folder import VERDICTS_FILE
from edgekd.verdicts.log import Session, VerdictLog

from ..run_command import main


@pytest.fixture
def folder(tmp_path):
    for source in ("/data/line 1", "/data/line 2"):
        with VerdictLog(tmp_path / VERDICTS_FILE, Session(source, "x.onnx", "ab"), "0") as log:
            good = AnomalyResult(1.0, 0.5, Verdict.OK, timings={"end_to_end": 7.0})
            log.write("good.png", good, notices=("images have been darker since 14:20",))
            row = log.write("bad\udce4.png", AnomalyResult(3.0, 1.5, Verdict.NG))
            log.add_image(row, Verdict.NG, "heat_map", "heat_maps/bad.heat.jpg", 10)
            log.write("cut.png", error_result("cut.png is cut off"))
            log.event("images_removed", "removed 3 images")
            if source.endswith("1"):
                log.event("ended", "ended")
    return tmp_path


def test_a_table_a_sum_and_the_last_ng_are_printed(folder, capsys):
    assert main(["log", folder]) == 0
    printed = capsys.readouterr().out
    assert all(f"\N{BOX DRAWINGS LIGHT VERTICAL} {name} " in printed for name in ("line 1", "line 2"))
    assert "2 OK, 2 NG, 2 ERROR; yield 33.33%" in printed
    assert "end to end: median 7.0 ms" in printed
    assert printed.count("bad\\xe4.png  3  severity 1.50  heat_maps/bad.heat.jpg") == 2
    assert printed.count("removed 3 images") == 2
    assert printed.count("images have been darker since 14:20") == 2
    assert "1 of 2 runs go on, or were killed" in printed


def test_errors_are_listed_with_their_reason(folder, capsys):
    assert main(["log", folder / VERDICTS_FILE, "--verdict", "ERROR"]) == 0
    assert capsys.readouterr().out.count("cut.png  cut.png is cut off") == 2


def test_json_replaces_the_text_and_an_export_is_named(folder, tmp_path, capsys):
    assert main(["log", folder, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["verdicts"] == {"OK": 2, "NG": 2, "ERROR": 2}
    assert main(["log", folder, "--export", tmp_path / "x.csv", "--verdict", "NG"]) == 0
    assert f"wrote 2 verdicts to {tmp_path / 'x.csv'}" in capsys.readouterr().out


def test_a_log_without_verdicts_in_that_time_says_so(folder, capsys):
    assert main(["log", folder, "--since", "2999-01-01"]) == 0
    assert "no verdicts in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["none"], "no such folder or log: none"),
        (["."], "holds no verdicts.sqlite"),
        ([".", "--since", "noon"], "'noon' is not a time"),
        ([".", "--export", "x.txt"], "its name must end in .parquet or .csv"),
        ([".", "--verdict", "BAD"], "BAD"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, words, complaint):
    monkeypatch.chdir(tmp_path)
    assert main(["log", *words]) == 2
    line = capsys.readouterr().err
    assert complaint in line
    assert line.count("\n") == 1
