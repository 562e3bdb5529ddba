"""What a benchmark plans, before it trains anything."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.workflows.benchmark import BenchmarkOptions, benchmark
from edgekd.workflows.benchmark_runs import planned_runs

BACKBONE = "efficientnet_lite0"  # Comes as a package, and teaches every system.


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
    trainings = planned("hkt", "hkt_plus", "hkt", teacher=BACKBONE, iterations=3, seed=5)
    assert list(trainings) == ["hkt", "hkt_plus"]
    assert trainings["hkt_plus"].run == tmp_path / "out" / category.name / "hkt_plus"
    assert {training.data for training in trainings.values()} == {category}
    assert {(training.iterations, training.seed) for training in trainings.values()} == {(3, 5)}


def test_one_system_may_be_named_without_a_list(category, tmp_path, tiny_teacher):
    options = BenchmarkOptions("hkt", data=category, out=tmp_path / "out", teacher=tiny_teacher)
    assert [run.training.system for run in planned_runs(options)] == ["hkt"]


def test_a_teacher_is_for_all_systems_or_by_system(planned, tiny_teacher):
    trainings = planned("hkt", "hkt_plus", teacher=BACKBONE)
    assert [training.teacher for training in trainings.values()] == [BACKBONE] * 2
    trainings = planned("hkt", "hkt_plus", teacher={"hkt": tiny_teacher, "hkt_plus": [BACKBONE]})
    assert (trainings["hkt"].teacher, trainings["hkt_plus"].teacher) == (tiny_teacher, [BACKBONE])
    with pytest.raises(EdgekdError, match="a teacher is given for dskd, which is not benchmarked, only hkt"):
        planned("hkt", teacher={"dskd": tiny_teacher})


def test_textures_are_for_the_systems_that_learn_from_anomalies(planned, category, tiny_teacher):
    textures = category / "train" / "good"
    teachers = {"hkt": tiny_teacher, "pfadseg": BACKBONE, "dskd": BACKBONE}
    trainings = planned("hkt", "pfadseg", "dskd", teacher=teachers, textures=textures)
    assert {name: training.textures for name, training in trainings.items()} == {
        "hkt": None,
        "pfadseg": textures,
        "dskd": None,  # Within a time its fusion is not learned.
    }
    with pytest.raises(EdgekdError, match="none of hkt learns from them"):
        planned("hkt", textures=textures)


def test_the_preset_is_each_systems_and_what_it_lacks_is_named_before_anything_is_made(planned):
    assert planned("hkt", teacher=BACKBONE, preset="paper")["hkt"].preset == "paper"
    with pytest.raises(EdgekdError, match="--preset paper needs the Describable Textures Dataset"):
        planned("hkt", "dskd", teacher=BACKBONE, preset="paper")


def test_settings_must_be_each_systems(planned):
    assert planned("hkt", settings={"cbam": False})["hkt"].settings == {"cbam": False}
    with pytest.raises(EdgekdError, match="unknown setting of dskd 'cbam'"):
        planned("hkt", "dskd", settings={"cbam": False})


@pytest.mark.usefixtures("short_looks")
def test_a_training_that_was_interrupted_is_resumed(category, tmp_path, tiny_teacher, caplog):
    def interrupt(step, done, total=None, loss=None):
        if step == f"{category.name}, hkt: training hkt" and done:
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

    caplog.clear()
    result = benchmark("hkt", **options)
    assert f"{category.name}, hkt: training (1 of 1 categories, 1 of 1 systems)" in caplog.text
    assert (run / "student.safetensors").is_file()
    (row,) = result.rows
    assert (row["category"], row["iterations"], row["size"]) == (category.name, 2, "64")
    assert (tmp_path / "out" / "benchmark.md").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"precision": ["fp32", "int4"]}, "unknown precision 'int4'"), ({"duration": 0.0}, "must be a positive number")],
)
def test_an_option_that_cannot_be_is_refused_first(tmp_path, options, expected):
    with pytest.raises(EdgekdError, match=expected):
        benchmark("hkt", data=tmp_path / "not looked for yet", out=tmp_path / "out", **options)
