"""Averages over two correlated Gaussian variables against closed forms and SciPy."""

import math

import numpy as np
import pytest
from scipy.integrate import dblquad, quad
from scipy.special import erf, ndtr

from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.gaussian_pairs import GaussianFunction, pair_average
from rmt_jacobian.gaussian_panels import Bends

CORRELATIONS = [-1.0, -0.999999, -0.93, -0.4, 0.0, 0.3, 0.8, 0.97, 0.99, 0.999999, 1.0]
VARIANCES = [1e-12, 1e-4, 0.7, 100.0, 1e4]


def kinked(function, variance, *, mean=0.0, places=(0.0,)) -> GaussianFunction:
    return GaussianFunction(function, mean, variance, Bends.at([(p, math.inf) for p in places]))


def assert_honest(found, exact, size):
    """Nine digits of the size were promised, and the estimate bounds the error."""
    assert abs(found.value - exact) <= 1e-10 * size
    assert abs(found.value - exact) <= found.error + 1e-13 * size


@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("variance", VARIANCES)
def test_signs_and_kinks(variance, c):
    """The arcsine law, and the kernel of order 1 of Cho and Saul (2009)."""
    sign, relu = kinked(np.sign, variance), kinked(lambda e: np.maximum(e, 0), variance)
    angle = math.acos(c)
    assert_honest(pair_average(sign, sign, c), 2 / math.pi * math.asin(c), 1.0)
    kernel = (math.sin(angle) + (math.pi - angle) * c) / (2 * math.pi)
    size = max(kernel, 1e-3)  # digits of pi - angle are lost near c = -1
    assert_honest(pair_average(relu, relu, c), variance * kernel, variance * size)
    mixed = pair_average(relu, sign, c)  # E[relu(e) sign(e')] = c sqrt(q / 2 pi)
    assert_honest(mixed, c * math.sqrt(variance / (2 * math.pi)), math.sqrt(variance))


@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("variance", VARIANCES)
def test_error_functions(variance, c):
    """E[erf(a e) erf(a e')] = (2 / pi) asin(2 a^2 q c / (1 + 2 a^2 q)), Williams (1997)."""
    steep = GaussianFunction(lambda e: erf(3 * e), 0.0, variance, Bends.at([(0.0, 1 / 3)]))
    twice = 18 * variance

    def law(c: float) -> float:
        return 2 / math.pi * math.asin(twice * c / (1 + twice))

    assert_honest(pair_average(steep, steep, c), law(c), law(1.0))


@pytest.mark.parametrize("c", CORRELATIONS)
@pytest.mark.parametrize("variance", [1e-12, 0.7, 100.0])
def test_waves_and_exponentials(variance, c):
    wave = GaussianFunction(np.sin, 0.0, variance, Bends.none())
    exact = math.exp(-variance) * math.sinh(variance * c)
    assert_honest(pair_average(wave, wave, c), exact, min(1.0, variance))
    if variance < 100:
        grown = GaussianFunction(np.exp, 0.3, variance, Bends.none())
        total = math.exp(0.6 + variance * (1 + c))
        assert_honest(pair_average(grown, grown, c), total, total)


@pytest.mark.parametrize("c", [-0.5, 0.0, 0.4, 0.9, 0.999])
@pytest.mark.parametrize("place", [0.5, 3.0, 6.0])
def test_rare_events_keep_their_digits(place, c):
    """P(e > k, e' > k), far below the root of the product of the two probabilities."""
    step = kinked(lambda e: 1.0 * (e > place), 1.0, places=(place,))
    rest = math.sqrt((1 - c) * (1 + c))

    def met(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * ndtr((c * z - place) / rest)

    exact, _ = quad(met, place, place + 12, epsabs=0, epsrel=1e-12, limit=400)
    assert_honest(pair_average(step, step, c), exact, exact)


@pytest.mark.parametrize("c", [-0.7, 0.5, 0.98])
def test_a_composed_function_of_shifted_variables(c):
    """Tanh(sin(e)), which turns twice in every period."""
    places = [(k * math.pi, 1.0) for k in range(-12, 13)]
    places += [((k + 0.5) * math.pi, 1.0) for k in range(-12, 13)]
    mean, std, rest = 0.4, math.sqrt(0.77), math.sqrt((1 - c) * (1 + c))
    wave = GaussianFunction(lambda e: np.tanh(np.sin(e)), mean, std**2, Bends.at(places))

    def product(b: float, a: float) -> float:
        weight = math.exp(-(a * a + b * b) / 2) / (2 * math.pi)
        first, second = mean + std * a, mean + std * (c * a + rest * b)
        return weight * math.tanh(math.sin(first)) * math.tanh(math.sin(second))

    exact, _ = dblquad(product, -8, 8, -8, 8, epsabs=1e-10, epsrel=1e-10)
    assert pair_average(wave, wave, c).value == pytest.approx(exact, abs=2e-9)


def test_kinks_that_are_not_announced_are_met():
    hidden = GaussianFunction(lambda e: np.abs(e - 0.3), 0.3, 2.0, Bends.none())
    c = 0.6
    exact = 2 * 2.0 / math.pi * (math.sqrt(1 - c * c) + c * math.asin(c))
    assert_honest(pair_average(hidden, hidden, c), exact, exact)


def test_what_does_not_exist_is_refused():
    with np.errstate(all="ignore"):
        pole = kinked(lambda e: 1 / np.abs(e), 1.0)
        grown = GaussianFunction(lambda e: np.exp(e * e / 2), 0.0, 1.0, Bends.none())
        for each in (pole, grown):
            for c in (0.0, 0.5, 1.0):
                with pytest.raises(ConvergenceError):
                    pair_average(each, each, c)


def test_a_root_has_no_square_but_an_average():
    """E|e e'|^(-1/2) of independent variables: the square of E|e|^(-1/2)."""
    with np.errstate(divide="ignore"):
        root = kinked(lambda e: np.abs(e) ** -0.5, 1.0)
        found = pair_average(root, root, 0.0)
    single = 2**-0.25 * math.gamma(0.25) / math.sqrt(math.pi)
    assert found.value == pytest.approx(single**2, rel=1e-9)


@pytest.mark.parametrize(("far", "c"), [(2.76, -0.82), (8.0, 0.5), (3.0, -0.85)])
def test_kinks_that_hardly_any_pair_reaches(far, c):
    """E[(e - k)+ (e' - k)+], all of it in the tail, by the tail of the sum of both variables.

    In u = e + e' and v = e - e' it is the average over u > 2 k of a function of u alone, as
    4 (e - k)(e' - k) = (u - 2 k)^2 - v^2 for |v| < u - 2 k.
    """
    relu = kinked(lambda e: np.maximum(e - far, 0), 1.0, places=(far,))
    deviations = math.sqrt(2 + 2 * c), math.sqrt(2 - 2 * c)

    def inner(excess: float) -> float:
        w = excess / deviations[1]
        mass = erf(w / math.sqrt(2))
        square = mass - 2 * w * math.exp(-w * w / 2) / math.sqrt(2 * math.pi)
        return excess**2 * mass - deviations[1] ** 2 * square

    def outer(excess: float) -> float:
        z, start = (2 * far + excess) / deviations[0], 2 * far / deviations[0]
        return inner(excess) * math.exp((start - z) * (start + z) / 2)

    whole = quad(outer, 0, 20 * deviations[0] ** 2 / far, epsrel=1e-12, epsabs=0, limit=500)[0]
    whole *= math.exp(-((2 * far / deviations[0]) ** 2) / 2)
    exact = whole / (4 * deviations[0] * math.sqrt(2 * math.pi))
    found = pair_average(relu, relu, c)
    assert found.value == pytest.approx(exact, rel=1e-6, abs=0)
    assert abs(found.value - exact) <= 1e-9 * found.size
