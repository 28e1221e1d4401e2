"""What every law promises, over the table of laws."""

from itertools import pairwise

import numpy as np
import pytest

from rmt_jacobian.errors import ParameterError
from rmt_jacobian.laws import r_transform_near_zero
from tests.laws.quadrature import between, expectation
from tests.laws.table import CASES

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
every_continuous = pytest.mark.parametrize(
    "case", [case for case in CASES if case.law.support_intervals()], ids=lambda case: case.name
)
every_case_with_mean = pytest.mark.parametrize(
    "case", [case for case in CASES if case.moment(1) != 0], ids=lambda case: case.name
)

# The reference quadrature has 1000 nodes of rounding errors; the closed forms have a few.
QUADRATURE = 1e-12
PROBABILITIES = np.linspace(0, 1, 401)


def inner_points(law, count=41):
    """Points strictly inside every interval."""
    ends = [np.linspace(*interval, count + 2)[1:-1] for interval in law.support_intervals()]
    return np.concatenate(ends) if ends else np.empty(0)


def locations(law):
    return np.array([location for location, _ in law.atoms()])


def off_axis(law):
    """Points around the support in all four quadrants about its centre."""
    low, high = law.support()
    shape = np.array([-1.3, -0.4, 0.3, 0.9, 1.6])[:, None] + 1j * np.array([-1.1, -0.3, 0.4, 2.0])
    return ((low + high) / 2 + (high - low) / 2 * shape).ravel()


def outside(law):
    low, high = law.support()
    return np.array([low - 3.0, low - 0.1, high + 0.2, high + 5.0])


@every_case
def test_density_is_positive_inside_and_zero_outside(case):
    assert np.all(case.law.pdf(inner_points(case.law)) > 0)
    assert np.all(case.law.pdf(outside(case.law)) == 0)
    assert np.isnan(case.law.pdf(np.nan))


@every_case
def test_total_mass_is_one(case):
    total = expectation(case.law, lambda x: 1.0)
    assert total == pytest.approx(1, abs=QUADRATURE)


@every_case
def test_support_is_the_hull_of_intervals_and_atoms(case):
    low, high = case.law.support()
    inside = np.concatenate([inner_points(case.law), locations(case.law)])
    assert low <= inside.min()
    assert inside.max() <= high
    assert case.law.cdf(np.nextafter(low, -np.inf)) == 0
    assert case.law.cdf(high) == 1


@every_case
def test_cdf_increases_from_zero_to_one(case):
    low, high = case.law.support()
    values = case.law.cdf(np.linspace(low - 1, high + 1, 501))
    assert values[0] == 0
    assert values[-1] == 1
    assert np.all(np.diff(values) >= -1e-15)  # of the rounding of values near 1
    assert np.isnan(case.law.cdf(np.nan))


@every_continuous
def test_cdf_is_the_integral_of_the_density(case):
    jumps = case.law.atoms()
    for interval in case.law.support_intervals():
        points = np.linspace(*interval, 8)[1:-1]
        for low, high in pairwise(points):
            mass = between(case.law, low, high)
            mass += sum(weight for at, weight in jumps if low < at <= high)
            assert case.law.cdf(high) - case.law.cdf(low) == pytest.approx(mass, abs=QUADRATURE)


@every_case
def test_cdf_jumps_at_the_atoms_and_is_continuous_from_the_right(case):
    for location, mass in case.law.atoms():
        before = case.law.cdf(np.nextafter(location, -np.inf))
        assert case.law.cdf(location) - before == pytest.approx(mass, abs=1e-14)


@every_case
def test_quantile_inverts_the_cdf(case):
    x = case.law.ppf(PROBABILITIES)
    atomic = np.isin(x, locations(case.law))
    reached = case.law.cdf(x)
    np.testing.assert_allclose(reached[~atomic], PROBABILITIES[~atomic], rtol=0, atol=2e-15)
    assert np.all(reached[atomic] >= PROBABILITIES[atomic] - 1e-15)
    before = case.law.cdf(np.nextafter(x[atomic], -np.inf))
    assert np.all(before <= PROBABILITIES[atomic] + 1e-15)
    assert np.all(np.diff(x) >= 0)


@every_case
def test_quantile_finds_the_point_again(case):
    points = inner_points(case.law)
    # An error of the cdf by 1e-15 moves the point by that over the density.
    moved = 4e-15 / np.maximum(case.law.pdf(points), 1e-300) + 1e-14
    assert np.all(np.abs(case.law.ppf(case.law.cdf(points)) - points) <= moved)


@every_case
def test_quantile_at_the_ends_and_off_the_unit_interval(case):
    assert tuple(case.law.ppf([0, 1])) == case.law.support()
    assert np.all(np.isnan(case.law.ppf([-0.1, 1.1, np.nan])))


@every_case
def test_quantile_is_exact_at_atoms(case):
    for location, mass in case.law.atoms():
        inside = case.law.cdf(location) - mass / 2
        assert case.law.ppf(inside) == location


@every_case
def test_draws_follow_the_law(case):
    count = 4000
    draws = np.sort(case.law.rvs(count, random_state=3))
    points = np.unique(draws)
    above = np.searchsorted(draws, points, side="right") / count
    below = np.searchsorted(draws, points, side="left") / count
    gap = np.abs(above - case.law.cdf(points))
    gap_before = np.abs(below - case.law.cdf(np.nextafter(points, -np.inf)))
    # Dvoretzky-Kiefer-Wolfowitz: exceeded with probability 0.001.
    bound = np.sqrt(np.log(2 / 1e-3) / (2 * count))
    assert max(gap.max(), gap_before.max()) < bound


@every_case
def test_draws_are_fixed_by_the_seed(case):
    again = case.law.rvs((2, 3), random_state=np.random.default_rng(5))
    np.testing.assert_array_equal(case.law.rvs((2, 3), random_state=5), again)
    assert np.ndim(case.law.rvs()) == 0


@every_case
def test_moments_agree_with_the_independent_formula(case):
    for n in range(9):
        scale = max(1, *(abs(end) ** n for end in case.law.support()))
        assert case.law.moment(n) == pytest.approx(case.moment(n), rel=1e-13, abs=1e-14 * scale)


@every_case
def test_moments_agree_with_quadrature(case):
    for n in range(1, 6):
        value = expectation(case.law, lambda x, n=n: x**n)
        scale = max(1, *(abs(end) ** n for end in case.law.support()))
        assert case.law.moment(n) == pytest.approx(value, abs=QUADRATURE * scale)


@every_case
def test_mean_and_deviation_come_from_the_moments(case):
    variance = case.moment(2) - case.moment(1) ** 2
    assert case.law.mean() == pytest.approx(case.moment(1), rel=1e-13, abs=1e-14)
    assert case.law.var() == pytest.approx(variance, rel=1e-12)
    assert case.law.std() == pytest.approx(np.sqrt(variance), rel=1e-12)


@every_case
def test_free_cumulants_are_those_of_the_moments(case):
    m1, m2, m3, m4 = (case.moment(n) for n in range(1, 5))
    expected = [
        m1,
        m2 - m1**2,
        m3 - 3 * m1 * m2 + 2 * m1**3,
        m4 - 4 * m1 * m3 - 2 * m2**2 + 10 * m1**2 * m2 - 5 * m1**4,
    ]
    scale = max(1, *(abs(end) ** 4 for end in case.law.support()))
    np.testing.assert_allclose(case.law.free_cumulants(4), expected, rtol=0, atol=1e-12 * scale)


@every_case
def test_cauchy_is_the_integral_in_all_quadrants(case):
    z = off_axis(case.law)
    expected = [expectation(case.law, lambda x, z=z: 1 / (z - x)) for z in z]
    np.testing.assert_allclose(case.law.cauchy(z), expected, rtol=0, atol=1e-10)


@every_case
def test_cauchy_outside_the_support_is_real_and_the_integral(case):
    z = outside(case.law)
    values = case.law.cauchy(z)
    expected = [expectation(case.law, lambda x, z=z: 1 / (z - x)) for z in z]
    # 0.1 from a hard edge the reference quadrature still has ten digits.
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=0)
    assert np.all(values.imag == 0)


@every_case
def test_cauchy_decays_like_the_inverse(case):
    z = 1e7 * np.exp(2j * np.pi * np.array([0.1, 0.35, 0.6, 0.85, 0.0, 0.5]))
    two_terms = 1 / z + case.moment(1) / z**2
    relative = np.abs(case.law.cauchy(z) / two_terms - 1)
    assert np.all(relative <= 2e-14 * case.moment(2) + 1e-15)


@every_case
def test_cauchy_maps_the_upper_half_plane_down_and_respects_conjugation(case):
    rng = np.random.default_rng(11)
    low, high = case.law.support()
    x = rng.uniform(low - 1, high + 1, 300)
    z = x + 1j * 10 ** rng.uniform(-8, 2, 300)
    values = case.law.cauchy(z)
    assert np.all(values.imag < 0)
    np.testing.assert_array_equal(case.law.cauchy(np.conj(z)), np.conj(values))


@every_continuous
def test_cauchy_on_the_axis_is_the_limit_with_the_density(case):
    x = np.setdiff1d(inner_points(case.law), locations(case.law))
    values = case.law.cauchy(x)
    np.testing.assert_allclose(-values.imag / np.pi, case.law.pdf(x), rtol=1e-10, atol=0)
    # The slope of G at these points is below 1e4.
    np.testing.assert_allclose(case.law.cauchy(x + 1e-10j), values, rtol=0, atol=1e-6)
    negative_zero = case.law.cauchy([complex(point, -0.0) for point in x])
    np.testing.assert_array_equal(negative_zero, values)


@every_case
def test_cauchy_is_infinite_at_an_atom(case):
    for location in locations(case.law):
        assert case.law.cauchy(location) == complex(np.inf, 0)


@every_case
def test_r_transform_inverts_the_cauchy_transform(case):
    low, high = case.law.support()
    # Beyond four half-widths the inverse exists for every law, and 7 half-widths reach the disc.
    circle = np.exp(2j * np.pi * (np.arange(12) + 0.5) / 12)
    for radius in (8, 100, 3e4):
        z = (low + high) / 2 + radius * (high - low) / 2 * circle
        w = case.law.cauchy(z)
        error = case.law.r_transform(w) + 1 / w - z
        np.testing.assert_allclose(error, 0, rtol=0, atol=1e-13 * np.abs(z).max())


@every_case
def test_r_transform_near_zero_is_the_series_of_the_cumulants(case):
    low, high = case.law.support()
    w = 0.02 / (high - low) * np.array([1, 1j, -1, 0.5 - 0.5j, 0])
    series = np.polynomial.polynomial.polyval(w, case.law.free_cumulants(14))
    scale = max(abs(low), abs(high))
    np.testing.assert_allclose(case.law.r_transform(w), series, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(
        r_transform_near_zero(case.law, w), series, rtol=0, atol=1e-12 * scale
    )


@every_case_with_mean
def test_s_transform_solves_its_equation(case):
    low, high = case.law.support()
    mean, variance, half = case.law.mean(), case.law.var(), (high - low) / 2
    radius = 0.7 * abs(mean) * min(1 / (6 * half), abs(mean) / (8 * variance))
    u = radius * np.array([1, 1j, -1, -0.3 - 0.4j, 0.01])
    s = case.law.s_transform(u)
    chi = u * s / (1 + u)
    psi = case.law.cauchy(1 / chi) / chi - 1
    np.testing.assert_allclose(psi, u, rtol=0, atol=1e-13)
    assert case.law.s_transform(0) == pytest.approx(1 / case.moment(1), rel=1e-13)


@every_case
def test_results_have_the_shape_of_the_argument(case):
    grid = np.full((2, 3), 0.01)
    for method in (case.law.pdf, case.law.cdf, case.law.ppf):
        assert method(grid).shape == (2, 3)
        assert np.ndim(method(0.25)) == 0
    for method in (case.law.cauchy, case.law.r_transform):
        assert method(grid + 0.001j).shape == (2, 3)
        assert np.ndim(method(0.01 + 0.01j)) == 0


@every_case
@pytest.mark.parametrize("n", [-1, 1.5])
def test_order_of_a_moment_is_checked(case, n):
    with pytest.raises(ParameterError, match="integer >= 0") as raised:
        case.law.moment(n)
    assert "\n" not in str(raised.value)
