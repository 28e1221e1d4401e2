"""The manners of scipy.stats at the ends of what can be asked, for laws of every kind."""

import math

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import (
    Affine,
    FromRTransform,
    FromSTransform,
    MarchenkoPastur,
    PointMasses,
    QuarterCircle,
    Semicircle,
    boxplus,
    boxtimes,
)
from tests.laws.table import CASES

HALF = PointMasses.bernoulli(0.5)
LAWS = {case.name: case.law for case in CASES} | {
    "moved": Affine(MarchenkoPastur(2.0), 2.0, 1.0),
    "sum": boxplus(Semicircle(), MarchenkoPastur(0.5)),
    "product": boxtimes(HALF, HALF),
    "perturbed": boxplus(HALF, Semicircle(1e-10)),
    "large": boxplus(Semicircle(1e200), Semicircle(1e200)),
    "by S": FromSTransform(lambda u: (1 + u) ** -2.0),
    "by R": FromRTransform(lambda w: w),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=list(LAWS))


@every_law
def test_values_at_infinity_and_of_nothing(law):
    assert law.cdf([-math.inf, math.inf]).tolist() == [0, 1]
    assert law.pdf([-math.inf, math.inf]).tolist() == [0, 0]
    assert law.cauchy([math.inf, -math.inf]).tolist() == [0, 0]
    assert np.isnan(law.solve([math.nan]).density[0])
    assert law.solve([math.inf]).density[0] == 0
    for method in (law.pdf, law.cdf, law.ppf, law.cauchy):
        assert np.shape(method([])) == (0,)
    assert law.rvs(0, random_state=1).shape == (0,)
    assert law.rvs((2, 3), random_state=1).shape == (2, 3)


@every_law
@pytest.mark.parametrize("order", [-1, 1.5, math.nan, math.inf])
def test_orders_that_are_no_counts_are_refused(law, order):
    for method in (law.moment, law.free_cumulants):
        with pytest.raises(ParameterError, match="integer >= 0"):
            method(order)


@every_law
def test_order_zero(law):
    assert law.moment(0) == pytest.approx(1, abs=1e-14)
    assert len(law.free_cumulants(0)) == 0


@pytest.mark.parametrize(
    "law", [MarchenkoPastur(0.5, 3.0), QuarterCircle(9.0), PointMasses((2, 9), (0.5, 0.5))]
)
def test_moments_beyond_the_range_of_numbers_are_refused(law):
    with pytest.raises(ParameterError, match="beyond the range"):
        law.moment(2000)
