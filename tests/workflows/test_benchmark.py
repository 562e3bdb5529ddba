"""What a benchmark plans, before it trains anything."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.models.backbones.resnet import ResNet
from edgekd.training.weight_files import write_weights
from edgekd.workflows.benchmark import BenchmarkOptions, benchmark
from edgekd.workflows.benchmark_runs import planned_runs


@pytest.fixture
def planned(category, tmp_path, tiny_teacher):
    """The trainings of a benchmark with options, by system."""

    def plan(*systems, **options):
        options = {"teacher": tiny_teacher} | options
        runs = planned_runs(BenchmarkOptions(systems, data=category, out=tmp_path / "out", **options))
        assert not (tmp_path / "out").exists()
        return {run.training.system: run.training for run in runs}

    return plan


def test_each_system_trains_in_a_folder_of_its_own_on_the_category(planned, category, tmp_path):
    trainings = planned("hkt", "mhkd", "hkt", iterations=3, seed=5)
    assert list(trainings) == ["hkt", "mhkd"]
    assert trainings["mhkd"].run == tmp_path / "out" / category.name / "mhkd"
    assert {training.data for training in trainings.values()} == {category}
    assert {(training.iterations, training.seed) for training in trainings.values()} == {(3, 5)}


def test_one_system_may_be_named_without_a_list(category, tmp_path, tiny_teacher):
    options = BenchmarkOptions("hkt", data=category, out=tmp_path / "out", teacher=tiny_teacher)
    assert [run.training.system for run in planned_runs(options)] == ["hkt"]


def test_a_teacher_is_for_all_systems_or_by_system(planned, tiny_teacher):
    assert [training.teacher for training in planned("hkt", "mhkd").values()] == [tiny_teacher] * 2
    trainings = planned("hkt", "mhkd", teacher={"hkt": tiny_teacher, "mhkd": [tiny_teacher]})
    assert (trainings["hkt"].teacher, trainings["mhkd"].teacher) == (tiny_teacher, [tiny_teacher])
    with pytest.raises(EdgekdError, match="a teacher is given for dskd, which is not benchmarked, only hkt"):
        planned("hkt", teacher={"dskd": tiny_teacher})


def test_textures_are_for_the_systems_that_learn_from_anomalies(planned, category, tiny_teacher, tmp_path):
    textures = category / "train" / "good"
    write_weights(tmp_path / "backbone.safetensors", ResNet("resnet18").state_dict())
    teachers = {"hkt": tiny_teacher, "pfadseg": tmp_path / "backbone.safetensors"}
    trainings = planned("hkt", "pfadseg", teacher=teachers, textures=textures)
    assert (trainings["hkt"].textures, trainings["pfadseg"].textures) == (None, textures)
    with pytest.raises(EdgekdError, match="none of hkt learns from them"):
        planned("hkt", textures=textures)


def test_settings_must_be_each_systems(planned):
    assert planned("hkt", settings={"cbam": False})["hkt"].settings == {"cbam": False}
    with pytest.raises(EdgekdError, match="unknown setting of mhkd 'cbam'"):
        planned("hkt", "mhkd", settings={"cbam": False})


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"precision": ["fp32", "int4"]}, "unknown precision 'int4'"), ({"duration": 0.0}, "must be a positive number")],
)
def test_an_option_that_cannot_be_is_refused_first(tmp_path, options, expected):
    with pytest.raises(EdgekdError, match=expected):
        benchmark("hkt", data=tmp_path / "not looked for yet", out=tmp_path / "out", **options)
