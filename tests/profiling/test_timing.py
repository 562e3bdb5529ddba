import time

import pytest

from edgekd.profiling.timing import device_record, distribution, repeat_for, summarise


def test_percentiles_are_interpolated_between_the_two_nearest_runs():
    figures = summarise([30, 10, 20, 40, 50])
    # Sorted, the places are 0..4: p90 lies at 3.6, p95 at 3.8, p99 at 3.96.
    assert figures == pytest.approx({"min": 10, "mean": 30, "median": 30, "p90": 46, "p95": 48, "p99": 49.6})
    assert list(figures) == ["min", "mean", "median", "p90", "p95", "p99"]


def test_the_median_of_an_even_number_lies_between_and_an_outlier_moves_the_mean_alone():
    figures = summarise([1, 2, 3, 1000])
    assert figures["median"] == 2.5
    assert figures["mean"] == 251.5


def test_one_run_is_all_its_statistics():
    assert set(summarise([7.5]).values()) == {7.5}


def test_a_distribution_counts_to_the_99th_percentile_and_the_rest_as_above():
    found = distribution([1.0] * 60 + [2.0] * 39 + [100.0])
    assert found["edges_ms"][0] == 1.0
    assert found["edges_ms"][-1] == pytest.approx(2.98)  # The 99th percentile, interpolated.
    assert (found["counts"][0], sum(found["counts"]), found["above"]) == (60, 99, 1)


def test_equal_durations_have_a_distribution_too():
    found = distribution([5.0] * 4)
    assert (sum(found["counts"]), found["above"]) == (4, 0)
    assert found["edges_ms"] == sorted(set(found["edges_ms"]))


def test_repeating_goes_on_for_the_time_and_times_each_run():
    durations = repeat_for(lambda: time.sleep(0.01), 0.1)
    assert 3 <= len(durations) <= 10
    assert min(durations) >= 9.9
    assert sum(durations) >= 100 - 10


def test_repeating_does_the_least_runs_however_long_they_take():
    runs = []
    assert len(repeat_for(lambda: runs.append(1), 0.0, at_least=5)) == 5
    assert len(runs) == 5


def test_the_device_record_says_what_computed():
    record = device_record(3)
    assert record["threads"] == 3
    assert set(record) == {"processor", "machine", "system", "python", "threads", "governor"}
    assert all(record[key] for key in record)
