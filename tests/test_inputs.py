import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.inputs import InputKind, InputLaw
from tests import gauss_legendre as gl

KINDS: tuple[InputKind, ...] = ("gaussian", "tanh")


@given(variance=st.floats(0, 50), order=st.integers(0, 4))
def test_gaussian_moments_are_double_factorials(variance: float, order: int) -> None:
    law = InputLaw(variance)
    expected = math.factorial(2 * order) / (2**order * math.factorial(order)) * variance**order
    assert law.moment(2 * order) == pytest.approx(expected, rel=1e-14)
    assert law.moment(2 * order + 1) == 0.0


@pytest.mark.parametrize("variance", [1e-6, 0.01, 0.46, 0.9, 0.99])
def test_the_gain_of_tanh_inputs_gives_their_variance(variance: float) -> None:
    gain = InputLaw(variance, "tanh").gain
    found = gl.normal_average(lambda z: np.tanh(z) ** 2, 0.0, gain**2)
    assert found == pytest.approx(variance, rel=1e-11)


@pytest.mark.parametrize("variance", [0.01, 0.46, 0.9])
@pytest.mark.parametrize("order", [2, 4, 6, 8])
def test_tanh_moments(variance: float, order: int) -> None:
    law = InputLaw(variance, "tanh")
    expected = gl.normal_average(lambda z: np.tanh(z) ** order, 0.0, law.gain**2)
    assert law.moment(order) == pytest.approx(expected, rel=1e-11)
    assert law.moment(order - 1) == 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_inputs_have_the_moments(kind: InputKind) -> None:
    law, count = InputLaw(0.46, kind), 400_000
    x = law.draw(np.random.default_rng(1), (count // 2, 2)).ravel()
    for order in range(1, 5):
        error = math.sqrt((law.moment(2 * order) - law.moment(order) ** 2) / count)
        assert abs(np.mean(x**order) - law.moment(order)) < 4 * error


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("correlation", [-1.0, -0.6, 0.0, 0.3, 0.99, 1.0])
def test_pairs_of_inputs_have_the_correlation(kind: InputKind, correlation: float) -> None:
    law, count = InputLaw(0.7, kind), 200_000
    pair = law.draw_pair(np.random.default_rng(2), count, correlation)
    assert pair.shape == (count, 2)
    products = pair[:, 0] * pair[:, 1]
    error = products.std() / math.sqrt(count)
    assert abs(products.mean() - 0.7 * correlation) < 4 * error
    for column in pair.T:  # each sequence alone has the law of a single one
        spread = math.sqrt((law.moment(4) - 0.49) / count)
        assert abs(np.mean(column**2) - 0.7) < 4 * spread
    if abs(correlation) == 1:
        assert np.array_equal(pair[:, 1], correlation * pair[:, 0])


@pytest.mark.parametrize("correlation", [-0.9, -0.2, 0.5, 0.999])
def test_the_latent_correlation_of_tanh_pairs(correlation: float) -> None:
    # By regression on the same normal draws, so that only the latent correlation is tested.
    law = InputLaw(0.46, "tanh")
    rng = np.random.default_rng(4)
    z = np.arctanh(law.draw_pair(rng, 100_000, correlation)) / law.gain
    latent = float(np.mean(z[:, 0] * z[:, 1]))
    expected = gl.pair_average(np.tanh, np.tanh, 0.0, law.gain**2, latent)
    # latent has the error (1 - latent^2) / sqrt(N) of a correlation with known variances, at most
    # sqrt(2 / N); the covariance of the inputs changes at most by gain^2 times that.
    error = law.gain**2 * math.sqrt((1 + latent**2) / 100_000)
    assert abs(expected - 0.46 * correlation) < 4 * error


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_vanish(kind: InputKind) -> None:
    law = InputLaw(0.0, kind)
    assert law.moment(2) == 0.0
    assert not law.draw_pair(np.random.default_rng(0), 5, 0.5).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variance", [-0.1, math.nan, math.inf])
def test_variances_out_of_domain(kind: InputKind, variance: float) -> None:
    with pytest.raises(ParameterError, match="input_variance"):
        InputLaw(variance, kind)


def test_tanh_inputs_stay_below_one() -> None:
    with pytest.raises(ParameterError, match="below 1"):
        InputLaw(1.0, "tanh")
    with pytest.raises(ParameterError, match="too close to 1"):
        _ = InputLaw(1 - 1e-12, "tanh").gain


def test_unknown_kind() -> None:
    with pytest.raises(ParameterError, match="'gaussian' or 'tanh'"):
        InputLaw(0.5, "uniform")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("correlation", [1.01, -1.01, math.nan])
@pytest.mark.parametrize("kind", KINDS)
def test_correlations_out_of_domain(kind: InputKind, correlation: float) -> None:
    with pytest.raises(ParameterError, match=r"\[-1, 1\]"):
        InputLaw(0.5, kind).draw_pair(np.random.default_rng(0), 3, correlation)
