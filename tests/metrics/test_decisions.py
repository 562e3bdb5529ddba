from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score

from edgekd.errors import EdgekdError
from edgekd.metrics.decisions import ORACLE, decisions_at, decisions_at_best_f1


def test_the_figures_at_a_threshold_worked_by_hand() -> None:
    # NG are 5, 4 and 3: TP 2, FP 1, FN 1, TN 2; the image at the threshold is OK.
    found = decisions_at(2, "given", [1, 2, 3, 2, 4, 5], [False, False, False, True, True, True])
    assert found.f1 == pytest.approx(4 / 6)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.sensitivity == pytest.approx(2 / 3)
    assert found.specificity == pytest.approx(2 / 3)
    assert (found.threshold, found.threshold_origin) == (2, "given")


def test_nothing_rejected_is_an_f1_of_zero() -> None:
    found = decisions_at(9, "given", [1, 2, 3], [False, True, True])
    assert (found.f1, found.sensitivity, found.specificity) == (0, 0, 1)


def test_the_oracle_takes_the_threshold_of_the_highest_f1() -> None:
    # F1 with NG from the highest: 5 -> 2 / 4; 4 -> 4 / 5; 3 (good) -> 4 / 6; 2 -> 6 / 7; 1 (good) -> 6 / 8.
    found = decisions_at_best_f1([1, 2, 3, 4, 5], [False, True, False, True, True])
    assert found.f1 == pytest.approx(6 / 7)
    assert (found.threshold, found.threshold_origin) == (1, ORACLE)


def test_of_equal_f1_the_higher_threshold_counts() -> None:
    # NG from 4: F1 2 / 3. NG from 1: 4 / 6, the same.
    found = decisions_at_best_f1([4, 3, 2, 1], [True, False, False, True])
    assert (found.f1, found.threshold) == (pytest.approx(2 / 3), 3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_of_equal_scores_all_are_rejected(dtype: type) -> None:
    found = decisions_at_best_f1(np.full(4, 0.3, dtype), [True, False, True, False])
    assert (found.sensitivity, found.specificity, found.f1) == (1, 0, pytest.approx(2 / 3))


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_has_a_higher_f1_and_the_figures_agree_with_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    defective = generator.random(60) < 0.4
    scores = (generator.integers(0, 15, 60) + 4 * defective).astype(np.float32) / 3
    found = decisions_at_best_f1(scores, defective)
    rejected = scores > found.threshold
    assert found.f1 == pytest.approx(f1_score(defective, rejected))
    assert found.accuracy == pytest.approx(accuracy_score(defective, rejected))
    assert found.sensitivity == pytest.approx(recall_score(defective, rejected))
    assert found.specificity == pytest.approx(recall_score(~defective, ~rejected))
    assert found.f1 >= max(f1_score(defective, scores > other, zero_division=0) for other in [-1, *scores])


@pytest.mark.parametrize(("label", "missing"), [(True, "good"), (False, "defective")])
def test_a_missing_class_is_named(label: bool, missing: str) -> None:
    with pytest.raises(EdgekdError, match=f"there are no {missing} images"):
        decisions_at_best_f1([1.0, 2.0], [label, label])
