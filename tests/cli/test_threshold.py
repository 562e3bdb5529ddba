"""`edgekd threshold`, as a process engineer calls it."""

import json
import re

import pytest

from edgekd.workflows.threshold import threshold

from ..conftest import copy_images, monocrystalline
from ..run_command import main


@pytest.fixture
def words(exported, elpv_images, tmp_path):
    """The command with twenty fresh images and three defective ones."""
    copy_images(elpv_images[200:220], tmp_path / "fresh", 64)
    copy_images(monocrystalline("1.0")[:3], tmp_path / "bad", 64)
    return ["threshold", exported.parent, "--good", tmp_path / "fresh", "--ng", tmp_path / "bad"]


def test_the_command_and_the_function_give_the_same(words, exported, tmp_path, capsys):
    assert main([*words, "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == threshold(exported.parent, good=tmp_path / "fresh", ng=tmp_path / "bad").to_dict()


def test_it_prints_the_limits_the_promise_and_that_nothing_was_changed(words, capsys):
    assert main(words) == 0
    printed = " ".join(capsys.readouterr().out.split())
    for text in ("asked for", "defects missed", "expected, at most", "20 unseen good images are above it"):
        assert text in printed
    assert "nothing was changed: add --write" in printed


def test_the_page_shows_the_scores_the_limits_what_was_set_aside_and_the_missed_defects(words, exported, tmp_path):
    page = tmp_path / "threshold.html"
    assert main([*words, "--false-reject-rate", "0", "--html", page]) == 0
    text = page.read_text()
    assert "20 good images that the detector has not seen, 10 that it was trained on,\n3 defective" in text
    assert '<tr class="chosen"><th>0.0 %</th>' in text
    assert "Nothing was changed" in text
    missed = int(re.search(r"(\d) of 3 \(", text).group(1))
    result = threshold(exported.parent, good=tmp_path / "fresh", ng=tmp_path / "bad", false_reject_rate=0)
    aside = [image["name"] for image in result.threshold["suspicious"]]
    assert all(name in text for name in aside)
    assert text.count("data:image/jpeg") == missed + len(aside)


def test_a_wrong_rate_is_one_line(words, fails):
    assert "must be a number from 0 to 0.5, got '0.7'" in fails(*words, "--false-reject-rate", "0.7")
