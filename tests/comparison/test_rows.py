import math
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.comparison import Comparison, Estimate, Measured, WidthPair, verdict


def measured(ratio=1.0, on_sites=5.0, ratio_error=0.002, sites_error=0.01):
    limit = Estimate(ratio * on_sites, math.hypot(on_sites * ratio_error, ratio * sites_error))
    return Measured(
        Estimate(5.2, 0.3), 5.21, Estimate(ratio, ratio_error), Estimate(on_sites, sites_error),
        limit,
    )  # fmt: skip


def test_estimate_is_mean_and_standard_error_of_the_mean():
    found = Estimate.of(np.array([1.0, 2.0, 3.0, 6.0]))
    assert found.value == 3.0
    assert found.standard_error == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3) / 2)


def test_z_counts_standard_errors_from_sample_to_theory():
    assert Estimate(10.0, 2.0).z(13.0) == 1.5
    assert Estimate(10.0, 3.0).z(20.0, error=4.0) == 2.0
    assert Estimate(10.0, 0.0).z(10.0) == 0.0
    assert Estimate(10.0, 0.0).z(11.0) == math.inf


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("printed", {"printed"}),
        ("s_transform", {"s_transform"}),
        ("exact", {"exact"}),
        (None, set()),
    ],
)
def test_a_column_that_is_off_by_three_percent_fails_alone(column, words):
    found = Comparison(5.0, 5.0, 5.0, measured())
    if column:
        found = replace(found, **{column: 1.03 * 5.0})
    assert {name for name, word in found.verdicts.items() if word == "fails"} == words
    # Invisible beside the scatter of the raw means.
    assert all(abs(z) < 1 for z in found.raw_z().values())


def test_exact_fails_where_the_theory_on_the_drawn_sites_does():
    # Samples are 3 % above the theory on their own sites: W is not what theory says.
    found = Comparison(None, 5.0, 5.0, measured(ratio=1.03)).verdicts
    assert (found["paired"], found["exact"], found["printed"]) == ("fails", "fails", None)


def test_exact_fails_where_sites_are_not_those_of_the_limit():
    # Both errors cancel in the limit, and neither is forgiven.
    found = Comparison(None, 5.0, 5.0, measured(ratio=1.03, on_sites=5.0 / 1.03))
    assert abs(found.z()["exact"]) < 1e-9
    assert found.verdicts["exact"] == "fails"
    sites = Comparison(None, 5.0, 5.0, measured(on_sites=4.85))
    assert sites.z()["exact on sites"] == pytest.approx(15)
    assert sites.verdicts["exact"] == "fails"
    assert sites.verdicts["paired"] == "agrees"


def test_an_error_of_the_limit_counts():
    found = Comparison(None, 5.15, 5.15, measured(), limit_error=0.1)
    assert found.z()["exact on sites"] == pytest.approx(0.15 / math.hypot(0.1, 0.01))
    assert found.verdicts["exact"] == "agrees"


def test_what_is_no_number_is_unknown():
    found = Comparison(None, math.nan, 5.0, measured()).verdicts
    assert (found["s_transform"], found["exact"]) == ("unknown", "agrees")
    lost = Comparison(None, 5.0, 5.0, measured(ratio=math.nan)).verdicts
    assert set(lost.values()) == {None, "unknown"}


@pytest.mark.parametrize("width", [2, 24, 64, 100, 512, 4096])
def test_what_is_of_order_one_over_width_cancels(width):
    pair = WidthPair.below(width)
    assert pair.narrow < pair.wide == width

    def ratios(width, count):
        return 1.02 + 7 / width + np.random.default_rng(width).permutation([-1.0, 1.0] * count)

    found = pair.limit(ratios(pair.wide, 50), ratios(pair.narrow, 200))
    assert found.value == pytest.approx(1.02)
    share = width / (width - pair.narrow)
    errors = share / math.sqrt(99), (share - 1) / math.sqrt(399)
    assert found.standard_error == pytest.approx(math.hypot(*errors))


def test_measured_separates_the_sites_from_the_weights():
    rng = np.random.default_rng(0)

    def paired(count):
        return np.exp(rng.standard_normal(count))  # heavy tails, in both columns

    widths = WidthPair(400, 50)
    P = paired(400), paired(1600)
    S = tuple(
        p * (1.01 + 3 / n + 2 / n * rng.standard_normal(p.size))
        for p, n in zip(P, (400, 50), strict=True)
    )
    sites = 5 * (1 + 0.01 * rng.standard_normal(64))
    found = Measured.of(widths, 1, S, P, sites)
    # A third of that of the raw means, and of the bias 3 / 400 nothing is left.
    assert found.ratio.standard_error < 0.0005
    assert abs(found.ratio.z(1.01)) < 4
    assert abs(found.ratio.z(1.0)) > 10
    assert found.sampled.standard_error / found.sampled.value > 0.05
    assert found.on_sites == Estimate.of(sites)
    assert found.limit.value == pytest.approx(found.ratio.value * sites.mean())
    parts = found.ratio.standard_error / found.ratio.value, sites.std(ddof=1) / 8 / sites.mean()
    assert found.limit.standard_error == pytest.approx(found.limit.value * math.hypot(*parts))


@pytest.mark.parametrize("order", [1, 2])
def test_without_sites_of_their_own_finite_width_is_in_the_error_of_raw_means(order):
    S, P = (np.array([3.0, 3.4]), np.array([4.0, 4.4])), (np.ones(2), np.ones(2))
    widths = WidthPair(200, 100)
    found = Measured.of(widths, 10, S, P, None, widths.at_finite_width(10, order))
    assert found.limit.value == pytest.approx(3.2)
    assert found.on_sites.value == pytest.approx(1.0)
    width = {1: 0.5, 2: 2.0}[order] * 10 / 200
    assert found.limit.standard_error == pytest.approx(math.hypot(0.2, 3.2 * width))
    assert found.on_sites.standard_error == pytest.approx(width)
    # The ratio to the theory on the same sites is extrapolated as ever.
    assert found.ratio.value == pytest.approx(2 * 3.2 - 4.2)


def test_nothing_over_nothing_is_one():
    zero = np.zeros(3), np.zeros(3)
    found = Measured.of(WidthPair(20, 10), 1, zero, zero, np.zeros(3))
    assert (found.ratio.value, found.limit.value) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("z", "word"),
    [(0, "agrees"), (-2.9, "agrees"), (3.5, "in doubt"), (-4.1, "fails"), (math.nan, "fails")],
)
def test_verdict(z, word):
    assert verdict(z) == word
