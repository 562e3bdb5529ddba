"""Work that is ordered for a project: what it leaves of earlier work, and what is said of it."""


import pytest

from edgekd.station.page.roles import Role
from edgekd.station.page.teaching import orders
from edgekd.station.page.teaching.projects import Projects
from edgekd.station.page.teaching.working import Working

from .stage import client, make_page


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page with a project that needs no images, and whose work is ordered but never begins."""
    monkeypatch.setattr(orders, "LEAST_GOOD", 0)
    monkeypatch.setattr(orders, "NEEDED", ())
    monkeypatch.setattr(Working, "_start", lambda working, lock: None)
    page = make_page(tmp_path, projects=Projects(tmp_path / "data", tmp_path / "recipes"))
    page.projects.create("cell", "line", "solar cell", 3, "engineer")
    return page


@pytest.fixture
def project(page):
    return page.projects.get("cell")


@pytest.fixture
def engineer(page):
    return client(page, Role.ENGINEER)


def completed(project, number):
    """A training that has all its files, whatever is in them."""
    training = project.files.training(number)
    training.run.mkdir(parents=True)
    for path in (training.artifact, training.drift, training.tries):
        path.write_text("{}")
    return training


def test_a_detector_stays_however_many_trainings_after_it_were_stopped(project):
    completed(project, 1)
    for number in (2, 3, 4, 5):
        orders.train(project, "ann", 3.0, None)
        project.files.training(number).folder.mkdir()
    assert [each.number for each in project.files.trainings()] == [1, 3, 4, 5]
    assert project.last_complete().number == 1
