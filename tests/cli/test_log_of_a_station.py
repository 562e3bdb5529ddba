"""`edgekd log` of a station's record: what it lists, its exports, its audit trail."""

import csv
import hashlib
import io
import json
import sqlite3
import zipfile

import polars as pl
import pytest

from edgekd.result import Verdict
from edgekd.run_folder import VERDICTS_FILE
from edgekd.station.error_codes import ErrorCode
from edgekd.station.ports import StoredImage

from ..run_command import main
from ..station.record.recording import RECIPE, acquisition, judged, opened, outcome


@pytest.fixture
def folder(tmp_path):
    record = opened(tmp_path)
    record.operator = "mara"
    judged(record, 1)
    judged(record, 2, Verdict.NG)
    judged(record, 3, Verdict.ERROR)
    record.begin(acquisition(4), RECIPE)
    record.write(outcome(4))
    record.write(outcome(5, Verdict.ERROR, ErrorCode.ANSWER_LATE, acquired=4))
    record.deliver(4, "late")
    record.deliver(5, "unread")
    for number in (2, 3):
        path = f"images/{number}.png"
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(bytes([number]) * 100)
        digest = hashlib.sha256(bytes([number]) * 100).hexdigest()
        record.stored(StoredImage(number, "original", path, digest, 100))
    record.audit("mara", "engineer", "10.0.0.1", "threshold", "cell", "1.0", "1.2", "drift")
    record.audit("edgekd", "", "", "start", "station", "", "", "")
    record.close()
    return tmp_path


def test_parts_are_listed_with_what_a_station_knows_of_them(folder, capsys):
    assert main(["log", folder]) == 0
    printed = capsys.readouterr().out
    assert "1 OK, 1 NG, 2 ERROR" in printed  # What came too late was never published.
    assert "line#000002  part 1002  serial S2  lot L3  recipe cell r3  by mara  0.5  severity 0.25" in printed
    assert main(["log", folder, "--verdict", "ERROR"]) == 0
    printed = capsys.readouterr().out
    assert "line#000003  part 1003  serial S3  lot L3  recipe cell r3  by mara  301 it failed" in printed
    assert "by mara  unread  303 it failed" in printed


def test_a_table_has_the_columns_of_a_station(folder, tmp_path):
    assert main(["log", folder, "--export", tmp_path / "x.parquet"]) == 0
    rows = pl.read_parquet(tmp_path / "x.parquet").to_dicts()
    shown = ("id", "verdict", "serial", "job", "revision", "error_code", "delivered")
    assert [tuple(row[name] for name in shown) for row in rows] == [
        (1, "OK", "S1", 7, 3, 0, "acked"),
        (2, "NG", "S2", 7, 3, 0, "acked"),
        (3, "ERROR", "S3", 7, 3, 301, "acked"),
        (4, "OK", "S4", 7, 3, 0, "late"),
        (5, "ERROR", "S5", 7, 3, 303, "unread"),
    ]


def test_an_archive_holds_tables_images_digests_and_the_trail(folder, tmp_path, capsys):
    assert main(["log", folder, "--export", tmp_path / "x.zip"]) == 0
    assert "wrote 5 verdicts and 2 images to" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        names = {"verdicts.csv", "verdicts.parquet", "audit.csv", "images/2.png", "images/3.png", "SHA256SUMS"}
        assert set(archive.namelist()) == names
        digests = dict(line.split("  ")[::-1] for line in archive.read("SHA256SUMS").decode().splitlines())
        assert digests == {name: hashlib.sha256(archive.read(name)).hexdigest() for name in names - {"SHA256SUMS"}}
        trail = list(csv.DictReader(io.StringIO(archive.read("audit.csv").decode())))
        assert [(row["who"], row["old"], row["new"]) for row in trail] == [("mara", "1.0", "1.2"), ("edgekd", "", "")]
        assert pl.read_csv(archive.read("verdicts.csv"))["id"].to_list() == [1, 2, 3, 4, 5]


def test_an_archive_tells_which_images_are_missing_or_were_altered(folder, tmp_path, capsys):
    (folder / "images" / "2.png").unlink()
    (folder / "images" / "3.png").write_bytes(b"another")
    assert main(["log", folder, "--export", tmp_path / "x.zip"]) == 0
    printed = capsys.readouterr().out
    assert "note: 1 (images/2.png) of the images cannot be read" in printed
    assert "note: 1 (images/3.png) of the images differ from what was written" in printed


def test_an_archive_of_one_verdict_or_of_another_time_holds_no_other_images(folder, tmp_path):
    for words, images in ((["--verdict", "NG"], {"images/2.png"}), (["--until", "2020-01-01"], set())):
        assert main(["log", folder, "--export", tmp_path / "x.zip", *words]) == 0
        with zipfile.ZipFile(tmp_path / "x.zip") as archive:
            assert {name for name in archive.namelist() if name.startswith("images/")} == images


def test_no_image_outside_of_the_folder_is_exported(folder, tmp_path, capsys):
    secret = folder.parent / "secret"
    secret.write_text("x")
    record = opened(folder)
    record.stored(StoredImage(2, "heat_map", "../secret", "00", 1))
    record.close()
    assert main(["log", folder, "--export", tmp_path / "x.zip"]) == 0
    assert "note: 1 (../secret) of the images cannot be read" in capsys.readouterr().out


def test_the_audit_trail_is_printed_and_proven(folder, capsys):
    assert main(["log", folder, "--audit"]) == 0
    printed = capsys.readouterr().out
    assert "mara (engineer) 10.0.0.1  threshold cell: 1.0 -> 1.2, because: drift" in printed
    assert "is whole; 2 entries, the last hash is " in printed
    assert main(["log", folder, "--audit", "--json", "-"]) == 0
    trail = json.loads(capsys.readouterr().out)
    assert (trail["total"], trail["broken"], trail["entries"][0]["why"]) == (2, "", "drift")
    assert trail["head"] == trail["entries"][1]["hash"]


def test_a_trail_that_was_changed_is_no(folder, capsys):
    other = sqlite3.connect(folder / VERDICTS_FILE)
    other.execute("DROP TRIGGER audit_no_update")
    other.execute("UPDATE audit SET new = '1.1' WHERE id = 1")
    other.commit()
    other.close()
    assert main(["log", folder, "--audit"]) == 1
    assert "is not whole: entry 1 was changed" in capsys.readouterr().out


def test_the_trail_of_a_time_is_a_part_of_it(folder, capsys):
    assert main(["log", folder, "--audit", "--until", "2020-01-01"]) == 0
    printed = capsys.readouterr().out
    assert "mara" not in printed
    assert "2 entries" in printed


def test_audit_is_for_itself(folder, capsys):
    assert main(["log", folder, "--audit", "--verdict", "NG"]) == 2
    assert "leave out --verdict and --export" in capsys.readouterr().err
