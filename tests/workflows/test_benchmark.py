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
    trainings = planned("hkt", "hkt_plus", "hkt", iterations=3, seed=5)
    assert list(trainings) == ["hkt", "hkt_plus"]
    assert trainings["hkt_plus"].run == tmp_path / "out" / category.name / "hkt_plus"
    assert {training.data for training in trainings.values()} == {category}
    assert {(training.iterations, training.seed) for training in trainings.values()} == {(3, 5)}


def test_one_system_may_be_named_without_a_list(category, tmp_path, tiny_teacher):
    options = BenchmarkOptions("hkt", data=category, out=tmp_path / "out", teacher=tiny_teacher)
    assert [run.training.system for run in planned_runs(options)] == ["hkt"]


def test_a_teacher_is_for_all_systems_or_by_system(planned, tiny_teacher):
    assert [training.teacher for training in planned("hkt", "hkt_plus").values()] == [tiny_teacher] * 2
    trainings = planned("hkt", "hkt_plus", teacher={"hkt": tiny_teacher, "hkt_plus": [tiny_teacher]})
    assert (trainings["hkt"].teacher, trainings["hkt_plus"].teacher) == (tiny_teacher, [tiny_teacher])
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
    with pytest.raises(EdgekdError, match="unknown setting of dskd 'cbam'"):
        planned("hkt", "dskd", settings={"cbam": False})


@pytest.mark.usefixtures("short_looks")
def test_a_training_that_was_interrupted_is_resumed(category, tmp_path, tiny_teacher, caplog):
    def interrupt(step, done, total=None, loss=None):
        if step == f"{category.name}, hkt: training hkt" and done == 1:
            raise KeyboardInterrupt

    caplog.set_level("INFO", logger="edgekd")
    options = {"data": category, "out": tmp_path / "out", "precision": "fp32", "duration": 0.1}
    training = {"iterations": 2, "size": 64, "batch": 2, "teacher": tiny_teacher}
    with pytest.raises(KeyboardInterrupt):
        benchmark("hkt", **options, **training, progress=interrupt)
    run = tmp_path / "out" / category.name / "hkt"
    assert (run / "recipe.json").is_file()
    assert not (run / "student.safetensors").exists()
    assert "what is finished is kept; the same command goes on from here" in caplog.text

    steps = []
    result = benchmark("hkt", **options, progress=lambda step, *_, **__: steps.append(step))
    assert (run / "student.safetensors").is_file()
    (row,) = result.rows
    assert (row["category"], row["iterations"], row["size"]) == (category.name, 2, 64)
    assert f"{category.name}, hkt: training hkt" in steps
    assert (tmp_path / "out" / "benchmark.md").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"precision": ["fp32", "int4"]}, "unknown precision 'int4'"), ({"duration": 0.0}, "must be a positive number")],
)
def test_an_option_that_cannot_be_is_refused_first(tmp_path, options, expected):
    with pytest.raises(EdgekdError, match=expected):
        benchmark("hkt", data=tmp_path / "not looked for yet", out=tmp_path / "out", **options)
