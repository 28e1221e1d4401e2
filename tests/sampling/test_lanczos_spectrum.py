"""Laws of singular values from Lanczos measures: errors, bounds and smoothing."""

import math

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import QuarterCircle
from rmt_jacobian.sampling.matrix_free.lanczos import lanczos_recurrences
from rmt_jacobian.sampling.matrix_free.lanczos_spectrum import LanczosSpectrum, mean_and_error
from rmt_jacobian.sampling.matrix_free.quadrature import GaussQuadrature
from rmt_jacobian.sampling.matrix_free.smoothing import SmoothedSpectrum, jackson_damping


def spectrum_of(
    s: np.ndarray, vectors: int, steps: int, networks: int = 1, seed: int = 0
) -> LanczosSpectrum:
    """The spectrum of rotated diag(s): random sign vectors in the basis of its eigenvectors."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(networks):
        v = rng.standard_normal((len(s), vectors))
        found = lanczos_recurrences(lambda q: (s * s)[:, None] * q, v, steps)
        rows.append(tuple(GaussQuadrature(c) for c in found))
    return LanczosSpectrum(tuple(rows), len(s))


@pytest.mark.parametrize("order", [1, 2, 7, 40])
def test_the_kernel_is_positive_with_mass_one_and_its_width(order: int) -> None:
    phi = np.linspace(0, np.pi, 20001)
    g = jackson_damping(order)
    kernel = (1 + 2 * np.cos(np.outer(phi, np.arange(1, order + 1))) @ g[1:]) / (2 * np.pi)
    assert kernel.min() > -1e-12
    assert 2 * np.trapezoid(kernel, phi) == pytest.approx(1)
    # 2 <1 - cos phi> is the variance for narrow kernels, and (pi / (M + 2))^2 asymptotically
    assert 2 * (1 - g[1]) == pytest.approx(2 * (1 - math.cos(math.pi / (order + 2))), rel=1e-12)


def test_smoothing_is_a_convolution_in_the_angle() -> None:
    # a point mass at s0 becomes the kernel around its angle and around minus it
    scale, s0, order = 2.0, 0.8, 15
    phi0 = 2 * np.arccos(s0 / scale)
    point = SmoothedSpectrum(scale, np.cos(np.arange(order + 1) * phi0))
    s = np.linspace(0.01, 1.99, 57)
    phi = 2 * np.arccos(s / scale)
    g, j = jackson_damping(order), np.arange(order + 1)

    def kernel(x: np.ndarray) -> np.ndarray:
        return (2 * np.cos(np.multiply.outer(x, j)) @ g - 1) / (2 * np.pi)

    speed = 2 / np.sqrt(scale**2 - s**2)  # |d phi / d s|
    assert point.pdf(s) == pytest.approx((kernel(phi - phi0) + kernel(phi + phi0)) * speed)
    # integrals over the angle: the density of s may have an integrable peak at the scale
    angles = (np.arange(20000) + 0.5) * np.pi / 20000
    fine = scale * np.cos(angles / 2)
    weights = point.pdf(fine) * scale * np.sin(angles / 2) / 2 * np.pi / 20000
    assert weights.sum() == pytest.approx(1, abs=1e-6)
    mean = weights @ fine
    spread = math.sqrt(weights @ (fine - mean) ** 2)
    assert spread == pytest.approx(float(point.resolution(s0)), rel=0.1)
    below = np.cumsum(weights[::-1])[::-1] - weights / 2
    assert point.cdf(fine[::500]) == pytest.approx(below[::500], abs=1e-5)


def test_a_smoothed_law() -> None:
    law, s = QuarterCircle(), np.linspace(0, 2, 201)
    smoothed = SmoothedSpectrum.of_law(law, scale=2.2, order=60)
    # a kernel of variance r^2 changes a density of curvature f'' by r^2 f'' / 2; |F''| < 1 inside
    inner = s < 1.8
    off = np.abs(smoothed.cdf(s) - law.cdf(s))[inner]
    assert (off < 2 * smoothed.resolution(s)[inner] ** 2).all()
    assert smoothed.cdf(np.array([-1.0, 0.0, 2.2, 3.0])) == pytest.approx([0, 0, 1, 1], abs=1e-12)
    with pytest.raises(ParameterError, match="larger one"):
        SmoothedSpectrum.of_law(law, scale=1.9, order=60)


def test_bounds_hold_and_shrink_with_the_steps() -> None:
    s = np.concatenate([QuarterCircle().ppf((np.arange(1500) + 0.5) / 1500), np.zeros(500)])
    at = np.linspace(0.0, 2.1, 106)
    truth = np.searchsorted(np.sort(s), at, side="right") / len(s)
    widths = []
    for steps in (10, 20, 40):
        spectrum = spectrum_of(s, 6, steps)
        lower, upper = spectrum.cdf_bounds(at)
        middle, error = spectrum.cdf_with_error(at)
        # the bounds are those of the vectors' own measures: 5 errors of their mean (t, 5 degrees)
        assert (lower <= truth + 5 * error + 1e-3).all()
        assert (truth <= upper + 5 * error + 1e-3).all()
        assert ((lower <= middle + 1e-12) & (middle <= upper + 1e-12)).all()
        widths.append((upper - lower)[(at > 0.3) & (at < 1.8)].mean())
        assert spectrum.wasserstein_bound > np.abs(middle - truth).mean() * 2.1
    # the bounds close like 1 / k
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.2)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.2)


def test_errors_are_those_of_the_vectors() -> None:
    # For a rotated matrix the measure below x has variance 2 F (1 - F) / (n + 2): Beta(n F / 2, .)
    n, networks = 400, 40
    s = np.linspace(0.0, 1.0, n)
    spectrum = spectrum_of(s, 2, 40, networks=networks)
    at = np.array([0.25, 0.5, 0.75])
    mean, error = spectrum.cdf_with_error(at)
    F = at
    expected = np.sqrt(2 * F * (1 - F) / (n + 2) / (2 * networks))
    # the standard deviation of 40 means is known to 1 / sqrt(80): 4.5 times that
    assert error == pytest.approx(expected, rel=4.5 / math.sqrt(80))
    assert (np.abs(mean - F) < 4.5 * expected + 2 / n).all()
    density, density_error = spectrum.density_with_error(at)
    assert (np.abs(density - 1) < 5 * density_error + 0.01).all()
    smooth, smooth_error = spectrum.smoothed_cdf_with_error(at)
    assert (np.abs(smooth - F) < 5 * smooth_error + 2 / n).all()
    assert (smooth_error < 1.1 * error).all()


def test_the_smoothed_spectrum_is_that_of_the_singular_values() -> None:
    s = np.random.default_rng(1).random(300) * 3
    spectrum = spectrum_of(s, 1, 300)  # all steps: the measure of one vector, exactly
    (measure,) = spectrum.measures[0]
    expected = SmoothedSpectrum(
        4.0, np.cos(np.outer(np.arange(31), 2 * np.arccos(np.sort(s) / 4))) @ measure.weights
    )
    at = np.linspace(0, 4, 33)
    found = spectrum.smoothed(scale=4.0, order=30)
    assert found.pdf(at) == pytest.approx(expected.pdf(at), abs=1e-9)
    few = spectrum_of(s, 1, 16)  # 2 k - 1 = 31
    assert few.smoothed(scale=4.0, order=30).pdf(at) == pytest.approx(expected.pdf(at), abs=1e-8)
    with pytest.raises(ParameterError, match="order 1 to 31"):
        few.smoothed(order=32)
    with pytest.raises(ParameterError, match="scale"):
        few.smoothed(scale=1.0)


def test_moments_and_their_limits() -> None:
    s = np.linspace(0, 1, 2000)
    spectrum = spectrum_of(s, 8, 3)
    found, error = spectrum.moments(6)
    exact = np.array([np.mean(s ** (2 * j)) for j in range(7)])
    assert found[0] == pytest.approx(1)
    assert (np.abs(found - exact)[1:] < 6 * error[1:]).all()  # t, 7 degrees
    with pytest.raises(ParameterError, match="more steps"):
        spectrum.moments(7)


def test_the_largest_singular_value() -> None:
    s = np.linspace(0, 1, 2000) ** 0.5 * 7
    spectrum = spectrum_of(s, 2, 60, networks=2)
    assert spectrum.ritz_value <= 7 + 1e-9
    assert 7 <= spectrum.largest_bound < 7.2


def test_errors_of_one_network_are_those_of_its_vectors() -> None:
    values = np.array([[1.0, 2.0, 4.0]])
    mean, error = mean_and_error(values)
    assert float(mean) == pytest.approx(7 / 3)
    assert float(error) == pytest.approx(values.std(ddof=1) / math.sqrt(3))
    assert np.isnan(mean_and_error(np.ones((1, 1)))[1])


def test_joined_spectra() -> None:
    a, b = (spectrum_of(np.linspace(0, 1, 50), 2, 5, seed=k) for k in range(2))
    both = LanczosSpectrum.joined([a, b])
    assert (both.networks, both.vectors) == (2, 2)
    at = np.linspace(0, 1, 11)
    assert both.cdf(at) == pytest.approx((a.cdf(at) + b.cdf(at)) / 2)
    with pytest.raises(ParameterError, match="dimension"):
        LanczosSpectrum.joined([a, spectrum_of(np.ones(3), 2, 2)])
    for bad in ((), ((),), (a.measures[0], a.measures[0][:1])):
        with pytest.raises(ParameterError, match="network"):
            LanczosSpectrum(bad, 50)
