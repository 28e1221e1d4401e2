"""Laws given by an R- or an S-transform alone, against the closed forms."""

import numpy as np
import pytest

from rmt_jacobian.errors import ConvergenceError, HypothesisError
from rmt_jacobian.laws import (
    FromRTransform,
    FromSTransform,
    FussCatalan,
    MarchenkoPastur,
    Semicircle,
    boxtimes_power,
)

PAIRS = {
    "fuss-catalan": (FromSTransform(lambda u: (1 + u) ** -2.0), FussCatalan(2)),
    "real power": (
        FromSTransform(lambda u: (1 + u) ** -2.5),
        boxtimes_power(MarchenkoPastur(), 2.5),
    ),
    "gap at 0": (FromSTransform(lambda u: 1 / (1 + 0.5 * u)), MarchenkoPastur(0.5)),
    "atom at 0": (FromSTransform(lambda u: 1 / (1 + 2 * u)), MarchenkoPastur(2)),
    "semicircle": (FromRTransform(lambda w: w), Semicircle()),
    "free poisson": (FromRTransform(lambda w: 1 / (1 - 0.5 * w)), MarchenkoPastur(0.5)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_law_of_a_transform_is_the_law(name):
    law, same = PAIRS[name]
    (low, high), (expected_low, expected_high) = law.support(), same.support()
    assert low == pytest.approx(expected_low, abs=1e-10)
    assert high == pytest.approx(expected_high, rel=1e-10)
    np.testing.assert_allclose(law.atoms(), same.atoms(), rtol=0, atol=1e-12)
    x = np.linspace(*same.support_intervals()[0], 102)[1:-1]
    np.testing.assert_allclose(law.pdf(x), same.pdf(x), rtol=1e-9)
    np.testing.assert_allclose(law.cdf(x), same.cdf(x), rtol=0, atol=1e-9)
    z = np.array([1 + 1j, -3.0, high + 1, 0.3 - 0.2j, (low + high) / 2 + 1e-3j])
    np.testing.assert_allclose(law.cauchy(z), same.cauchy(z), rtol=1e-10)
    assert law.var() == pytest.approx(same.var(), rel=1e-9)
    assert law.moment(3) == pytest.approx(same.moment(3), rel=1e-9, abs=1e-9)
    assert law.edge_exponent_at_zero == pytest.approx(same.edge_exponent_at_zero)


def test_it_can_be_convolved():
    law = PAIRS["fuss-catalan"][0].boxtimes(MarchenkoPastur())
    x = np.linspace(*FussCatalan(3).support(), 42)[1:-1]
    np.testing.assert_allclose(law.pdf(x), FussCatalan(3).pdf(x), rtol=1e-8)


@pytest.mark.parametrize(
    "law",
    [
        FromRTransform(lambda w: -w),  # a negative variance
        FromRTransform(lambda w: w + w**3),  # a fourth cumulant that is too large
        FromRTransform(lambda w: w - w**3),
        FromSTransform(lambda u: 1 + u),
        FromSTransform(lambda u: 1 / (1 + u + 5 * u * u)),
        FromSTransform(lambda u: -1 / (1 + u)),
        FromRTransform(lambda w: np.conj(w) + 1j),
    ],
)
def test_what_is_no_transform_is_refused(law):
    with pytest.raises((HypothesisError, ConvergenceError)) as raised:
        law.cdf(0.5)
    assert "\n" not in str(raised.value)
