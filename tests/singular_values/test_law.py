"""The law of singular values against closed forms, sampled networks and itself."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.sweep_singular_values import checked, mass_within
from rmt_jacobian.cells import Parameters, cell_named, gru, minimalrnn, vanilla
from rmt_jacobian.comparison import finite_size_null, ks_distance
from rmt_jacobian.errors import ConvergenceError, HypothesisError, ParameterError
from rmt_jacobian.laws import FussCatalan, QuarterCircle
from rmt_jacobian.mean_field import site_law, stationary
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    chain_moments,
)
from rmt_jacobian.sampling import sample_singular_values
from rmt_jacobian.singular_values import (
    SingularValueLaw,
    calibrated,
    exact_moments,
    singular_value_law,
)
from tests.in_turn import in_turn
from tests.pencils.chains import constant, gated
from tests.pencils.examples import ENSEMBLES

named = pytest.mark.parametrize("name", ENSEMBLES)
P = np.linspace(0.005, 0.995, 120)


@pytest.fixture(scope="module")
def law() -> SingularValueLaw:
    """The singular values of a gated chain with unequal weights of the sites."""
    return SingularValueLaw(gated("gaussian", 3))


def test_one_gaussian_step_has_the_quarter_circle() -> None:
    ours, exact = SingularValueLaw(constant(0.0, 1.0)), QuarterCircle()
    x = exact.ppf(P)
    assert np.allclose(ours.cdf(x), exact.cdf(x), atol=2e-6)
    assert np.allclose(ours.pdf(x), exact.pdf(x), atol=1e-4)
    assert ours.support() == pytest.approx((0, 2), rel=1e-9)
    assert ours.edge_exponent_at_zero == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("steps", [2, 3, 5, 10])
def test_gaussian_products_have_fuss_catalan_squares(steps: int) -> None:
    ours = SingularValueLaw(constant(0.0, 1.0, steps=steps), squared=True)
    exact = FussCatalan(steps)
    x = exact.ppf(P)
    assert np.allclose(ours.cdf(x), exact.cdf(x), atol=3e-6)
    assert np.allclose(x * ours.pdf(x), x * exact.pdf(x), atol=1e-4)
    assert ours.support()[1] == pytest.approx(exact.support()[1], rel=1e-9)
    assert ours.edge_exponent_at_zero == pytest.approx(1 - 1 / (steps + 1), abs=2e-3)
    assert [ours.moment(k) for k in (1, 2, 3)] == pytest.approx(
        [exact.moment(k) for k in (1, 2, 3)]
    )


@pytest.mark.parametrize(
    ("a", "b"), [(0.5, 1.0), pytest.param(1.0, 0.3, marks=pytest.mark.thorough), (2.0, 1.9)]
)
def test_a_diagonal_plus_a_rotation(a: float, b: float) -> None:
    # |a + b U|^2 = a^2 + b^2 + a b (U + U^T), and U + U^T has the arcsine law on [-2, 2].
    ours = SingularValueLaw(constant(a, b, OrthogonalWeights(1.0)))
    s = np.sqrt(a * a + b * b - 2 * a * b * np.cos(np.pi * P))
    assert np.allclose(ours.cdf(s), P, atol=3e-6)
    assert ours.support() == pytest.approx((abs(a - b), a + b), rel=1e-8)
    assert ours.edge_exponent_at_zero is None


@pytest.mark.parametrize("a", [0.5, 2.0])
def test_a_constant_plus_a_circular_element(a: float) -> None:
    # g of the symmetrised law: g = (s - g) / ((s - g)^2 - a^2).
    ours = SingularValueLaw(constant(a, 1.0))
    for s in ours.ppf(np.array([0.1, 0.5, 0.9])):
        roots = np.roots([1, -2 * s, s * s - a * a + 1, -s])
        assert ours.pdf(s) == pytest.approx(-2 / np.pi * np.min(roots.imag), rel=1e-4)


NETWORKS = {
    "default": (minimalrnn, {}),
    "unsaturated": (minimalrnn, {"weight_std": 6.086, "input_std": 4.7986, "bias_mean": 4.0}),
    "bimodal": (minimalrnn, {"weight_std": 20.0, "input_std": 10.0, "bias_mean": 0.0}),
    "vanilla": (vanilla, {}),
}


@pytest.mark.parametrize(
    ("point", "weights"),
    in_turn(
        [("default", 1), ("default", 20), ("bimodal", 5), ("unsaturated", 5), ("vanilla", 5)],
        ["gaussian", "orthogonal"],
    ),
    ids=str,
)
@pytest.mark.filterwarnings("ignore::rmt_jacobian.errors.RoundingWarning")  # the distance knows
def test_sampled_networks(point: tuple[str, int], weights: str) -> None:
    name, steps = point
    cell, values = NETWORKS[name]
    parameters = Parameters.of(cell).with_values(**values)
    law = singular_value_law(
        cell, parameters, weights=weights, steps=steps, sites=128, replicates=0, tolerance=1e-4
    )
    found = sample_singular_values(
        cell, parameters, weights=weights, width=96, steps=steps, samples=4, seed=1
    )
    # The sites of the law are as evenly spread as their number allows.
    assert ks_distance(found, law) < finite_size_null(96, 4) + 1 / 128


def test_the_first_moments_are_those_of_the_recursion() -> None:
    parameters = Parameters.of(minimalrnn)
    law = singular_value_law(
        minimalrnn, parameters, weights="orthogonal", steps=3, sites=256, squared=True
    )
    exact = exact_moments(site_law(minimalrnn, parameters), 3, 0.0)
    assert (law.moment(1), law.moment(2)) == pytest.approx(exact, rel=1e-9)
    assert law.roots().moment(4) == law.moment(2)
    assert 0 < law.error_estimate < 0.15
    assert math.isnan(SingularValueLaw(law.chain).error_estimate)


def test_integrals_of_the_table(law: SingularValueLaw) -> None:
    x = np.geomspace(1e-12, law.support()[1], 20_001)
    assert np.trapezoid(x * law.pdf(x), np.log(x)) == pytest.approx(1, abs=1e-4)
    squares = law.squares()
    assert law._integral(lambda s: s**2) == pytest.approx(squares.moment(1), rel=1e-5)
    assert law._integral(lambda s: s**4) == pytest.approx(squares.moment(2), rel=1e-5)
    assert squares.table is law.table
    assert squares.roots().moment(2) == law.moment(2) == squares.moment(1)
    assert squares.mean() == pytest.approx(squares._integral(lambda s: s**2), rel=1e-5)


@named
def test_the_table_against_the_equation(name: str) -> None:
    law = SingularValueLaw(gated(name, 2))
    x = law.ppf(P)
    exact = law.solve(x)
    assert np.all(exact.converged)
    assert np.allclose(law.pdf(x), exact.density, rtol=1e-3, atol=1e-5)
    assert np.allclose(exact.cauchy, law.cauchy(x), rtol=1e-8)
    for at in law.ppf(np.array([0.2, 0.7])):
        assert law.cdf(at) == pytest.approx(mass_within(law, at), abs=3e-6)
    squares = law.squares().solve(x**2)
    assert np.allclose(squares.density * 2 * x, exact.density, rtol=1e-9)


def test_quantiles_invert_the_distribution(law: SingularValueLaw) -> None:
    for one in (law, law.squares()):
        x = one.ppf(P)
        assert np.allclose(one.cdf(x), P, atol=1e-12)
        assert np.all(np.diff(x) > 0)
        assert np.isnan(one.ppf([-0.1, 1.1, np.nan])).all()
        assert one.ppf([0, 1]) == pytest.approx(one.support())


def test_the_distribution_rises_from_zero_to_one(law: SingularValueLaw) -> None:
    x = np.concatenate([[-1.0, 0.0], np.geomspace(1e-12, 10, 3000)])
    assert np.all(np.diff(law.cdf(x)) >= 0)
    assert np.all(law.pdf(x) >= 0)
    assert law.cdf([-1.0, 0.0, 10.0]) == pytest.approx([0, 0, 1])
    assert np.isnan(law.cdf(np.nan))
    assert law.pdf([-1.0, 10.0]) == pytest.approx([0, 0])


def test_draws_have_the_moments(law: SingularValueLaw) -> None:
    draws = law.rvs(20_000, random_state=1) ** 2
    error = 5 * draws.std() / math.sqrt(len(draws))
    assert draws.mean() == pytest.approx(law.moment(2), abs=error)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize(
    "z", [0.5 + 0.3j, -0.4 + 0.2j, -0.5 - 0.7j, 0.9 - 0.1j, 5.0 + 0j, -2.0 + 0j, 40j]
)
def test_the_cauchy_transform_is_the_integral(
    law: SingularValueLaw, squared: bool, z: complex
) -> None:
    one = law.squares() if squared else law
    exact = law._integral(lambda s: 1 / (z - (s * s if squared else s)))
    assert one.cauchy(z) == pytest.approx(exact, rel=1e-4)
    assert one.cauchy(np.conj(z)) == pytest.approx(np.conj(one.cauchy(z)))
    if z.imag:
        assert np.sign(np.imag(one.cauchy(z))) == -np.sign(z.imag)
    assert one.cauchy(1e6 * z) * 1e6 * z == pytest.approx(1, rel=1e-5)


def test_lost_sites_are_an_atom() -> None:
    A, B = np.array([[0.0, 1, 1, 1]]), np.array([[0.0, 1, 2, 0]])
    law = SingularValueLaw(ProductChain(SiteHistory.of(A, B), GaussianWeights(1.0)))
    assert law.atoms() == ((0.0, 0.25),)
    assert law.cdf(0.0) == 0.25
    assert law.ppf([0.1, 0.25]) == pytest.approx([0, 0])
    x = law.ppf(np.linspace(0.2500001, 1, 4001))
    assert np.trapezoid(law.pdf(x), x) == pytest.approx(0.75, abs=1e-4)
    assert law.cauchy(0.5 + 0.5j) == pytest.approx(
        law._integral(lambda s: 1 / (0.5 + 0.5j - s)) + 0.25 / (0.5 + 0.5j), rel=1e-4
    )
    assert law.squares().atoms() == law.atoms()


def test_weights_of_no_scale_are_refused() -> None:
    with pytest.raises(HypothesisError, match="weight_std = 0"):
        SingularValueLaw(constant(0.5, 1.0, GaussianWeights(0.0)))
    with pytest.raises(ParameterError, match="tolerance"):
        SingularValueLaw(constant(0.5, 1.0), tolerance=0.5)
    with pytest.raises(ParameterError, match="above 0"):
        SingularValueLaw(constant(0.0, 1.0)).solve([0.0, 1.0])


@pytest.mark.parametrize(
    "values",
    [
        {"weight_std": 1e-3, "input_std": 1.0, "bias_mean": 0.0},
        pytest.param(
            {"weight_std": 60.0, "input_std": 1.0, "bias_mean": 0.0}, marks=pytest.mark.thorough
        ),
        {"weight_std": 1.0, "input_std": 30.0, "bias_mean": 6.0},
    ],
)
def test_extreme_networks(values: dict[str, float]) -> None:
    law = singular_value_law(
        minimalrnn,
        Parameters.of(minimalrnn).with_values(**values),
        weights="gaussian",
        steps=2,
        sites=16,
        replicates=0,
    )
    x = law.ppf(np.array([0.47]))
    assert law.cdf(x) == pytest.approx([mass_within(law, at) for at in x], abs=1e-5)


SLOW = [69]
LONG = [0, 1, 13, 17, 26, 30, 37, 38, 44, 54, 61, 67, 70, 73, 82, 266, 486]


@pytest.mark.parametrize(
    "seed",
    [
        *(3, 22),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in SLOW),
        *(pytest.param(seed, marks=[pytest.mark.slow, pytest.mark.thorough]) for seed in LONG),
    ],
)
def test_a_part_of_the_sweep(seed: int) -> None:
    # Points at which an earlier solver or table went wrong are among them.
    assert checked(seed).verdict == "passed"


def test_bands_of_few_sites_are_counted_in_and_true_gaps_are_not() -> None:
    """Two groups of sites make two bands; one site far out makes a third."""
    gate = np.concatenate([np.full(31, 0.05), np.full(32, 0.051), [1.2]])
    direct = np.concatenate([np.full(31, 0.5), np.full(32, 2.0), [6.0]])
    sites = SiteHistory.of(direct[None, :], gate[None, :])
    chain = ProductChain(sites, GaussianWeights(1.0))
    whole, coarse = SingularValueLaw(chain), SingularValueLaw(chain, grain=2 / 64)
    assert len(whole.support_intervals()) == 3
    assert len(coarse.support_intervals()) == 2
    assert coarse.support() == whole.support()
    gap = (whole.support_intervals()[1][1] + whole.support_intervals()[2][0]) / 2
    assert coarse.pdf(gap) == 0


@pytest.mark.parametrize("cell", [vanilla, minimalrnn, gru], ids=lambda c: c.name)
def test_bands_of_eight_sites_may_be_their_doing(cell) -> None:
    for sites in (64, 256):
        law = singular_value_law(
            cell, Parameters.of(cell), weights="gaussian", steps=1, sites=sites, replicates=0
        )
        assert law.grain == 8 / sites


def test_the_error_estimate_counts_what_tilting_changes() -> None:
    """A tilt towards wrong moments, here those of gates a tenth too open, moves the law."""
    gate = np.linspace(0.5, 1.5, 129)[None, :]
    drawn = ProductChain(SiteHistory.of(0 * gate, gate), GaussianWeights(1.0))
    wrong = ProductChain(SiteHistory.of(0 * gate, 1.1 * gate), GaussianWeights(1.0))
    found = calibrated(drawn, *chain_moments(wrong, 2)[1:])
    assert found.reached
    law = SingularValueLaw(
        found.chain, tolerance=1e-4, replicates=(found.chain,), calibration=found
    )
    right = SingularValueLaw(drawn, tolerance=1e-4)
    x = right.ppf(np.linspace(0.05, 0.95, 19))
    moved = float(np.max(np.abs(law.cdf(x) - right.cdf(x))))
    assert moved > 0.02
    assert law.error_estimate == pytest.approx(moved, rel=0.1)


def test_an_atom_that_all_draws_share_is_no_error() -> None:
    """All singular values of (0.9 O)^3 are 0.729."""
    cell = cell_named("vanilla:identity")
    parameters = Parameters.of(cell).with_values(weight_std=0.9, input_std=0.5)
    law = singular_value_law(cell, parameters, weights="orthogonal", steps=3, sites=16)
    assert law.ppf([0.1, 0.5, 0.9]) == pytest.approx([0.729] * 3, rel=1e-6)
    assert law.error_estimate < 1e-6


def test_moments_that_the_table_does_not_resolve_are_refused() -> None:
    """One site in a million carries the mean: the table ends below it."""
    gate = np.array([[1.0, 1e12]])
    rare = SiteHistory.of(0 * gate, gate, np.array([1 - 1e-9, 1e-9]))
    law = SingularValueLaw(ProductChain(rare, GaussianWeights(1.0)), tolerance=1e-4)
    assert law.moment(2) == pytest.approx(1e15, rel=1e-3)
    with pytest.raises(ConvergenceError, match="rarer than the table"):
        law.mean()


def test_moments_of_sites_carry_the_error_of_the_sites() -> None:
    """The replicates of a GRU, whose moments follow no recursion, scatter by what is stated."""
    laws = [
        singular_value_law(
            gru,
            Parameters.of(gru).with_values(input_std=1.0),
            weights="gaussian",
            steps=2,
            sites=64,
            seed=seed,
            squared=True,
        )
        for seed in range(6)
    ]
    first = np.array([law.moment(1) for law in laws])
    stated = np.mean([law.moment_errors[0] for law in laws])
    scatter = first.std(ddof=1) / first.mean()
    # Three draws find the standard deviation but for a factor of about 2: the half width of 95 %
    # is 4.3 times their own, which is 0.89 of the true one in the mean.
    assert 0.5 < stated / (4.3 * 0.89 * scatter) < 2
    assert laws[0].calibration is None
    assert np.isnan(replace(laws[0], replicates=()).moment_errors[0])


def test_a_law_has_its_own_parameters() -> None:
    law = stationary(vanilla, {"weight_std": 1.5})
    with pytest.raises(ParameterError, match="has its own parameters"):
        singular_value_law(law, Parameters.of(vanilla), weights="gaussian", steps=1, sites=64)
    one = singular_value_law(law, weights="gaussian", steps=1, sites=64)
    two = singular_value_law(vanilla, law.parameters, weights="gaussian", steps=1, sites=64)
    assert one.ppf(0.3) == two.ppf(0.3)


def test_kinds_of_biases() -> None:
    """Frozen or redrawn: the same without bias variance, another law with it."""
    for spread, same in ((0.0, True), (0.5, False)):
        laws = [
            singular_value_law(
                stationary("gru", {"input_std": 1.0, "update.bias_std": spread}, biases=biases),
                weights="gaussian", steps=2, sites=256,
            )
            for biases in ("frozen", "redrawn")
        ]  # fmt: skip
        a, b = (float(law.squares().moment(1)) for law in laws)
        assert (a == pytest.approx(b, rel=1e-9)) == same


@pytest.mark.parametrize("weights", [{"foo": "gaussian"}, {}])
def test_a_missing_ensemble(weights) -> None:
    with pytest.raises(ParameterError, match="weights are missing for candidate"):
        singular_value_law("vanilla", weights=weights, steps=1, sites=64)


def test_the_error_estimate_of_a_law_that_is_almost_all_atom() -> None:
    values = {"weight_std": 1.19, "input_std": 1.44, "bias_mean": -6.0, "input_variance": 0.59}
    cell = cell_named("vanilla:hard_tanh")
    law = singular_value_law(
        cell, Parameters.of(cell, values), weights="gaussian", steps=1, sites=256, replicates=2
    )
    ((place, mass),) = law.atoms()
    assert place == 0.0
    assert mass > 0.99
    others = [chain.lost for chain in law.replicates]
    assert max(abs(mass - other) for other in others) <= law.error_estimate < 0.02


@pytest.mark.parametrize("steps", [10, 40])
def test_both_ends_of_an_orthogonal_product_without_a_memory(steps: int) -> None:
    """All gates are open: nothing is near 0, where the equation says less and less."""
    parameters = {"weight_std": 1.0, "bias_std": 0.05}
    q = stationary("vanilla", parameters).variances["candidate"]
    law = singular_value_law("vanilla", parameters, steps=steps, weights="orthogonal")
    z, p = np.polynomial.hermite_e.hermegauss(100)
    squares, p = np.cosh(math.sqrt(q) * z) ** -4, p / p.sum()
    low, high = law.support()
    assert law.expect(np.square) == pytest.approx((p @ squares) ** steps, rel=1e-4)
    assert law.expect(lambda s: s**-2.0) == pytest.approx((p @ (1 / squares)) ** steps, rel=2e-3)
    assert 0 < low < high
