"""Distances against scipy and by hand, and nulls against simulated false alarms."""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from rmt_jacobian.cells import Parameters, vanilla
from rmt_jacobian.comparison import (
    compare_spectrum,
    finite_size_null,
    ks_distance,
    resampled_null,
    wasserstein_distance,
    wasserstein_null,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import FussCatalan, MarchenkoPastur, PointMasses, QuarterCircle
from rmt_jacobian.mean_field import site_law
from rmt_jacobian.sampling import sample_singular_values


def svd(rng: np.random.Generator, samples: int, width: int) -> np.ndarray:
    gaussian = rng.standard_normal((samples, width, width)) / math.sqrt(width)
    return np.linalg.svd(gaussian, compute_uv=False)


class OneStepOfOrthogonalWeights:
    """The law of sigma phi'(e), e ~ N(0, q): the singular values of D W with orthogonal W."""

    def __init__(self, parameters: Parameters) -> None:
        self.std = math.sqrt(site_law(vanilla, parameters).preactivation_variance)
        self.scale = parameters.only.weight_std

    def cdf(self, s):
        s = np.clip(s / self.scale, 1e-300, 1.0)
        return 2 * stats.norm.sf(np.arccosh(s**-0.5) / self.std)

    def ppf(self, p):
        return self.scale * np.cosh(self.std * stats.norm.isf(np.asarray(p) / 2)) ** -2


STRONG = Parameters.of(vanilla, {"weight_std": 1.5, "input_std": 0.5, "bias_mean": 0.0,
                                 "bias_std": 0.1, "input_variance": 1.0})  # fmt: skip


@pytest.mark.parametrize("name", ["norm", "uniform", "expon"])
def test_continuous_laws_against_scipy(name):
    law = getattr(stats, name)()
    for size in (1, 2, 7, 300):
        values = law.rvs(size, random_state=size)
        assert ks_distance(values, law) == pytest.approx(
            stats.kstest(values, law.cdf).statistic, abs=1e-12
        )


def test_wasserstein_of_a_shift_and_of_a_scale():
    """W_1 between a law and its shift is the shift, of a scale 1 + a it is a E|X|."""
    values = QuarterCircle().ppf((np.arange(4000) + 0.5) / 4000)
    assert wasserstein_distance(values, QuarterCircle()) < 2e-4
    assert wasserstein_distance(values + 0.3, QuarterCircle()) == pytest.approx(0.3, abs=2e-4)
    expected = 0.1 * QuarterCircle().mean()
    assert wasserstein_distance(1.1 * values, QuarterCircle()) == pytest.approx(expected, abs=2e-4)


def test_wasserstein_between_point_masses_is_that_of_scipy():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 5, 40).astype(float)
    law = PointMasses([0.5, 1.0, 4.5], [0.2, 0.3, 0.5])
    expected = stats.wasserstein_distance(values, [0.5, 1.0, 4.5], v_weights=[0.2, 0.3, 0.5])
    assert wasserstein_distance(values, law) == pytest.approx(expected, rel=1e-12)


def test_wasserstein_by_quadrature():
    values = np.array([0.2, 0.9, 1.0])

    def difference(x: float) -> float:
        return abs(np.mean(values <= x) - stats.expon.cdf(x))

    parts = [quad(difference, a, b, limit=200)[0] for a, b in ((0, 0.2), (0.2, 0.9), (0.9, 1.0))]
    expected = sum(parts) + quad(difference, 1, 40, limit=200)[0]
    assert wasserstein_distance(values, stats.expon()) == pytest.approx(expected, rel=1e-3)


def test_atoms_meet_their_values_with_all_their_digits_or_without():
    law = PointMasses([0.0, 2.0], [0.25, 0.75])
    rounded = np.array([3e-17, 2 - 1e-15, 2.0, 2 + 1e-15])
    assert ks_distance(rounded, law) == 0
    assert wasserstein_distance(rounded, law) == pytest.approx(0, abs=1e-14)
    assert ks_distance(np.array([3e-17, 1e-18, 2.0, 2.0]), law) == pytest.approx(0.25)
    # A law without the atom: a quarter of the values is too low.
    assert ks_distance(rounded, PointMasses([2.0], [1.0])) == pytest.approx(0.25)


def test_ties_count_together():
    assert ks_distance(np.full(5, 0.5), stats.uniform()) == pytest.approx(0.5)
    assert wasserstein_distance(np.full(5, 0.5), stats.uniform()) == pytest.approx(0.25)


def test_values_below_rounding_are_no_evidence():
    """Half of the mass is far below the last digit, where the sample only shows noise."""
    law = stats.loguniform(1e-30, 1.0)
    values = law.ppf((np.arange(400) + 0.5) / 400)
    noisy = np.maximum(values, np.random.default_rng(0).uniform(0, 1e-15, 400))
    assert ks_distance(noisy, law) < 0.01
    assert stats.kstest(noisy, law.cdf).statistic > 0.4


@pytest.mark.parametrize("order", [1, 4])
def test_products_of_gaussian_matrices_pass(order):
    rng = np.random.default_rng(order)
    product = np.eye(128)
    for _ in range(order):
        product = product @ (rng.standard_normal((8, 128, 128)) / math.sqrt(128))
    values = np.linalg.svd(product, compute_uv=False) ** 2
    found = compare_spectrum(FussCatalan(order), values, label=f"T = {order}")
    assert found.verdict == "agrees"
    assert found.wasserstein < found.wasserstein_null
    assert (found.width, found.samples, found.label) == (128, 8, f"T = {order}")
    wrong = compare_spectrum(FussCatalan(order + 1), values)
    assert wrong.verdict == "fails"


def test_zero_singular_values_match_the_atom():
    rng = np.random.default_rng(2)
    low_rank = rng.standard_normal((4, 64, 48)) @ rng.standard_normal((4, 48, 64)) / 64
    values = np.linalg.svd(low_rank, compute_uv=False)
    assert 0 < values[:, -1].max() < 1e-14
    tall = np.linalg.svd(rng.standard_normal((4, 64, 48)) / 8, compute_uv=False) ** 2
    padded = np.concatenate([tall, rng.uniform(0, 1e-16, (4, 16))], axis=1)
    law = MarchenkoPastur(64 / 48, 48 / 64)  # of X X^T: an atom of mass 1/4
    assert law.atoms()[0][1] == pytest.approx(1 / 4)
    assert compare_spectrum(law, padded).verdict == "agrees"
    assert ks_distance(padded, law) < 0.03


def false_alarms(distances: list[float], null: float) -> int:
    return sum(distance > null for distance in distances)


def test_size_and_power_for_one_step_of_orthogonal_weights():
    """The hardest case: the noise of the sites is not smoothed at all."""
    law, width, samples, trials = OneStepOfOrthogonalWeights(STRONG), 48, 4, 250
    drawn = sample_singular_values(
        vanilla, STRONG, weights="orthogonal", steps=1, width=width, samples=samples * trials,
        seed=1,
    ).reshape(trials, samples, width)  # fmt: skip
    null = finite_size_null(width, samples)
    found = [ks_distance(values, law) for values in drawn]
    # At 1 % one expects 2.5 of 250; 8 or more would be met once in 300 times.
    assert false_alarms(found, null) <= 7
    # The null is not generous here: its median alarm is near.
    assert np.quantile(found, 0.99) > 0.6 * null
    far = [wasserstein_distance(values, law) for values in drawn]
    assert false_alarms(far, wasserstein_null(law, width, samples)) <= 7
    # All 48,000 values together see a scale that is off by 2 %.
    everything = drawn.reshape(-1, width)
    right = compare_spectrum(law, everything)
    assert right.ks < right.ks_null
    wrong = compare_spectrum(law, 1.02 * everything)
    assert wrong.ks > 2 * wrong.ks_null
    wider = compare_spectrum(law, 1.1 * everything)
    assert wider.wasserstein > 2 * wider.wasserstein_null > 2 * right.wasserstein


def test_size_for_gaussian_weights_and_rigid_spectra():
    trials, samples, width = 60, 2, 48
    values = svd(np.random.default_rng(5), trials * samples, width).reshape(trials, samples, width)
    found = [ks_distance(v, QuarterCircle()) for v in values]
    assert false_alarms(found, finite_size_null(width, samples)) == 0
    # Eigenvalues repel: they are off by little more than their spacing.
    assert max(found) < math.log(width) / width


def test_resampled_null_is_sharper_where_spectra_are_rigid_and_right_where_not():
    rng = np.random.default_rng(6)
    values = svd(rng, 40, 64)
    assert resampled_null(values) < 0.6 * finite_size_null(64, 40)
    assert ks_distance(values, QuarterCircle()) < resampled_null(values)
    wrong = ks_distance(1.05 * values, QuarterCircle())
    assert resampled_null(values) < wrong < finite_size_null(64, 40)
    alarms = 0
    for _ in range(120):
        uniform = rng.random((32, 16))
        # Independent values have no bias of finite width, so that its allowance is taken back.
        alarms += ks_distance(uniform, stats.uniform()) > resampled_null(uniform) - 0.5 / 16
    assert alarms <= 6  # 1.2 expected at 1 %, 2.4 with the uncertain scatter of 32 networks


def test_null_is_the_kolmogorov_distribution():
    n = 10**6
    expected = stats.kstwobign.ppf(0.99) / math.sqrt(n)
    assert finite_size_null(n, 1) == pytest.approx(expected + 0.5 / n, rel=1e-9)
    assert finite_size_null(n, 1, quantile=0.5) < expected
    assert finite_size_null(10, 10**8) == pytest.approx(0.05, rel=1e-2)  # the bias stays


def test_wasserstein_null_for_independent_values():
    law, n = stats.beta(2, 3), 200
    rng = np.random.default_rng(7)
    found = [wasserstein_distance(law.rvs(n, random_state=rng), law) for _ in range(400)]
    noise = wasserstein_null(law, 10**9, 1) * math.sqrt(10**9 / n)
    assert np.quantile(found, 0.99) == pytest.approx(noise, rel=0.12)  # 4 of 400 lie above
    # The mean is sqrt(2 / (pi n)) times the integral of sqrt(F (1 - F)).
    spread = quad(lambda x: math.sqrt(law.cdf(x) * law.sf(x)), 0, 1)[0]
    median = wasserstein_null(law, 10**9, 1, quantile=0.5) * math.sqrt(10**9)
    assert 0.8 < median / (spread * math.sqrt(2 / math.pi)) < 1.0


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf]])
@pytest.mark.parametrize("distance", [ks_distance, wasserstein_distance])
def test_values_out_of_domain(values, distance):
    with pytest.raises(ParameterError, match="finite"):
        distance(np.array(values), stats.norm())


def test_other_arguments_out_of_domain():
    with pytest.raises(ParameterError, match="width and samples"):
        finite_size_null(0, 1)
    with pytest.raises(ParameterError, match="quantile"):
        wasserstein_null(QuarterCircle(), 10, 1, quantile=1.0)
    with pytest.raises(ParameterError, match="16 or more"):
        resampled_null(np.ones((15, 4)))
