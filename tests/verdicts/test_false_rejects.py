import pytest
from scipy import stats

from edgekd.verdicts.false_rejects import expected_share, explained_by_chance, images_wanted, share_bound


@pytest.mark.parametrize(("above", "count"), [(0, 1), (0, 10), (1, 30), (3, 99), (29, 30), (40, 1000)])
def test_the_bound_is_the_quantile_of_the_beta_distribution(above, count):
    assert share_bound(above, count) == pytest.approx(stats.beta.ppf(0.95, above + 1, count - above), abs=1e-8)


def test_few_images_promise_little():
    # The table of order statistics: 10, 30, 99 and 300 images, none of them above the limit.
    bounds = [round(100 * share_bound(0, count), 1) for count in (10, 30, 99, 300)]
    expected = [round(100 * expected_share(0, count), 1) for count in (10, 30, 99, 300)]
    assert (bounds, expected) == ([25.9, 9.5, 3.0, 1.0], [9.1, 3.2, 1.0, 0.3])


@pytest.mark.parametrize(("above", "count"), [(0, 0), (5, 5)])
def test_nothing_is_promised_where_every_image_is_above_the_limit(above, count):
    assert share_bound(above, count) == expected_share(above, count) == 1


@pytest.mark.parametrize(("above", "count", "share"), [(0, 30, 0.01), (1, 30, 0.05), (2, 100, 0.02)])
def test_so_many_more_images_bring_the_bound_to_the_share_and_not_one_fewer(above, count, share):
    more = images_wanted(above, count, share)
    assert share_bound(above, count + more) <= share < share_bound(above, count + more - 1)


def test_no_more_images_are_wanted_where_the_bound_is_there_or_out_of_reach():
    assert images_wanted(0, 300, 0.01) is None
    assert images_wanted(0, 30, 0.0) is None


@pytest.mark.parametrize(("count", "share"), [(10, 0.01), (30, 0.01), (100, 0.01), (30, 0.1)])
def test_chance_explains_as_many_images_as_one_draw_in_twenty_has(count, share):
    above = explained_by_chance(count, share)
    assert stats.binom.sf(above - 1, count, share) >= 0.05 > stats.binom.sf(above, count, share)


def test_chance_explains_none_where_none_is_allowed():
    assert explained_by_chance(30, 0.0) == 0
