"""Critical points of gated cells and the moments over T steps that they are chosen by."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from rmt_jacobian.cells import Parameters, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.derive import exact_second_moment
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.mean_field import PairState, site_law, untied_state
from rmt_jacobian.pencils import critical_point, product_moments_of, weight_ensembles
from rmt_jacobian.pencils.critical_point import initialization_report
from rmt_jacobian.pencils.usual_initializations import corner_weights, usual_initializations
from rmt_jacobian.sampling import jacobian_products, run_network


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
    state = untied_state(gru, Parameters.of(gru))
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
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
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
    return critical_point(gru, GRU_FIXED, weights="orthogonal", steps=5)


def test_growth_rate_is_one(found: Any) -> None:
    assert found.free == ("update.weight_std", "candidate.weight_std")
    assert found.report.growth_rate == pytest.approx(1, abs=1e-8)
    named = found.parameters.named()
    assert {name: named[name] for name in ("update.bias_mean", "reset.weight_std")} == {
        "update.bias_mean": 1.0,
        "reset.weight_std": 0.5,
    }


def test_least_variance_among_critical_points(found: Any) -> None:
    # Any other critical point with the same values fixed spreads more.
    best = found.report.relative_variance
    for update_std in (0.2, 3.5):
        other = critical_point(gru, {**GRU_FIXED, "update.weight_std": update_std}, steps=5)
        assert other.report.growth_rate == pytest.approx(1, abs=1e-8)
        assert other.report.relative_variance > 0.98 * best


@pytest.mark.slow
def test_no_usual_initialisation_that_is_rescaled_spreads_less() -> None:
    # The factor that makes each of them critical is found here, and its moments are taken anew.
    found = critical_point(gru, {"input_variance": 1.0}, weights="orthogonal", steps=3)
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
    rescaled = [report.relative_variance for report in found.rescaled]
    assert rescaled == pytest.approx(seen, rel=1e-3)
    for report in found.rescaled:
        assert report.growth_rate == pytest.approx(1, abs=1e-8)


def test_what_is_given_stays_in_every_start(found: Any) -> None:
    for report in found.rescaled:
        named = report.parameters.named()
        assert named["update.bias_mean"] == 1.0
        assert named["candidate.input_std"] == 0.7
        assert report.relative_variance >= found.report.relative_variance


@pytest.mark.slow
def test_sampled_gradients_keep_their_norm(found: Any) -> None:
    ratios = []
    for seed in range(8):
        run = run_network(
            gru, found.parameters, weights="orthogonal", width=800, steps=6,
            rng=np.random.default_rng(seed),
        )  # fmt: skip
        sizes = {t: np.sum(J**2) for t, _, J in jacobian_products(run, [2, 6]) if J is not None}
        ratios.append((sizes[6] / sizes[2]) ** 0.25)
    # Drawn sites carry an error of their own at every step: heavy tails at width 800.
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
        "silent", Parameters.of(gru), gru, weights="gaussian", steps=3, sites=16
    )
    state = untied_state(gru, Parameters.of(gru))
    assert report.growth_rate == PairState(state, 1.0, state.source_squares).chi
    assert report.mean == pytest.approx(0.8125**3)


@pytest.mark.parametrize(
    ("fixed", "free", "error", "message"),
    [
        ({"update.bias_mean": 1.0}, (), ParameterError, "input_variance"),
        ({"input_variance": 1.0, "weight_std": 1.0}, (), ParameterError, "weight_std must be free"),
        ({"input_variance": 1.0}, ("forget.bias_mean",), ParameterError, "no parameter 'forget"),
        ({"input_variance": 1.0, "update.bias": 1.0}, (), ParameterError, "update.bias"),
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
        critical_point(gru, fixed, free=free, steps=2)
    with pytest.raises(ParameterError, match="steps"):
        critical_point(gru, {"input_variance": 1.0}, steps=0)


def test_ensembles_by_name() -> None:
    p = Parameters.of(gru)
    chosen = weight_ensembles(p, ("update", "reset"), {"update": "gaussian", "reset": "orthogonal"})
    assert [type(e).__name__ for e in chosen.values()] == ["GaussianWeights", "OrthogonalWeights"]
    with pytest.raises(ParameterError, match="missing for reset"):
        weight_ensembles(p, ("update", "reset"), {"update": "gaussian"})
