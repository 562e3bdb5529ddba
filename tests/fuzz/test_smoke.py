"""A short run of every fuzzing target, always with the same cases; `make fuzz` runs them for as long as one likes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.case import Case, write_case
from tests.fuzz.judging import MOST_MIB, run_case
from tests.fuzz.seeds import make_seeds
from tests.fuzz.targets import MODULES, find_target


@pytest.fixture(scope="module")
def seeds(exported, tmp_path_factory):
    return make_seeds(exported.parent, tmp_path_factory.mktemp("seeds"))


@pytest.mark.parametrize("name", list(MODULES))
def test_only_errors_for_users_come_out(name, seeds):
    target = find_target(name)
    outcomes = []

    @seed(23)
    @settings(
        max_examples=target.smoke,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.cases(seeds))
    def run(case: Case) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(run_case(target, Path(folder), write_case(case, Path(folder))))

    run()
    # What the first case imports takes time and memory; how long the others took says more about the machine.
    assert [f"{each.finding}\n{each.detail}" for each in outcomes if each.finding not in (None, "slow", "memory")] == []
    assert max(each.mib for each in outcomes[1:]) < MOST_MIB
    # Any text is refused by some of the parsers of options.
    assert name == "options" or any(not each.refused for each in outcomes)
