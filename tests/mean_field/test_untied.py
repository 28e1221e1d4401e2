"""The untied mean field of any cell, against quadrature and simulation written out here."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    cell_named,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    relu,
    sigmoid,
    vanilla,
)
from rmt_jacobian.errors import InfeasibleError, ParameterError
from rmt_jacobian.mean_field import PairState, pair_state, solve_untied_state, untied_state
from rmt_jacobian.mean_field.populations.site_models import more_points
from rmt_jacobian.mean_field.replicated.solver import Replicated
from rmt_jacobian.sampling import jacobian_products, run_network
from rmt_jacobian.singular_values import singular_value_law
from tests.in_turn import in_turn
from tests.mean_field.two_routes import by_map, by_sites

_Z, _WEIGHTS = np.polynomial.hermite_e.hermegauss(120)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def normal_average(function: Any, mean: float, variance: float) -> float:
    return float(_WEIGHTS @ function(mean + math.sqrt(variance) * _Z))


GRU = {
    "update.weight_std": 2.0,
    "reset.weight_std": 1.5,
    "candidate.weight_std": 2.5,
    "update.bias_mean": 0.7,
    "reset.bias_mean": -0.4,
    "candidate.bias_mean": 0.3,
    "update.input_std": 0.5,
    "reset.input_std": 0.8,
    "candidate.input_std": 1.1,
    "input_variance": 0.9,
}


def gru_by_hand() -> tuple[list[float], float]:
    """Return q_k and the growth rate of the GRU, from moments of h written out."""
    p = GRU
    square = 0.3
    for _ in range(3000):
        r2_q = p["reset.weight_std"] ** 2 * square + 0.8**2 * 0.9
        r2 = normal_average(lambda e: logistic(e) ** 2, -0.4, r2_q)
        q_z = 4.0 * square + 0.25 * 0.9
        q_y = 2.5**2 * r2 * square + 1.21 * 0.9
        z1 = normal_average(logistic, 0.7, q_z)
        z2 = normal_average(lambda e: logistic(e) ** 2, 0.7, q_z)
        f1 = normal_average(np.tanh, 0.3, q_y)
        f2 = normal_average(lambda e: np.tanh(e) ** 2, 0.3, q_y)
        mean = f1  # (1 - E z) f1 / (1 - E z)
        square = (2 * (z1 - z2) * mean * f1 + (1 - 2 * z1 + z2) * f2) / (1 - z2)
    slope_z = normal_average(lambda e: (logistic(e) * logistic(-e)) ** 2, 0.7, q_z)
    slope_r = normal_average(lambda e: (logistic(e) * logistic(-e)) ** 2, -0.4, r2_q)
    slope_y = normal_average(lambda e: (1 - np.tanh(e) ** 2) ** 2, 0.3, q_y)
    through_update = slope_z * (square - 2 * mean * f1 + f2)
    through_candidate = (1 - 2 * z1 + z2) * slope_y
    # D' = z2 D + B_z^2 v_z + B_y^2 v_y with v_z = s_z^2 D, v_r = s_r^2 D,
    # v_y = s_y^2 (r2 D + h^2 r'^2 v_r).
    v_y = 6.25 * (r2 + square * slope_r * 2.25)
    growth = z2 + through_update * 4.0 + through_candidate * v_y
    return [q_z, r2_q, q_y], growth


def test_gru_against_moments_written_out() -> None:
    variances, growth = gru_by_hand()
    found = by_sites(gru, Parameters.of(gru, GRU))
    assert found.state.preactivation_variances == pytest.approx(variances, rel=1e-9)
    assert found.chi1 == pytest.approx(growth, rel=1e-9)


@pytest.mark.parametrize("input_correlation", [-0.3, 0.5, 1.0])
@pytest.mark.parametrize("kind", ["gaussian", "tanh"])
def test_minimalrnn_agrees_with_its_own_theory(input_correlation: float, kind: Any) -> None:
    p = Parameters.of(
        minimalrnn,
        weight_std=5.0,
        input_std=2.0,
        bias_mean=1.0,
        bias_std=0.4,
        input_variance=0.46,
        input_kind=kind,
    )
    exact = by_map(minimalrnn, p, input_correlation=input_correlation)
    found = by_sites(minimalrnn, p, input_correlation=input_correlation)
    assert found.preactivation_variances["update"] == pytest.approx(exact.preactivation_variance)
    assert found.state.state_squares[0] == pytest.approx(exact.state_variance, rel=1e-3)
    assert found.correlations["update"] == pytest.approx(exact.correlation, rel=1e-9)
    assert found.chi == pytest.approx(exact.chi, rel=1e-9)
    assert found.chi1 == pytest.approx(exact.chi1, rel=1e-9)


def test_population_of_a_memoryless_cell() -> None:
    p = Parameters.of(vanilla, weight_std=1.6, input_std=0.4, input_variance=1.0)
    exact = by_map(vanilla, p, input_correlation=0.5)
    found = by_sites(vanilla, p, input_correlation=0.5)
    assert found.preactivation_variances["candidate"] == pytest.approx(
        exact.preactivation_variance, rel=1e-3
    )
    assert found.correlations["candidate"] == pytest.approx(exact.correlation, rel=5e-3)
    assert found.chi1 == pytest.approx(exact.chi1, rel=1e-3)
    assert found.chi == pytest.approx(exact.chi, rel=5e-3)


LSTM = {
    "weight_std": 1.4,
    "candidate.weight_std": 2.0,
    "forget.bias_mean": 1.5,
    "output.bias_mean": 0.5,
    "input_std": 0.6,
    "input_variance": 1.0,
}


def run_lstm_sites(
    state: Any, *, peephole: bool, c12: list[float] | None, rng: np.random.Generator
) -> dict[str, float]:
    """Run sites, or pairs of them, driven by Gaussian preactivations of given variances."""
    count, copies = (60_000, 1) if c12 is None else (20_000, 2)
    q = state.preactivation_variances
    means = [1.5, 0.0, 0.5, 0.0]
    h, c = np.zeros((copies, count)), np.zeros((copies, count))
    rows = []
    for t in range(160):
        e = []
        for k in range(4):
            z = rng.standard_normal((copies, count))
            if c12 is not None:
                z[1] = c12[k] * z[0] + math.sqrt(1 - c12[k] ** 2) * z[1]
            e.append(means[k] + math.sqrt(q[k]) * z)
        c = logistic(e[0]) * c + logistic(e[1]) * np.tanh(e[3])
        h = logistic(e[2]) * np.tanh(c)
        if t >= 60:
            rows.append([np.mean(h[0] ** 2), np.mean(c[0] ** 2), np.mean(h[0] * h[-1]),
                         np.mean(c[0] * c[-1])])  # fmt: skip
    names = ("h2", "c2", "hh", "cc")
    return dict(zip(names, np.mean(rows, axis=0), strict=True))


@pytest.mark.parametrize("peephole", [False, True])
def test_lstm_reproduces_the_variances_that_drive_it(peephole: bool) -> None:
    cell = lstm_peephole if peephole else lstm
    state = untied_state(cell, Parameters.of(cell, LSTM))
    moments = run_lstm_sites(state, peephole=peephole, c12=None, rng=np.random.default_rng(1))
    gates, candidate = state.source_squares[0], state.source_squares[3]
    # 60,000 sites over 100 steps with a memory of about 5: a standard error of about 2e-3.
    assert gates == pytest.approx(moments["c2" if peephole else "h2"], rel=6e-3)
    assert candidate == pytest.approx(moments["h2"], rel=6e-3)
    assert state.error_estimate < 3e-3


@pytest.mark.parametrize("peephole", [pytest.param(False, marks=pytest.mark.thorough), True])
def test_two_lstms_reproduce_their_correlations(peephole: bool) -> None:
    cell = lstm_peephole if peephole else lstm
    state = untied_state(cell, Parameters.of(cell, LSTM))
    pair = pair_state(state, 0.6)
    moments = run_lstm_sites(
        state, peephole=peephole, c12=list(pair.correlations), rng=np.random.default_rng(2)
    )
    # 16,384 pairs over 32 steps with a memory of about 5: a standard error of about 0.5 %.
    assert pair.source_products[0] == pytest.approx(moments["cc" if peephole else "hh"], rel=2e-2)
    assert pair.source_products[3] == pytest.approx(moments["hh"], rel=2e-2)


def test_the_ends_of_the_correlation_map() -> None:
    state = untied_state(lstm, Parameters.of(lstm, LSTM))
    same = pair_state(state, 1.0)
    assert same.correlations == (1.0,) * 4
    # Slopes of pairs run on two copies, that of one network on one: the limit is the same.
    close = PairState(state, 1 - 1e-9, tuple(s * (1 - 1e-9) for s in state.source_squares))
    assert close.chi == pytest.approx(same.chi, rel=1e-2)


SAMPLED = [
    (gru, {"input_std": 1.0, "reset.bias_mean": 0.5}),
    (gru_reset_after, {"input_std": 1.0}),
    (lstm, {"input_std": 0.5, "forget.bias_mean": 1.0}),
    (gru, {"input_std": 1.0, "reset.bias_std": 1.0, "candidate.bias_std": 0.8}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "weights"),
    in_turn(SAMPLED, ["gaussian", "orthogonal"]),
    ids=lambda value: value if isinstance(value, str) else value[0].name,
)
def test_sampled_networks(point: tuple[Cell, dict[str, float]], weights: Any) -> None:
    cell, changed = point
    p = Parameters.of(cell).with_values(changed)
    state = untied_state(cell, p)
    variances, ratios = [], []
    for seed in range(8):
        run = run_network(
            cell, p, weights=weights, width=500, steps=6, rng=np.random.default_rng(seed)
        )
        sizes = {}
        for t, step, product in jacobian_products(run, [3, 6]):
            if t == 1:
                variances.append([np.var(e) for e in step.gates])
            if product is not None:
                sizes[t] = np.sum(product**2)
        ratios.append((sizes[6] / sizes[3]) ** (1 / 3))
    variances, ratios = np.array(variances), np.array(ratios)
    error = variances.std(axis=0, ddof=1) / math.sqrt(8)
    gap = np.abs(variances.mean(axis=0) - state.preactivation_variances)
    assert np.all(gap < 4 * error + 0.02 * np.array(state.preactivation_variances))
    # Three steps from isotropy the rate has nearly settled; heavy tails make it noisy.
    growth = PairState(state, 1.0, state.source_squares).chi
    assert abs(ratios.mean() - growth) < 4 * ratios.std(ddof=1) / math.sqrt(8) + 0.03 * growth


_a, _b, _x, _e, _g = sp.symbols("a b x e g", real=True)

# Two memories of different speed, which feed each other.
two_memories = Cell(
    name="two memories",
    states=(_a, _b),
    input=_x,
    preactivations=(Preactivation("gate", _e, _a), Preactivation("candidate", _g, _b)),
    updates=(
        sigmoid(_e) * _a + (1 - sigmoid(_e)) * sp.tanh(_g) + _b / 4,
        sp.Rational(1, 2) * _b + _a / 5 + sp.tanh(_g) / 3,
    ),
)


def test_a_user_defined_cell_with_two_memories() -> None:
    p = Parameters.of(
        two_memories, weight_std=1.2, input_std=0.7, bias_mean=0.2, input_variance=1.0
    )
    state = untied_state(two_memories, p)
    rng, q = np.random.default_rng(5), state.preactivation_variances
    a, b, rows = np.zeros(50_000), np.zeros(50_000), []
    for t in range(120):
        e, g = (0.2 + math.sqrt(v) * rng.standard_normal(50_000) for v in q)
        z = logistic(e)
        a, b = z * a + (1 - z) * np.tanh(g) + b / 4, b / 2 + a / 5 + np.tanh(g) / 3
        if t >= 40:
            rows.append([np.mean(a * a), np.mean(b * b)])
    assert state.source_squares == pytest.approx(np.mean(rows, axis=0), rel=1e-2)


def test_what_sites_with_two_memories_keep() -> None:
    """The spectral radius of E[A (x) A], where A is all of the Jacobian that passes no W."""
    p = Parameters.of(
        two_memories, weight_std=1.2, input_std=0.7, bias_mean=0.2, input_variance=1.0
    )
    state = untied_state(two_memories, p)
    gates = logistic(0.2 + math.sqrt(state.preactivation_variances[0]) * _Z)
    squared = np.zeros((4, 4))
    for gate, weight in zip(gates, _WEIGHTS, strict=True):
        memory = np.array([[gate, 0.25], [0.2, 0.5]])
        squared += weight * np.kron(memory, memory)
    expected = np.abs(np.linalg.eigvals(squared)).max()
    assert pair_state(state, 1.0).kept == pytest.approx(expected, rel=1e-6)


def test_two_networks_with_two_memories() -> None:
    p = Parameters.of(
        two_memories, weight_std=1.2, input_std=0.7, bias_mean=0.2, input_variance=1.0
    )
    state = untied_state(two_memories, p)
    pair = pair_state(state, 0.4)
    rng, count, steps = np.random.default_rng(6), 20_000, 120
    a, b, products = np.zeros((2, count)), np.zeros((2, count)), []
    for t in range(steps):
        shared, own = rng.standard_normal((2, 1, count)), rng.standard_normal((2, 2, count))
        e, g = (
            0.2 + np.sqrt(v) * (np.sqrt(c) * common + np.sqrt(1 - c) * each)
            for v, c, common, each in zip(
                state.preactivation_variances, pair.correlations, shared, own, strict=True
            )
        )
        z = logistic(e)
        a, b = z * a + (1 - z) * np.tanh(g) + b / 4, b / 2 + a / 5 + np.tanh(g) / 3
        if t >= 40:
            products.append([np.mean(a[0] * a[1]), np.mean(b[0] * b[1])])
    # 1.6 million pairs of sites, of which those of ten steps or so are one.
    assert pair.source_products == pytest.approx(np.mean(products, axis=0), rel=2e-2)


def test_averages_over_frozen_biases_are_one_estimate() -> None:
    p = Parameters.of(vanilla).with_values(bias_std=0.5, input_std=1.0, input_variance=0.8)
    state = untied_state(vanilla, replace(p, bias_kind="frozen"))
    assert state.is_exact
    assert state.model.growth(pair_state(state, 1.0).drives).shape == (1,)


def test_a_silent_network_is_found_silent() -> None:
    state = untied_state(
        gru, Parameters.of(gru, input_std=0)
    )  # without input the untied GRU dies out
    assert state.preactivation_variances == (0.0, 0.0, 0.0)
    # At h = 0 the growth rate is E[z^2] + sigma_y^2 / 16 with z = 1/2.
    assert PairState(state, 1.0, state.source_squares).chi == pytest.approx(0.25 + 9 / 16)


def test_bad_arguments() -> None:
    p = Parameters.of(gru, GRU)
    with pytest.raises(ParameterError, match="at least 2"):
        untied_state(gru, p, count=1)
    with pytest.raises(ParameterError, match="start_variance"):
        untied_state(gru, p, start_variance=-1.0)
    with pytest.raises(ParameterError, match="input correlation"):
        pair_state(untied_state(gru, p), 1.5)
    with pytest.raises(ParameterError, match="steps"):
        untied_state(gru, p).history(0)
    assert solve_untied_state(gru, p).converged


@pytest.mark.slow
def test_hard_gates_are_averaged_without_smoothing() -> None:
    cell = cell_named("gru:relu")
    p = Parameters.of(cell, {**GRU, "candidate.weight_std": 0.8, "candidate.bias_mean": 0.0})
    found = by_sites(cell, p, input_correlation=0.5)
    q = found.state.preactivation_variances
    rng = np.random.default_rng(8)
    z, r, y = (
        mean + math.sqrt(v) * rng.standard_normal(2_000_000)
        for mean, v in zip((0.7, -0.4, 0.0), q, strict=True)
    )
    z, y = logistic(z), np.maximum(y, 0)
    # E[h^2] (1 - E z^2) = 2 E[z (1 - z)] E[h] E[y] + E[(1 - z)^2] E[y^2] with E[h] = E[y].
    square = 2 * np.mean(z * (1 - z)) * y.mean() ** 2 + np.mean((1 - z) ** 2) * np.mean(y**2)
    square /= 1 - np.mean(z * z)
    assert found.source_squares["update"] == pytest.approx(square, rel=5e-3)
    assert found.source_squares["candidate"] == pytest.approx(
        square * np.mean(logistic(r) ** 2), rel=5e-3
    )
    assert 0 < found.correlations["update"] < 1


def test_errors_of_the_variance_are_passed_on_to_the_growth_rate() -> None:
    """As its derivative does: chi_1 = sigma^2 E[sech^4(mean + sqrt(sigma^2 m + nu^2 R) z)]."""
    values = {"weight_std": 1.7, "input_std": 0.6, "input_variance": 0.8, "bias_mean": 0.2}
    exact = untied_state(vanilla, Parameters.of(vanilla, **values, bias_std=0.0))
    (square,) = exact.source_squares
    scatter = 1e-5 * np.array([-1.0, 0.0, 1.0])
    noisy = replace(exact, samples=Replicated(square + scatter[:, None], np.zeros(1)))

    def slope(m: float) -> float:
        e = 0.2 + math.sqrt(1.7**2 * m + 0.6**2 * 0.8) * _Z
        return 1.7**2 * float(_WEIGHTS @ np.cosh(e) ** -4.0)

    derivative = (slope(square + 1e-4) - slope(square - 1e-4)) / 2e-4
    error = 4.3027 * abs(derivative) * scatter.std(ddof=1) / math.sqrt(3)  # Student's t, 2 degrees
    found = PairState(noisy, 1.0, exact.source_squares)
    # The derivative is taken over 2 % to either side.
    assert found.chi_error == pytest.approx(error, rel=1e-3, abs=0)


class FakeModel:
    """Points that can be refined up to a factor."""

    points = 1000

    def __init__(self, most: int) -> None:
        self.most = most

    def refined(self, factor: int) -> int | None:
        return factor if factor <= self.most else None


@pytest.mark.parametrize(
    ("reached", "aim", "accepted", "factor"),
    [
        (1e-2, 6e-3, 1e-2, 2),  # twice as many may do
        (1e-2, 1e-6, 1e-2, None),  # as many as the aim takes there are not, and none are needed
        (1e-2, 1e-6, 1e-3, 4),  # the error may fall 16-fold where there are 4 times as many
        (1e-2, 1e-6, 1e-5, None),  # but not 1000-fold
    ],
)
def test_more_points_are_taken_where_they_may_do(reached, aim, accepted, factor) -> None:
    assert more_points(FakeModel(4), reached, aim, accepted) == factor  # pyright: ignore
    assert more_points(FakeModel(1 << 30), reached, 1e-9, accepted) == 16  # pyright: ignore


def test_what_is_accepted_is_made_better_only_where_that_is_cheap() -> None:
    model = FakeModel(1 << 30)
    for steps, factor in ((1, 16), (1250, 8), (2500, 4), (5000, 2), (10_000, None)):
        assert more_points(model, 5e-3, 1e-6, 1e-2, steps=steps) == factor  # pyright: ignore
    # What is not accepted takes twice the points that may do, or more where that is cheap.
    assert more_points(model, 2e-2, 1e-6, 1e-2, steps=10_000) == 4  # pyright: ignore
    assert more_points(model, 2e-2, 1e-6, 1e-2, steps=1250) == 8  # pyright: ignore


@pytest.mark.parametrize("start", [0.0, 1e-20, 1e-3, 1e6])
def test_every_start_finds_the_only_solution(start: float) -> None:
    p = Parameters.of(gru).with_values(input_std=1.0)
    expected = untied_state(gru, p).source_squares
    assert untied_state(gru, p, start_variance=start).source_squares == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "weight_std", "second"),
    [("vanilla:relu", math.sqrt(2), 5), ("vanilla:identity", 1, 3)],
)
def test_where_every_variance_reproduces_itself_it_is_the_start(
    name: str, weight_std: float, second: float
) -> None:
    """He initialisation, and the identity: J J^T of two Gaussian steps has m_1 = 1."""
    cell = cell_named(name)
    p = Parameters.of(cell, weight_std=weight_std, input_std=0)
    for start in (0.3, 1.0, 40.0):
        state = untied_state(cell, p, start_variance=start)
        assert state.source_squares == pytest.approx((start,))
    moments = singular_value_law(cell, p, weights="gaussian", steps=2, sites=64).squares()
    # Steps are free: m_2 = 1 + 2 v, and v = E[phi'^4] / E[phi'^2]^2 of one with Gaussian W.
    assert [moments.moment(1), moments.moment(2)] == pytest.approx([1, second], rel=1e-5)


@pytest.mark.thorough
def test_chaos_that_is_barely_alive_by_simulation() -> None:
    """Two networks that see the same, s' = tanh(e) + tanh(s) / 2, meet rarely: c is near 0.3."""
    s, e, x = sp.symbols("s e x", real=True)
    cell = Cell("skip", (s,), x, (Preactivation("g", e, s),), (sp.tanh(e) + sp.tanh(s) / 2,))
    p = Parameters.of(cell, weight_std=1.0, input_std=0.05, input_variance=0.2225)
    found = by_sites(cell, p)
    assert found.chi1 > 1
    rng = np.random.default_rng(0)
    h, seen = 0.4 * rng.standard_normal((2, 60_000)), []
    for step in range(900):
        covariance = h @ h.T / h.shape[1] + 0.05**2 * 0.2225
        z = rng.standard_normal(h.shape)
        h = np.tanh(np.linalg.cholesky(covariance) @ z) + np.tanh(h) / 2
        if step >= 300:
            seen.append((covariance[0, 0], covariance[0, 1] / covariance[0, 0]))
    blocks = np.array(seen).reshape(6, 100, 2).mean(axis=1)
    mean, noise = blocks.mean(axis=0), blocks.std(axis=0, ddof=1) / math.sqrt(6)
    assert noise[1] < 0.02
    errors = found.errors
    for k, (value, own) in enumerate(
        [(found.preactivation_variances["g"], errors["preactivation_variances"]["g"]),
         (found.correlations["g"], errors["correlations"]["g"])]
    ):  # fmt: skip
        assert value == pytest.approx(mean[k], abs=5 * noise[k] + own)


def test_one_source_dies_while_another_stays_apart() -> None:
    """What has no input forgets where it started; what reads it sees other inputs."""
    s, a, b, e, x = sp.symbols("s a b e x", real=True)
    cell = Cell(
        "dying", (s,), x,
        (Preactivation("a", a, s), Preactivation("b", b, s * sigmoid(a)),
         Preactivation("e", e, sp.tanh(s))),
        (sp.tanh(s) / 2 + sp.exp(-(e**2) / 2),),
    )  # fmt: skip
    values = {"a.weight_std": 0.7212, "a.input_std": 0.2552, "a.bias_mean": 1.497,
              "b.weight_std": 1.187, "b.input_std": 0.301, "e.weight_std": 0.6983,
              "e.input_std": 0.0, "e.bias_mean": -0.5694, "input_variance": 0.183}  # fmt: skip
    found = by_sites(
        cell, Parameters.of(cell, values, bias_kind="frozen"), input_correlation=-0.764
    )
    q, c = found.preactivation_variances, found.correlations
    assert c["e"] == pytest.approx(1.0, abs=1e-12)
    apart = 0.2552**2 * 0.183 * (1 + 0.764)
    assert c["a"] == pytest.approx(1 - apart / q["a"], rel=1e-9)
    assert 0.9 < c["b"] < 1 - 1.764 * 0.301**2 * 0.183 / q["b"]


def test_small_starts_where_large_ones_escape() -> None:
    """s' = relu(e - 1/2) of strong weights: bounded near its input alone."""
    s, e, x = sp.symbols("s e x", real=True)
    cell = Cell("bistable", (s,), x, (Preactivation("g", e, s),), (relu(e - sp.Rational(1, 2)),))
    p = Parameters.of(cell, weight_std=2.0, input_std=0.3, input_variance=1.0)
    found = by_sites(cell, p)
    q = found.preactivation_variances["g"]

    def image(variance: float) -> float:
        std = math.sqrt(variance)
        nodes = 0.5 / std + np.linspace(0, 12, 200_001)
        density = np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
        return 0.09 + 4 * np.trapezoid((std * nodes - 0.5) ** 2 * density, nodes)

    assert q < 0.2
    assert q == pytest.approx(image(q), rel=1e-8)
    assert by_map(cell, p).preactivation_variance == pytest.approx(q, rel=1e-12)
    assert image(4.0) > 4.5  # so that a start of 1, q = 4.09, escapes
    with pytest.raises(InfeasibleError, match="grows 2-fold a step"):
        by_sites(cell, p, start_variance=1.0)
