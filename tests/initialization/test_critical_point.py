"""Critical points for fresh weights and the moments over T steps that they are chosen by."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from rmt_jacobian import initialization
from rmt_jacobian.cells import Cell, Parameters, cell_named, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.derive import exact_second_moment
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.initialization.descent import OPEN, Descent, starts_of
from rmt_jacobian.initialization.search import CriticalSearch
from rmt_jacobian.initialization.surface import Slopes, _updated
from rmt_jacobian.initialization.usual import corner_weights, usual_initializations
from rmt_jacobian.mean_field import PairState, critical_weights, site_law, untied_state
from rmt_jacobian.pencils import product_moments_of, weight_ensembles
from rmt_jacobian.sampling import jacobian_products, run_network

critical_initialization = partial(initialization.critical_initialization, dynamics="untied")
initialization_report = partial(initialization.initialization_report, dynamics="untied")


@pytest.mark.parametrize("share", [0.25, 1 / 3, 0.8])
def test_corners_of_orthogonal_matrices(share: float) -> None:
    corner, width = corner_weights(share), 300
    rng, squares = np.random.default_rng(0), []
    whole = round(width / share)
    for _ in range(3):
        q, _ = np.linalg.qr(rng.standard_normal((whole, whole)))
        W = q[:width, :width]
        squares.append([np.trace(W @ W.T) / width, np.sum((W @ W.T) ** 2) / width])
    m_1, m_2 = np.mean(squares, axis=0)
    # Fluctuations of traces are O(1/N), and so is the rounding of the larger width.
    assert corner.variance == pytest.approx(m_1, abs=3 / width)
    # S = (1 + (1 - m_2 / m_1^2) z) / m_1.
    assert corner.s_1 == pytest.approx(1 - m_2 / m_1**2, abs=5 / width)
    u = np.array([-0.5 + 0.3j])
    step = 1e-6
    slope = (corner.gain(u + step) - corner.gain(u - step)) / (2 * step)
    assert corner.gain_derivative(u) == pytest.approx(slope, rel=1e-6)


def test_one_step_at_the_silent_state() -> None:
    # z = r = 1/2 and h = 0: J = 1/2 + W_y / 4, so that J J^T has the moments written out here.
    state = untied_state(gru, Parameters.of(gru, input_std=0))
    s = 9 / 16
    for weights, s_1 in (("gaussian", -1.0), ("orthogonal", 0.0)):
        found = product_moments_of(state, weights, 1, count=8)
        assert found.mean == pytest.approx(0.25 + s, rel=1e-12)
        variance = 2 * s * 0.25 - s_1 * s * s
        assert found.variance == pytest.approx(variance, rel=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_minimalrnn_against_the_diagonal_valued_recursion(weights: Any) -> None:
    p = Parameters.of(
        minimalrnn, weight_std=6.086, input_std=4.7986, bias_mean=4.0, input_variance=0.46
    )
    state, chi = untied_state(minimalrnn, p), site_law(minimalrnn, p).chi1
    for steps in (1, 5):
        found = product_moments_of(state, weights, steps, count=8192)
        exact = exact_second_moment(minimalrnn).evaluate(p, weights=weights, steps=steps)
        # Gates are open at few of the 8192 sites, which carry the moments.
        assert found.mean == pytest.approx(chi**steps, rel=0.01)
        assert found.second_moment == pytest.approx(exact, rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(
    "weights", ["gaussian", pytest.param("orthogonal", marks=pytest.mark.thorough)]
)
def test_lstm_against_sampled_products(weights: Any) -> None:
    p = Parameters.of(lstm).with_values({"input_std": 0.7, "forget.bias_mean": 1.0})
    expected = product_moments_of(untied_state(lstm, p), weights, 3)
    found = []
    for seed in range(12):
        run = run_network(
            lstm, p, weights=weights, width=300, steps=3, rng=np.random.default_rng(seed)
        )
        *_, (_, _, J) = jacobian_products(run, [3])
        gram = J @ J.T
        found.append([np.trace(gram) / len(J), np.sum(gram * gram) / len(J)])
    means, errors = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / math.sqrt(12)
    exact = np.array([expected.mean, expected.second_moment])
    assert np.all(np.abs(means - exact) < 4 * errors + 0.02 * exact)


GRU_FIXED = {
    "input_variance": 1.0,
    "input_std": 0.7,
    "update.bias_mean": 1.0,
    "reset.weight_std": 0.5,
}


@pytest.fixture(scope="module")
def found() -> Any:
    return critical_initialization(gru, GRU_FIXED, weights="orthogonal", steps=5)


def test_growth_rate_is_one(found: Any) -> None:
    assert found.free == ("update.weight_std", "candidate.weight_std")
    assert found.report.growth_rate == pytest.approx(1, abs=1e-8)
    named = found.parameters.named()
    assert {name: named[name] for name in ("update.bias_mean", "reset.weight_std")} == {
        "update.bias_mean": 1.0,
        "reset.weight_std": 0.5,
    }


@pytest.mark.slow
def test_least_variance_among_critical_points(found: Any) -> None:
    # Any other critical point with the same values fixed spreads more, by the full theory.
    def variance(update_std: float) -> float:
        def at(candidate_std: float) -> Any:
            values = {"update.weight_std": update_std, "candidate.weight_std": candidate_std}
            return untied_state(gru, Parameters.of(gru, {"weight_std": 1.0, **GRU_FIXED, **values}))

        def excess(candidate_std: float) -> float:
            state = at(candidate_std)
            return PairState(state, 1.0, state.source_squares).chi - 1

        state = at(brentq(excess, 0.5, 12.0, xtol=1e-8))
        return product_moments_of(state, "orthogonal", 5, count=4096).relative_variance

    here = found.parameters["update"].weight_std
    best, error = found.report.relative_variance, found.report.variance_error
    scan = [variance(here * factor) for factor in (0.5, 0.8, 1.0, 1.25, 1.6)]
    # The scan has a seed of its own: its common error is that of its middle.
    shift = scan[2] - best
    assert abs(shift) < 4 * error + 0.01 * best
    assert min(scan) - shift > best - error
    assert found.minimum
    assert found.binding == ()
    assert scan[0] - shift > best + 4 * error
    assert scan[4] - shift > best + 4 * error


def test_what_binds_is_said(found: Any) -> None:
    assert found.verdict == "a minimum among critical points nearby"
    assert {each.name for each in found.starts} >= {
        "one common standard deviation",
        "PyTorch uniform, rescaled",
        "scattered 1",
    }
    chosen = {each.name: each for each in found.starts}[found.start]
    assert chosen.critical
    assert chosen.found <= chosen.at_start


@pytest.mark.slow
@pytest.mark.thorough
def test_no_usual_initialisation_that_is_rescaled_spreads_less() -> None:
    # The factor that makes each of them critical is found here, and its moments are taken anew.
    found = critical_initialization(gru, {"input_variance": 1.0}, weights="orthogonal", steps=3)
    seen = []
    for usual in usual_initializations(gru, 1.0, 3):
        names = [f"{name}.weight_std" for name, _ in usual.parameters.groups]
        base = usual.parameters.with_values(bias_std=0.0)
        sizes = {name: base.named()[name] for name in names}

        def scaled(factor: float, base: Parameters = base, sizes: Any = sizes) -> Parameters:
            return base.with_values({name: factor * size for name, size in sizes.items()})

        def excess(factor: float, scaled: Any = scaled) -> float:
            state = untied_state(gru, scaled(factor), count=16_384)
            return PairState(state, 1.0, state.source_squares).chi - 1

        critical = scaled(brentq(excess, 3.0, 11.0, xtol=1e-9))
        moments = product_moments_of(untied_state(gru, critical), "orthogonal", 3, count=2048)
        assert found.report.relative_variance <= moments.relative_variance * (1 + 1e-6)
        seen.append(moments.relative_variance)
    for report, expected in zip(found.rescaled, seen, strict=True):
        # The moments taken anew come from one population and have no error of their own.
        assert (
            abs(report.relative_variance - expected) < 4 * report.variance_error + 2e-3 * expected
        )
        assert report.growth_rate == pytest.approx(1, abs=1e-4)
        assert report.growth_error < 1e-3


def test_what_is_given_stays_in_every_start(found: Any) -> None:
    for report in found.rescaled:
        named = report.parameters.named()
        assert named["update.bias_mean"] == 1.0
        assert named["candidate.input_std"] == 0.7
        error = math.hypot(report.variance_error, found.report.variance_error)
        assert report.relative_variance >= found.report.relative_variance - 4 * error


@pytest.mark.slow
def test_sampled_gradients_keep_their_norm(found: Any) -> None:
    ratios = []
    for seed in range(8):
        run = run_network(
            gru, found.parameters, weights="orthogonal", width=400, steps=6,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        sizes = {t: np.sum(J**2) for t, _, J in jacobian_products(run, [2, 6]) if J is not None}
        ratios.append((sizes[6] / sizes[2]) ** 0.25)
    # Drawn sites carry an error of their own at every step: heavy tails at width 400.
    error = np.std(ratios, ddof=1) / math.sqrt(8)
    assert abs(np.mean(ratios) - 1) < 4 * error + 0.01


def test_usual_initialisations_stand_beside(found: Any) -> None:
    names = [report.name for report in found.usual]
    assert names == ["PyTorch uniform", "Keras orthogonal", "chrono"]
    for report in found.usual:
        assert report.growth_rate < 1
        assert report.timescale < math.inf
    assert usual_initializations(vanilla, 1.0, 10) == []
    pytorch = usual_initializations(lstm, 2.0, 10)[0].parameters
    # U(-1/sqrt N, 1/sqrt N) has variance 1 / (3 N).
    assert pytorch["forget"].weight_std ** 2 == pytest.approx(1 / 3)
    assert pytorch.input_variance == 2.0


def test_report_of_the_silent_state() -> None:
    report = initialization_report(
        "silent", Parameters.of(gru, input_std=0), gru, weights="gaussian", steps=3, sites=16
    )
    state = untied_state(gru, Parameters.of(gru, input_std=0))
    # h falls to 0 from where the orbit starts: by 0.8 a step, for 64 steps or more.
    exact = PairState(state, 1.0, state.source_squares).chi
    assert report.growth_rate == pytest.approx(exact, rel=1e-5)
    assert report.mean == pytest.approx(0.8125**3, rel=1e-5)


@pytest.mark.parametrize(
    ("fixed", "free", "error", "message"),
    [
        ({"update.bias_mean": 1.0}, (), ParameterError, "input_variance"),
        ({"input_variance": 1.0, "weight_std": 1.0}, (), ParameterError, "weight_std must be free"),
        ({"input_variance": 1.0}, ("forget.bias_mean",), ParameterError, "no parameter 'forget"),
        ({"input_variance": 1.0, "update.bias": 1.0}, (), ParameterError, "update.bias"),
        (
            {"input_variance": 1.0, "update.weight_std": 1.0},
            ("update.weight_std",),
            ParameterError,
            "update.weight_std is both fixed, at 1, and free",
        ),
        ({"input_variance": 1.0}, ("bias_std", "weight_std"), ParameterError, "bias_std cannot be"),
        (
            # The candidate stays near 0, so the update gate has nothing to choose between.
            {
                "input_variance": 1.0,
                "input_std": 0.01,
                "candidate.weight_std": 0.01,
                "reset.weight_std": 0.01,
            },
            (),
            InfeasibleError,
            "growth rate lies between",
        ),
    ],
)
def test_bad_arguments(fixed: Any, free: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        critical_initialization(gru, fixed, free=free, steps=2)
    with pytest.raises(ParameterError, match="steps"):
        critical_initialization(gru, {"input_variance": 1.0}, steps=0)


def test_ensembles_by_name() -> None:
    p = Parameters.of(gru, input_std=0)
    chosen = weight_ensembles(p, ("update", "reset"), {"update": "gaussian", "reset": "orthogonal"})
    assert [type(e).__name__ for e in chosen.values()] == ["GaussianWeights", "OrthogonalWeights"]
    with pytest.raises(ParameterError, match="missing for reset"):
        weight_ensembles(p, ("update", "reset"), {"update": "gaussian"})


def test_a_name_without_a_group_speaks_for_the_others() -> None:
    fixed = {"input_variance": 1.0, "update.bias_mean": 1.0, "reset.weight_std": 2.0}
    search = CriticalSearch.of(gru, fixed, ("weight_std", "bias_mean"))
    assert search.free == (
        "update.weight_std", "reset.bias_mean", "candidate.weight_std", "candidate.bias_mean",
    )  # fmt: skip
    one = CriticalSearch.of(gru, {"input_variance": 1.0, "weight_std": 1.0}, ("reset.weight_std",))
    assert one.free == ("reset.weight_std",)
    named = one.at(np.log([3.0])).named()
    assert (named["update.weight_std"], named["reset.weight_std"]) == (1.0, pytest.approx(3.0))


@pytest.mark.parametrize(
    ("name", "std", "variance"),
    # E[phi'^2] is 1 and 1/2; T (mu_2 / mu_1^2 - 1 - s_1) with mu_2 = mu_1.
    [("vanilla:identity", 1.0, 0.0), ("vanilla:relu", math.sqrt(2), 6.0)],
)
def test_isometry_and_he_initialisation(name: str, std: float, variance: float) -> None:
    found = critical_initialization(
        cell_named(name), {"input_variance": 1.0, "input_std": 0.0}, steps=6
    )
    assert found.parameters.only.weight_std == pytest.approx(std, rel=1e-6)
    assert found.report.relative_variance == pytest.approx(variance, abs=1e-6)
    with pytest.raises(InfeasibleError, match="not stationary"):  # inputs add up for ever
        critical_initialization(
            cell_named(name), {"input_variance": 1.0, "input_std": 1.0}, steps=6
        )


def test_critical_line_of_the_vanilla_cell() -> None:
    # Along the line every q has one weight and one input deviation, by adaptive quadrature.
    mean, R, steps = 1.0, 0.8, 7

    def average(function: Any, q: float) -> float:
        def integrand(z: float) -> float:
            return function(mean + math.sqrt(q) * z) * math.exp(-z * z / 2)

        return quad(integrand, -12, 12, limit=200, epsabs=1e-12)[0] / math.sqrt(2 * math.pi)

    def point(q: float) -> tuple[float, float]:
        mu_1 = average(lambda e: math.cosh(e) ** -4, q)
        mu_2 = average(lambda e: math.cosh(e) ** -8, q)
        weight = 1 / mu_1
        return (q - weight * average(lambda e: math.tanh(e) ** 2, q)) / R, steps * (
            mu_2 / mu_1**2 - 1
        )

    line = [point(q) for q in np.geomspace(0.1, 80, 60)]
    allowed = [variance for square, variance in line if 0.02**2 <= square <= 64]
    found = critical_initialization(
        vanilla, {"input_variance": R, "bias_mean": mean}, free=("weight_std", "input_std"),
        steps=steps,
    )  # fmt: skip
    q = brentq(lambda q: point(q)[0] - found.parameters.only.input_std**2, 1.0, 80)
    expected = point(q)[1]
    assert found.report.relative_variance == pytest.approx(expected, rel=1e-4)
    assert found.report.relative_variance <= min(allowed) * (1 + 1e-4)
    assert found.minimum


@pytest.mark.slow
def test_critical_line_of_the_minimalrnn() -> None:
    # Algorithm 1 of Chen et al. gives the line, the recursion that carries the diagonal the spread.
    mean, R, steps = 0.0, 0.46, 5
    moments, scan = exact_second_moment(minimalrnn), []
    for q in np.geomspace(14.5, 400, 25):
        p = critical_weights(
            minimalrnn, preactivation_variance=q, bias_mean=mean, input_variance=R
        ).parameters
        if 0.02 <= p.only.input_std <= 8 and p.only.weight_std <= 8:
            scan.append(moments.evaluate(p, weights="orthogonal", steps=steps) - 1)
    found = critical_initialization(
        minimalrnn, {"input_variance": R, "bias_mean": mean}, free=("weight_std", "input_std"),
        steps=steps,
    )  # fmt: skip
    exact = moments.evaluate(found.parameters, weights="orthogonal", steps=steps) - 1
    assert site_law(minimalrnn, found.parameters).chi1 == pytest.approx(1, abs=1e-6)
    assert exact <= min(scan) * 1.003
    assert abs(found.report.relative_variance - exact) < 4 * found.report.variance_error


LSTM_FIXED = {"input_variance": 0.5}


@pytest.fixture(scope="module")
def lstm_point() -> Any:
    return critical_initialization(lstm, LSTM_FIXED, weights="orthogonal", steps=10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "by_hand",
    [
        {"weight_std": 0.5, "candidate.weight_std": 8.0, "output.weight_std": 4.75},
        pytest.param({"weight_std": 2.28, "candidate.weight_std": 8.0}, marks=pytest.mark.thorough),
        pytest.param({"weight_std": 5.61, "forget.weight_std": 0.5}, marks=pytest.mark.thorough),
    ],
    ids=["output gate", "candidate", "forget gate"],
)
def test_lstm_beats_what_is_found_by_hand(lstm_point: Any, by_hand: dict[str, float]) -> None:
    # The weights found by hand, growth 1 throughout, with the biases of the chrono initialisation.
    chrono = usual_initializations(lstm, 0.5, 10)[-1].parameters.with_values(bias_std=0.0)
    p = chrono.with_values(by_hand)
    state = untied_state(lstm, p)
    assert PairState(state, 1.0, state.source_squares).chi == pytest.approx(1, abs=3e-3)
    theory = product_moments_of(state, "orthogonal", 10, count=8192).relative_variance
    report = initialization_report("by hand", p, lstm, weights="orthogonal", steps=10)
    assert abs(report.relative_variance - theory) < 4 * report.variance_error + 0.01 * theory
    error = math.hypot(report.variance_error, lstm_point.report.variance_error)
    assert lstm_point.report.relative_variance < report.relative_variance - 4 * error


@pytest.mark.slow
def test_where_the_lstm_is_best(lstm_point: Any) -> None:
    assert lstm_point.report.relative_variance < 13.71
    assert lstm_point.minimum
    assert ("output.weight_std", "upper") in lstm_point.binding


@pytest.mark.slow
@pytest.mark.thorough
def test_lstm_by_the_full_theory_and_other_seeds(lstm_point: Any) -> None:
    state = untied_state(lstm, lstm_point.parameters)
    rate = PairState(state, 1.0, state.source_squares).chi
    assert rate == pytest.approx(lstm_point.report.growth_rate, abs=3e-3)
    theory = product_moments_of(state, "orthogonal", 10, count=8192).relative_variance
    assert lstm_point.report.relative_variance == pytest.approx(theory, rel=0.01)
    other = critical_initialization(lstm, LSTM_FIXED, weights="orthogonal", steps=10, seed=1)
    error = math.hypot(other.report.variance_error, lstm_point.report.variance_error)
    gap = other.report.relative_variance - lstm_point.report.relative_variance
    # A minimum is one to a share of OPEN.
    assert abs(gap) < 4 * error + 3 * OPEN * other.report.relative_variance


@pytest.mark.slow
@pytest.mark.thorough
def test_lstm_in_sampled_networks(lstm_point: Any) -> None:
    found = []
    for seed in range(6):
        run = run_network(
            lstm, lstm_point.parameters, weights="orthogonal", width=400, steps=10,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        *_, (_, _, J) = jacobian_products(run, [10])
        gram = J @ J.T
        found.append([np.trace(gram) / len(J), np.sum(gram * gram) / len(J)])
    sampled = np.array(found)
    spread = sampled[:, 1] / sampled[:, 0] ** 2 - 1
    # Ratios of moments at width 400 are biased by about T / N.
    error = np.std(spread, ddof=1) / math.sqrt(6)
    expected = lstm_point.report.relative_variance
    assert abs(np.mean(spread) - expected) < 4 * error + 3 * 10 / 400 * expected
    error = np.std(sampled[:, 0], ddof=1) / math.sqrt(6)
    assert abs(np.mean(sampled[:, 0]) - lstm_point.report.mean) < 4 * error


@pytest.mark.parametrize(("cell", "gate"), [(gru, "update"), (lstm, "forget")])
def test_chrono_biases_have_the_moments_of_a_logarithm(cell: Cell, gate: str) -> None:
    """E log u and E log^2 u of u uniform between 1 and 19, integrated by parts."""
    (chrono,) = (each for each in usual_initializations(cell, 1.0, 20) if each.name == "chrono")
    log = math.log(19)
    mean = (19 * log - 18) / 18
    square = (19 * log**2 - 2 * (19 * log - 18)) / 18
    found = chrono.parameters[gate]
    assert found.bias_mean == pytest.approx(mean, rel=1e-9)
    assert found.bias_std == pytest.approx(math.sqrt(square - mean**2), rel=1e-9)


def test_the_curvature_after_a_step_is_that_of_the_lagrangian_along_it() -> None:
    rng = np.random.default_rng(4)
    F, G = (M @ M.T for M in rng.standard_normal((2, 3, 3)))
    F, G, g = F + 5 * np.eye(3), 0.1 * G, np.array([1.0, -2.0, 0.5])
    here, move = np.array([0.3, 0.1, -0.2]), np.array([0.2, -0.1, 0.3])

    def at(x: np.ndarray) -> Slopes:
        return Slopes(0.0, 0.0, g + G @ x, F @ x)

    there = at(here + move)
    # mu = df / d gamma, and L = f - mu gamma has the second derivatives F - mu G.
    mu = there.of_spread @ there.of_growth / (there.of_growth @ there.of_growth)
    found = _updated(np.eye(3), move, at(here), there)
    assert found @ move == pytest.approx((F - mu * G) @ move, rel=1e-9)
    assert np.linalg.eigvalsh(found).min() > 0


def test_a_start_keeps_where_it_began_however_often_it_is_followed() -> None:
    search = CriticalSearch.of(gru, {"input_variance": 1.0}, ("weight_std", "bias_mean"))
    start = starts_of(search, [], seed=0)[0]
    descent = Descent(gru, "orthogonal", 3, np.random.SeedSequence(0))
    (found,) = descent.begun([start])
    surface = descent.surface(start.search, 0, found.kept)
    at_first = surface.value(surface.projected(found.first))[1]
    assert found.from_spread == pytest.approx(at_first, abs=0.05)  # settled for another memory
    assert found.spread < found.from_spread / 2
