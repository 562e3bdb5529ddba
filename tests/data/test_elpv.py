import pytest

from edgekd.data.elpv import solar_cells, write_category
from edgekd.errors import EdgekdError


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("seed", [None, 0])
def test_a_category_holds_other_cells_to_train_than_to_test(tmp_path, seed):
    write_category(tmp_path, seed)
    train, good, defective = (names(tmp_path / part) for part in ("train/good", "test/good", "test/defective"))
    assert (len(train), len(good), len(defective)) == (300, 100, 100)
    assert not train & good
    sound, broken = ({path.name for path in paths} for paths in solar_cells())
    assert train | good <= sound
    assert defective <= broken
    write_category(tmp_path, seed)
    assert names(tmp_path / "train" / "good") == train


def test_in_order_a_category_holds_the_first_cells(tmp_path):
    write_category(tmp_path)
    sound, _ = solar_cells()
    assert names(tmp_path / "train" / "good") == {path.name for path in sound[:300]}
    assert names(tmp_path / "test" / "good") == {path.name for path in sound[300:400]}


def test_two_choices_are_not_mixed_in_one_folder(tmp_path):
    write_category(tmp_path)
    before = names(tmp_path / "train" / "good")
    with pytest.raises(EdgekdError, match=f"remove {tmp_path}"):
        write_category(tmp_path, 0)
    assert names(tmp_path / "train" / "good") == before


def test_polycrystalline_cells_are_others_than_monocrystalline_ones(tmp_path):
    write_category(tmp_path, kind="poly")
    assert len(names(tmp_path / "train" / "good")) == 300
    mono = {path.name for paths in solar_cells() for path in paths}
    assert not mono & (names(tmp_path / "train" / "good") | names(tmp_path / "test" / "defective"))
