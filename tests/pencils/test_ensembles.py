"""Gain, derivative, potential and series of the ensembles, against each other and closed forms."""

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.pencils import (
    BiInvariant,
    GaussianWeights,
    OrthogonalWeights,
    TransformWeights,
    ensemble,
)

U = np.array([-0.5, -0.2 + 0.3j, 0.4 - 0.6j, -0.7 - 0.1j, 0.1j])
S = {
    "gaussian": lambda u: 1 / (4 * (1 + u)),
    "orthogonal": lambda u: 0.25 + 0 * u,
    "product": lambda u: 1 / (2 * (1 + u) ** 2),
    "truncated": lambda u: (2 + u) / (1 + u),  # half of the rows and columns of a Haar matrix
}
LAWS: dict[str, BiInvariant] = {
    "gaussian": GaussianWeights(2.0),
    "orthogonal": OrthogonalWeights(2.0),
    "product": TransformWeights(S["product"]),
    "truncated": TransformWeights(S["truncated"]),
}
named = pytest.mark.parametrize("name", LAWS)


def slope(f, u):
    """Differentiate an analytic function by a five-point stencil along the real axis."""
    h = 1e-3
    return (8 * (f(u + h) - f(u - h)) - f(u + 2 * h) + f(u - 2 * h)) / (12 * h)


@named
def test_gain_is_that_of_the_s_transform(name: str) -> None:
    expected = 1 / ((1 + U) * S[name](U))
    assert np.allclose(LAWS[name].gain(U), expected, rtol=1e-14)


@named
def test_gain_derivative(name: str) -> None:
    assert np.allclose(LAWS[name].gain_derivative(U), slope(LAWS[name].gain, U), atol=1e-8)


@named
def test_potential_has_the_derivative_that_makes_the_equations_stationary(name: str) -> None:
    # u d log(u gamma) is what the self-energies give up when u moves.
    expected = 1 + U * slope(LAWS[name].gain, U) / LAWS[name].gain(U)
    assert np.allclose(slope(LAWS[name].potential, U), expected, atol=1e-8)
    assert np.allclose(LAWS[name].potential(np.zeros(1, complex)), 0, atol=1e-15)


@named
def test_series_sums_to_the_gain(name: str) -> None:
    u = 0.05 * np.exp(1j * np.arange(4))
    series = LAWS[name].gain_series(12)
    assert np.allclose(np.polyval(series[::-1], u), LAWS[name].gain(u), rtol=1e-11)


@named
def test_variance_and_s_1(name: str) -> None:
    s = S[name](np.array([-1e-4, 0, 1e-4]))
    assert LAWS[name].variance == pytest.approx(1 / s[1], rel=1e-12)
    assert LAWS[name].s_1 == pytest.approx((s[2] - s[0]) / 2e-4 / s[1], rel=1e-6, abs=1e-12)


def test_weights_of_size_zero_have_no_s_1() -> None:
    assert GaussianWeights(0.0).s_1 == OrthogonalWeights(0.0).s_1 == 0.0


def test_a_given_derivative_is_used() -> None:
    ours = TransformWeights(S["product"], lambda u: -1 / (1 + u) ** 3)
    assert np.allclose(ours.gain_derivative(U), LAWS["product"].gain_derivative(U), rtol=1e-9)


@named
def test_every_namespace(name: str, xp) -> None:
    u = xp.asarray(U)
    for method in ("gain", "gain_derivative", "potential"):
        found = np.asarray(getattr(LAWS[name], method)(u))
        assert np.allclose(found, getattr(LAWS[name], method)(U), rtol=1e-13)


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ParameterError, match="weight_std"):
        GaussianWeights(-1.0)
    with pytest.raises(ParameterError, match="weight_std"):
        OrthogonalWeights(float("nan"))
    with pytest.raises(ParameterError, match="real and positive"):
        TransformWeights(lambda u: -1 / (1 + u))
    with pytest.raises(ParameterError, match="at most 15"):
        LAWS["product"].gain_series(16)
    with pytest.raises(ParameterError, match="gaussian, orthogonal"):
        ensemble("haar", 1.0)
