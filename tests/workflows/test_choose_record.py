"""What `choose` keeps in its folder, to go on from."""

import json

import pytest

from edgekd.errors import ArtifactError, EdgekdError
from edgekd.workflows.candidates import Candidate
from edgekd.workflows.choose_record import open_record
from edgekd.workflows.halving import Round
from edgekd.workflows.shipping import Shipped

ASKED = {"data": "/good", "ng": None, "minutes": 30.0}


@pytest.fixture
def kept(tmp_path):
    record = open_record(tmp_path, ASKED, "digest")
    record.rounds.append(Round([Candidate("hkt", (128, 128), ("a", "b")), Candidate("dskd", (128, 320), ("a",))], 0.75))
    record.latency_ms["hkt_128"] = 12.5
    record.macs["hkt_128"] = 10**9
    record.ceilings["a 128"] = (0.97, True)
    record.shipped["runs/hkt_128"] = Shipped("runs/hkt_128/detector_int8.onnx", 0.96, 11.5)
    record.seconds = 60.0
    record.save(tmp_path)
    return record


def test_it_is_read_as_it_was_written(kept, tmp_path):
    record = open_record(tmp_path, ASKED, "digest")
    for name in ("rounds", "latency_ms", "macs", "ceilings", "shipped"):
        assert getattr(record, name) == getattr(kept, name)
    assert 60 <= record.seconds <= kept.spent


def test_the_seconds_of_all_sessions_count(kept, tmp_path):
    record = open_record(tmp_path, ASKED, "digest")
    record.started -= 30
    assert 90 <= record.spent < 100


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"minutes": 10.0}, "was begun with --minutes 30.0, not with --minutes 10.0: use the same options"),
        ({"ng": "/ng"}, "was begun without --ng, not with --ng /ng: use the same options, or another folder"),
    ],
)
def test_other_options_are_refused(kept, tmp_path, other, message):
    with pytest.raises(EdgekdError, match=message):
        open_record(tmp_path, ASKED | other, "digest")


def test_other_images_are_refused_since_those_that_judge_could_be_among_the_trained_ones(kept, tmp_path):
    with pytest.raises(EdgekdError, match=r"the good images have changed since .* was begun: use another folder"):
        open_record(tmp_path, ASKED, "another digest")


def test_a_damaged_one_is_refused(kept, tmp_path):
    content = json.loads((tmp_path / "choose.json").read_text())
    del content["ceilings"]
    (tmp_path / "choose.json").write_text(json.dumps(content))
    with pytest.raises(ArtifactError, match="is not a record that this version reads: use another folder"):
        open_record(tmp_path, ASKED, "digest")
