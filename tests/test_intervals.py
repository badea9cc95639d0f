# -*- coding: utf-8 -*-
"""Intervals have known values where the answer is known, and cover as often
as they say."""

import math

import numpy as np
import pytest

from alpha_umi.intervals import Estimate, Resamples, difference, draw, estimate

NAN = math.nan


def of_each(values: list[float], steps: int = 1) -> tuple[Resamples, list]:
    """Trajectories of equal steps, each with one value throughout."""
    numbers = np.repeat(np.arange(len(values)), steps)
    return draw(numbers), [np.repeat(values, steps)]


def test_the_figure_is_the_mean_of_the_units_that_count() -> None:
    found = estimate(draw([0, 0, 1, 1]), [np.array([1.0, 0.0, 1.0, NAN])])
    assert found.value == pytest.approx(2 / 3)


def test_equal_trajectories_leave_no_doubt() -> None:
    resamples, runs = of_each([0.25] * 8)
    assert estimate(resamples, runs) == Estimate(0.25, 0.25, 0.25, (0.25,))


def test_two_trajectories_are_drawn_apart_together_or_one_alone() -> None:
    # 0 and 1: the mean of a draw is 0, 0.5 or 1 with 1/4, 1/2 and 1/4.
    resamples, runs = of_each([0.0, 1.0])
    found = estimate(resamples, runs)
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)
    drawn = resamples.weights[:, 1] / 2
    assert np.mean(drawn == 0.5) == pytest.approx(0.5, abs=0.05)


def test_the_interval_of_a_share_is_the_binomial_one() -> None:
    # 100 independent units, half of them right: 0.5 +- 1.96 * 0.05.
    resamples, runs = of_each([0.0, 1.0] * 50)
    found = estimate(resamples, runs)
    assert found.low == pytest.approx(0.402, abs=0.015)
    assert found.high == pytest.approx(0.598, abs=0.015)


def test_steps_of_one_trajectory_add_no_certainty() -> None:
    once = estimate(*of_each([0.0, 1.0] * 20))
    tenfold = estimate(*of_each([0.0, 1.0] * 20, steps=10))
    assert (tenfold.low, tenfold.high) == (once.low, once.high)


def test_longer_trajectories_weigh_more() -> None:
    # In a draw of the long one alone the mean is 1, of the short one 0.
    resamples = draw([0, 1, 1, 1])
    found = estimate(resamples, [np.array([0.0, 1.0, 1.0, 1.0])])
    assert (found.low, found.value, found.high) == (0.0, 0.75, 1.0)


def test_the_same_seed_draws_the_same() -> None:
    resamples = [draw(range(30), seed=seed) for seed in (5, 5, 6)]
    first, again, other = (one.weights for one in resamples)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_draw_has_as_many_trajectories_as_there_are() -> None:
    assert set(draw(range(7)).weights.sum(axis=1)) == {7.0}


def test_numbers_of_trajectories_need_not_be_in_order() -> None:
    mixed = estimate(draw([9, 2, 9, 2]), [np.array([1.0, 0.0, 1.0, 0.0])])
    sorted_ = estimate(draw([0, 0, 1, 1]), [np.array([0.0, 0.0, 1.0, 1.0])])
    assert (mixed.low, mixed.value, mixed.high) == (
        sorted_.low,
        sorted_.value,
        sorted_.high,
    )


def test_a_single_trajectory_has_no_interval() -> None:
    found = estimate(draw([4, 4]), [np.array([0.0, 1.0])])
    assert found.value == 0.5
    assert math.isnan(found.low) and math.isnan(found.high)
    assert found.sign == 0


def test_where_nothing_counts_nothing_is_known() -> None:
    found = estimate(draw([0, 1]), [np.array([NAN, NAN])])
    assert all(map(math.isnan, (found.value, found.low, found.high)))


def test_a_draw_in_which_nothing_counts_is_left_out() -> None:
    found = estimate(draw([0, 1]), [np.array([NAN, 0.5])])
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


# -- seeds ----------------------------------------------------------------


def test_several_seeds_give_their_mean_and_their_range() -> None:
    runs = [np.full(6, value) for value in (0.2, 0.6, 0.4)]
    found = estimate(draw(range(6)), runs)
    assert found.value == pytest.approx(0.4)
    assert found.by_seed == pytest.approx((0.2, 0.6, 0.4))
    assert (found.lowest, found.highest) == pytest.approx((0.2, 0.6))


def test_three_seeds_that_differ_are_not_surer_than_their_range() -> None:
    # Three times the lowest is drawn in 1 of 27 draws, more than 2.5 %.
    runs = [np.full(6, value) for value in (0.2, 0.6, 0.4)]
    found = estimate(draw(range(6)), runs)
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))


def test_seeds_that_agree_are_as_sure_as_one() -> None:
    resamples, runs = of_each([0.0, 1.0, 1.0, 0.0, 1.0])
    one, three = estimate(resamples, runs), estimate(resamples, runs * 3)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_nineteen_of_twenty_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        own = generator.normal(size=(40, 1))
        values = own + generator.normal(size=(40, 3))
        resamples = draw(np.repeat(range(40), 3), seed, resamples=400)
        found = estimate(resamples, [values.ravel()])
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


# -- differences ----------------------------------------------------------


def test_pairs_that_all_differ_alike_leave_no_doubt() -> None:
    resamples, (run,) = of_each([0.0, 0.25, 0.5, 0.75])
    found = difference(resamples, [run + 0.125], [run])
    assert (found.low, found.value, found.high) == (0.125, 0.125, 0.125)
    assert found.sign == 1


def test_the_pairs_are_compared_not_the_means() -> None:
    generator = np.random.default_rng(1)
    other = generator.normal(size=60)
    run = other + 0.1 + 0.05 * generator.normal(size=60)
    resamples = draw(range(60))
    found = difference(resamples, [run], [other])
    alone = estimate(resamples, [run])
    assert found.high - found.low < 0.05 < alone.high - alone.low


def test_a_difference_turns_its_sign_with_the_arms() -> None:
    resamples, (run,) = of_each([0.0, 0.25, 0.5, 1.0, 0.75])
    other = np.array([0.5, 0.5, 0.75, 1.0, 1.0])
    one = difference(resamples, [run], [other])
    turned = difference(resamples, [other], [run])
    assert (one.value, one.low, one.high) == pytest.approx(
        (-turned.value, -turned.high, -turned.low),
    )
    assert (one.sign, turned.sign) == (-1, 1)


def test_seeds_are_paired_too() -> None:
    resamples, (run,) = of_each([0.0, 1.0, 0.5])
    runs, others = [run, run + 1.0], [run - 0.25, run + 0.75]
    found = difference(resamples, runs, others)
    assert found.by_seed == pytest.approx((0.25, 0.25))
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(
    ("low", "high", "sign"),
    [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.2, 0), (0.0, 0.2, 0)],
)
def test_a_sign_is_only_given_where_the_interval_is_clear_of_0(
    low: float, high: float, sign: int
) -> None:
    assert Estimate(0.1, low, high).sign == sign


# -- what does not fit ----------------------------------------------------


def test_arms_of_different_seeds_do_not_pair() -> None:
    resamples, (run,) = of_each([0.0, 1.0])
    with pytest.raises(ValueError, match="2 runs do not pair with 1"):
        difference(resamples, [run, run], [run])


def test_values_of_other_units_do_not_fit() -> None:
    with pytest.raises(ValueError, match="values for"):
        estimate(draw([0, 1]), [np.zeros(3)])


def test_no_run_has_no_figure() -> None:
    with pytest.raises(ValueError, match="no run"):
        estimate(draw([0, 1]), [])
