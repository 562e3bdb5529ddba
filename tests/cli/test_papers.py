import json

import pytest

from edgekd.papers import list_tables, misprints, table

from ..run_command import main


def run(*words):
    return main(["papers", *map(str, words)])


def test_without_a_name_the_tables_are_listed_with_what_is_missing(capsys):
    assert run() == 0
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if "hkt_table3_mvtec_image_auroc" in line)
    assert line.split()[1:3] == ["198", "rows"]
    assert said.count("Missing: ") == 2


def test_the_list_as_json_counts_every_table(capsys):
    assert run("--json", "-") == 0
    tables = {table["table"]: table for table in json.loads(capsys.readouterr().out)}
    assert len(tables) == 19
    assert tables["mhkd_table2_visa_mvtec"]["rows"] == 464
    assert tables["mhkd_table2_visa_mvtec"]["paper"] == "MHKD"


def test_a_table_is_spread_out_and_its_misprints_are_marked(capsys, monkeypatch):
    monkeypatch.setattr("edgekd.cli.output.answer.width", 80)
    assert run("hkt_table3_mvtec_image_auroc") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.startswith("*")) <= 80
    totals = " ".join(line for line in lines if line.startswith("Avg. Total")).split()
    assert [figure for figure in totals if figure.endswith("*")] == ["95.5*", "87.7*", "98.69*"]
    assert lines[-1] == (
        "* HKT+, Avg. Total, image_AUROC_percent: printed 98.69, the mean of the printed rows is 98.44"
    )
    transistor = [line.split() for line in lines if line.startswith("Transistor")]
    assert [figure for line in transistor for figure in line[1:]][-2:] == ["90.5", "94.08"]


def test_a_wide_console_gets_a_table_in_one_piece(capsys, monkeypatch):
    monkeypatch.setattr("edgekd.cli.output.answer.width", 200)
    assert run("mhkd_table1_loco_spro") == 0
    ours = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("Ours")]
    assert ours == [["Ours", "0.693", "0.693", "0.891", "0.902", "0.967", "0.829"]]


def test_a_table_of_costs_says_below_how_its_figures_were_counted(capsys):
    assert run("mhkd_table5_efficiency.csv") == 0
    assert "EfficientAD: 2xMACs; verified 235.41; teacher+student+autoencoder" in capsys.readouterr().out


def test_a_table_as_json_has_its_rows_as_printed_and_its_misprints(tmp_path, capsys):
    assert run("mhkd_table2_visa_mvtec", "--json", tmp_path / "table.json") == 0
    assert "MHKD (Ours)" in capsys.readouterr().out
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["rows"][0] == {
        "method": "PatchCore",
        "category": "VisA/candles",
        "metric": "image_AUROC_percent",
        "value": "98.6",
    }
    assert table["misprints"] == [
        {
            "method": "RD",
            "category": "MVTec AD/Mean",
            "metric": "image_AUROC_percent",
            "printed": "98.5",
            "mean_of_rows": 98.66,
        }
    ]


def test_the_command_and_the_functions_give_the_same_tables(capsys):
    assert run("--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == list_tables().to_dicts()
    assert run("pfadseg_table3_iap", "--json", "-") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"] == table("pfadseg_table3_iap").to_dicts()
    assert printed["misprints"] == misprints("pfadseg_table3_iap").to_dicts()
    assert len(printed["misprints"]) == 2


@pytest.mark.parametrize("name", ["hkt_table5", "nonsense"])
def test_a_wrong_name_costs_one_line(name, capsys):
    assert run(name) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"edgekd: unknown table '{name}'")
    assert said.count("\n") == 1


def test_every_table_prints(capsys):
    from edgekd.papers.tables import TABLES

    for name in TABLES:
        assert run(name) == 0
        assert capsys.readouterr().out.startswith(TABLES[name][0])
