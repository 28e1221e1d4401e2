import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.freeprob import WEIGHTS, moments_from_s_series, s_coefficients_of_weights
from tests.freeprob.sampled import MATRICES, extrapolated


@pytest.mark.parametrize("weights", WEIGHTS)
def test_moments_against_sampled_matrices(weights):
    def moments(width, rng):
        values = np.linalg.svd(MATRICES[weights](width, rng), compute_uv=False) ** 2
        return np.array([np.mean(values**k) for k in (1, 2, 3, 4)])

    mean, error = extrapolated(moments, seed=1)
    theory = moments_from_s_series((1, *s_coefficients_of_weights(weights, 3)))
    assert np.all(np.abs(mean - np.array(theory, dtype=float)) < error)


def test_order_counts_the_coefficients():
    assert s_coefficients_of_weights("gaussian", 0) == ()
    assert s_coefficients_of_weights("gaussian", 2) == (-1, 1)


def test_bad_arguments_are_refused():
    with pytest.raises(ParameterError, match="gaussian, orthogonal"):
        s_coefficients_of_weights("uniform", 2)
    with pytest.raises(ParameterError, match="at least 0"):
        s_coefficients_of_weights("gaussian", -1)
