"""Stationary states of many kinds of cells, against quadrature and simulation written out here."""

import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import brentq

from rmt_jacobian.cells import (
    Cell,
    Parameters,
    Preactivation,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    relu,
    sigmoid,
    vanilla,
)
from rmt_jacobian.errors import ConvergenceError, InfeasibleError, ParameterError
from rmt_jacobian.mean_field import PairState, pair_state, untied_state
from tests.mean_field.two_routes import BySites, by_map, by_sites

# The trapezoidal rule; tanh(e) has its poles at e = i pi / 2, and gates of deviation 2 are exact.
_Z = np.linspace(-10, 10, 401)
_WEIGHTS = np.exp(-(_Z**2) / 2)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

_h, _v, _x, _a, _b = sp.symbols("h v x a b", real=True)


def logistic(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def pair_average(f: Any, q: float, c: float) -> float:
    """E[f(e_1) f(e_2)] of two Gaussian variables of mean 0."""
    one = math.sqrt(q) * _Z[:, None]
    two = c * one + math.sqrt(q * (1 - c * c)) * _Z[None, :]
    return float(_WEIGHTS @ (f(one) * f(two)) @ _WEIGHTS)


def slope_squared(e: Any) -> Any:
    return 1 - np.tanh(e) ** 2


# A cell that adds what it was one step before: e_1 + e_2 is one Gaussian variable.
delay = Cell(
    "delay",
    (_h, _v),
    _x,
    (Preactivation("a", _a, _h), Preactivation("b", _b, _v)),
    (sp.tanh(_a + _b), _h),
)
DELAY = {"a.weight_std": 1.0, "b.weight_std": 1.3, "input_std": 0.7, "input_variance": 0.8}


def delay_by_hand() -> dict[str, float]:
    own, cross = 1 + 1.69, 2 * 0.49 * 0.8
    square = brentq(lambda s: pair_average(np.tanh, own * s + cross, 1) - s, 1e-3, 1)
    q = own * square + cross

    def gap(p: float) -> float:
        return pair_average(np.tanh, q, (own * p + 0.4 * cross) / q) - p

    product = brentq(gap, 0, square)
    c = (own * product + 0.4 * cross) / q
    # 1 = E[phi' phi'] (1 / chi + 1.69 / chi^2)
    chi, chi1 = (
        (m + math.sqrt(m * m + 4 * 1.69 * m)) / 2
        for m in (pair_average(slope_squared, q, c), pair_average(slope_squared, q, 1))
    )
    q_a, q_b = square + 0.392, 1.69 * square + 0.392
    c_a, c_b = (product + 0.4 * 0.392) / q_a, (1.69 * product + 0.4 * 0.392) / q_b
    return {"q_a": q_a, "q_b": q_b, "c_a": c_a, "c_b": c_b, "chi": chi, "chi1": chi1}


@pytest.mark.parametrize("kind", ["redrawn", "frozen"])
def test_a_delay_in_closed_form(kind: Any) -> None:
    expected = delay_by_hand()
    found = by_sites(delay, Parameters.of(delay, DELAY, bias_kind=kind), input_correlation=0.4)
    assert list(found.preactivation_variances.values()) == pytest.approx(
        [expected["q_a"], expected["q_b"]], rel=1e-9
    )
    assert list(found.correlations.values()) == pytest.approx(
        [expected["c_a"], expected["c_b"]], rel=1e-9
    )
    assert found.chi == pytest.approx(expected["chi"], rel=1e-9)
    assert found.chi1 == pytest.approx(expected["chi1"], rel=1e-9)
    assert found.state.is_exact
    assert found.errors["chi"] < 1e-10
    assert [round(expected[k], 5) for k in ("chi1", "chi")] == [0.93488, 0.72776]


def test_a_longer_delay() -> None:
    """h' = tanh(e), e = W h_{t-3}: four steps make one of a network without delay."""
    u, w = sp.symbols("u w", real=True)
    cell = Cell("late", (_h, u, w), _x, (Preactivation("a", _a, w),), (sp.tanh(_a), _h, u))
    given = {"weight_std": 1.7, "input_std": 0.5, "input_variance": 1.0}
    found = by_sites(cell, Parameters.of(cell, given), input_correlation=0.2)
    plain = by_sites(vanilla, Parameters.of(vanilla, given), input_correlation=0.2)
    assert found.preactivation_variances["a"] == pytest.approx(
        plain.preactivation_variances["candidate"], rel=1e-10
    )
    assert found.chi == pytest.approx(plain.chi ** (1 / 3), rel=1e-9)
    assert found.chi1 == pytest.approx(plain.chi1 ** (1 / 3), rel=1e-9)


def test_a_cell_without_memory_in_closed_form() -> None:
    p = Parameters.of(vanilla, weight_std=1.6, input_std=0.4, input_variance=1.0)
    square = brentq(lambda s: pair_average(np.tanh, 2.56 * s + 0.16, 1) - s, 1e-3, 1)
    q = 2.56 * square + 0.16
    c = brentq(lambda c: (2.56 * pair_average(np.tanh, q, c) + 0.08) / q - c, 0, 0.9)
    found = by_sites(vanilla, p, input_correlation=0.5)
    assert found.preactivation_variances["candidate"] == pytest.approx(q, rel=1e-9)
    assert found.correlations["candidate"] == pytest.approx(c, rel=1e-9)
    assert found.chi == pytest.approx(2.56 * pair_average(slope_squared, q, c), rel=1e-9)
    assert found.chi1 == pytest.approx(2.56 * pair_average(slope_squared, q, 1), rel=1e-9)
    closed = by_map(vanilla, p, input_correlation=0.5)
    assert closed.preactivation_variance == pytest.approx(q, rel=1e-9)
    assert closed.correlation == pytest.approx(c, rel=1e-9)
    assert closed.chi == pytest.approx(found.chi, rel=1e-9)
    assert closed.chi1 == pytest.approx(found.chi1, rel=1e-9)


def test_frozen_biases_without_memory() -> None:
    """Biases of a cell without memory may be redrawn or not: q and c are the same."""
    p = Parameters.of(
        vanilla, weight_std=1.6, input_std=0.4, input_variance=1.0, bias_std=0.7, bias_mean=0.2
    )
    redrawn = by_sites(vanilla, p, input_correlation=0.5)
    frozen = by_sites(vanilla, replace(p, bias_kind="frozen"), input_correlation=0.5)
    assert frozen.state.source_squares == pytest.approx(redrawn.state.source_squares, rel=1e-9)
    assert frozen.pair.correlations == pytest.approx(redrawn.pair.correlations, rel=1e-9)
    assert (frozen.chi, frozen.chi1) == pytest.approx((redrawn.chi, redrawn.chi1), rel=1e-9)


def cell_of(name: str, states: tuple, preactivations: tuple, updates: tuple) -> Cell:
    return Cell(name, states, _x, preactivations, updates)


_ONE = (Preactivation("candidate", _a, _h),)
_GATED = (Preactivation("keep", _b, _h), *_ONE)

GROWING = {
    "integrator": (cell_of("c", (_h,), _ONE, (_h + sp.tanh(_a) / 10,)), "h grows"),
    "a little more": (cell_of("c", (_h,), _ONE, (1.01 * _h + sp.tanh(_a),)), "keeps 1.0201"),
    "alternating": (cell_of("c", (_h,), _ONE, (-_h + sp.tanh(_a),)), "h grows"),
    "behind another": (
        cell_of("c", (_h, _v), _ONE, (_h / 2 + sp.tanh(_a), _v + _h)),
        "v grows",
    ),
    "rotation": (
        cell_of(
            "c", (_h, _v), _ONE, (0.6 * _h - 0.8 * _v + sp.tanh(_a), 0.8 * _h + 0.6 * _v)
        ),
        "h and v grow",
    ),
    "a gate without bound": (
        cell_of("c", (_h,), _GATED, (relu(_b) * _h + sp.tanh(_a),)),
        "change the parameters of 'keep'",
    ),
    "memory of another state": (
        cell_of("c", (_h, _v), _ONE, (sp.tanh(_v), _v + sp.tanh(_a) / 3)),
        "v grows",
    ),
    "not affine": (
        cell_of("c", (_h,), (Preactivation("candidate", _a, sp.tanh(_h)),),
                (sp.sqrt(1 + _h**2) + sp.tanh(_a) / 3,)),
        "h still grows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GROWING)
def test_states_that_grow_for_ever_are_refused(name: str) -> None:
    cell, words = GROWING[name]
    p = Parameters.of(cell, {"weight_std": 1.0, "input_std": 1.0, "input_variance": 0.8})
    with pytest.raises(InfeasibleError, match=words):
        untied_state(cell, p)


def test_sites_whose_frozen_bias_lets_them_grow_are_refused() -> None:
    cell = cell_of("c", (_h,), _GATED, (sp.Rational(6, 5) * sigmoid(_b) * _h + sp.tanh(_a),))
    p = Parameters.of(
        cell, {"weight_std": 0.5, "input_std": 0.5, "input_variance": 1.0, "keep.bias_mean": -2.0}
    )
    assert untied_state(cell, p).is_exact
    frozen = replace(Parameters.of(cell, {**p.named(), "keep.bias_std": 0.5}), bias_kind="frozen")
    with pytest.raises(InfeasibleError, match="large frozen bias of 'keep'"):
        untied_state(cell, frozen)


def frozen_gru(steps: int, sites: int, rng: np.random.Generator) -> tuple[float, float]:
    """Simulate sites of a GRU with a frozen bias of the update gate: E[h^2], m_1(T)^(1/T)."""
    bias = 0.3 * rng.standard_normal(sites)
    stds, h, D = np.array([3.0, 1.0, 3.0]), np.zeros(sites), np.ones(sites)
    growth = 1.0
    for t in range(60 + steps):
        e = [std * math.sqrt(np.mean(h * h)) * rng.standard_normal(sites) for std in stds[:2]]
        z, r = logistic(e[0] + rng.standard_normal(sites) + bias), e[1]
        r = logistic(r + rng.standard_normal(sites))
        y = 3.0 * math.sqrt(np.mean((r * h) ** 2)) * rng.standard_normal(sites)
        y = np.tanh(y + rng.standard_normal(sites))
        if t >= 60:
            v_z, v_r = 9 * np.mean(D), np.mean(D)
            v_y = 9 * np.mean(r * r * D + (h * r * (1 - r)) ** 2 * v_r)
            D = z**2 * D + (z * (1 - z) * (h - y)) ** 2 * v_z + ((1 - z) * (1 - y * y)) ** 2 * v_y
            growth = np.mean(D)
        h = z * h + (1 - z) * y
    return float(np.mean(h * h)), float(growth ** (1 / steps))


def test_growth_over_steps_with_frozen_biases() -> None:
    p = Parameters.of(gru).with_values({"input_std": 1.0, "update.bias_std": 0.3})
    found = by_sites(gru, p)
    runs = np.array([frozen_gru(12, 60_000, np.random.default_rng(k)) for k in range(6)])
    mean, error = runs.mean(axis=0), runs.std(axis=0, ddof=1) / math.sqrt(6)
    assert abs(found.state.state_squares[0] - mean[0]) < 4 * error[0]
    assert abs(found.growth_rate(12) - mean[1]) < 4 * error[1]
    # In the end sites dominate whose bias is so large that they hardly ever forget.
    assert found.chi1 == pytest.approx(1.0, abs=1e-12)
    for seed in (1, 2):
        other = by_sites(gru, p, seed=seed)
        assert other.growth_rate(12) == pytest.approx(found.growth_rate(12), rel=1e-12)


def test_growth_over_steps_without_frozen_biases() -> None:
    """Squared Jacobians of a vanilla cell multiply; a GRU's forget their first step."""
    p = Parameters.of(vanilla, weight_std=1.6, input_std=0.4, input_variance=1.0)
    found = by_sites(vanilla, p)
    assert found.growth_rate(7) == pytest.approx(found.chi1, rel=1e-10)
    found = by_sites(gru, Parameters.of(gru).with_values(input_std=1.0))
    assert found.growth_rate(400) == pytest.approx(found.chi1, rel=1e-3)
    with pytest.raises(ParameterError, match="steps"):
        found.growth_rate(0)


def test_signs_are_exact_in_pairs() -> None:
    """Without input and bias the states of two networks are as often alike as opposed: c* = 0."""
    found = by_sites(lstm, Parameters.of(lstm, input_std=0).with_values({"forget.bias_mean": 1.0}))
    assert found.chi1 > 1  # so that two networks which see the same part ways
    assert set(found.correlations.values()) == {0.0}
    assert 0.99 < found.chi < 1
    assert found.errors["timescale"] > 1  # known less well, as chi is close to 1


def simulated_correlation(weight_std: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return the correlation of h in two LSTM networks that see the same, and its error."""
    count, settled, steps = 10_000, 400, 1600
    h, c, found = rng.normal(size=(2, count)) * 0.2, np.zeros((2, count)), []
    covariance = np.cov(h)
    for step in range(steps):
        q = weight_std**2 * covariance + 0.25
        root = np.linalg.cholesky(q + 1e-12 * np.eye(2))
        forget, enter, leave, candidate = (root @ rng.normal(size=(2, count)) for _ in range(4))
        c = logistic(2 + forget) * c + logistic(enter) * np.tanh(candidate)
        h = logistic(leave) * np.tanh(c)
        covariance = h @ h.T / count
        covariance[0, 0] = covariance[1, 1] = np.trace(covariance) / 2
        if step >= settled:
            found.append(covariance[0, 1] / covariance[0, 0])
    parts = np.array(found).reshape(8, -1).mean(axis=1)
    return float(parts.mean()), float(parts.std(ddof=1) / math.sqrt(len(parts)))


def just_above_criticality(weight_std: float) -> Parameters:
    stds = dict.fromkeys(("forget", "input", "output", "candidate"), weight_std)
    means = {"input_std": 0.5, "input_variance": 1.0, "forget.bias_mean": 2.0}
    return Parameters.of(lstm, input_std=0).with_values(
        {f"{k}.weight_std": v for k, v in stds.items()} | means
    )


@pytest.mark.slow
@pytest.mark.thorough
def test_two_networks_that_part_slowly() -> None:
    """A little above criticality c* lies just below 1, where the map almost repeats c."""
    expected, scatter = simulated_correlation(3.0, np.random.default_rng(1))
    found = by_sites(lstm, just_above_criticality(3.0), tolerance=1e-2)
    pair = found.pair
    error = math.hypot(3 * scatter, 2 * pair.correlation_errors[0])
    assert pair.source_correlations[0] == pytest.approx(expected, abs=error)
    assert 0.5 < pair.correlations[0] < 0.96
    check_slopes(found)


@pytest.mark.parametrize(
    "weight_std", [2.7, *(pytest.param(std, marks=pytest.mark.thorough) for std in (2.85, 3.2))]
)
def test_what_attracts_two_networks(weight_std: float) -> None:
    """Where c = 1 repels, the slope at c* < 1 is below 1, by about as much as it is above at 1."""
    found = by_sites(lstm, just_above_criticality(weight_std), tolerance=1e-2)
    if weight_std < 2.75:
        assert set(found.correlations.values()) == {1.0}
        return
    assert 0.5 < found.pair.correlations[0] < 0.96
    check_slopes(found)


def check_slopes(found: BySites) -> None:
    assert found.chi1 > 1
    assert (1 - found.chi) / (found.chi1 - 1) == pytest.approx(1, abs=0.5)


def simulated_lstm(
    q: list[float], c12: list[float], rng: np.random.Generator
) -> tuple[np.ndarray, float, float]:
    """Return (E[h^2], E[h h]), and the growth of small changes in pairs and in one network."""
    means, count = [1.0, 0.0, 0.0, 0.0], 20_000
    std2 = np.array([1.0, 1.0, 1.0, 9.0])
    h, c = np.zeros((2, count)), np.zeros((2, count))
    rows = []
    # D of (h, c) for the pair and for the first network alone; only D_cc and D_hh, D_hc matter.
    D = [np.zeros((2, 2, count)) + np.eye(2)[:, :, None] for _ in range(2)]
    logs: list[list[float]] = [[], []]
    for t in range(140):
        z = rng.standard_normal((4, 2, count))
        e = [
            means[k] + math.sqrt(q[k]) * np.stack(
                [z[k, 0], c12[k] * z[k, 0] + math.sqrt(1 - c12[k] ** 2) * z[k, 1]])
            for k in range(4)
        ]  # fmt: skip
        f, i, o, y = logistic(e[0]), logistic(e[1]), logistic(e[2]), np.tanh(e[3])
        new = f * c + i * y
        th = np.tanh(new)
        dc = [f * (1 - f) * c, i * (1 - i) * y, 0 * f, i * (1 - y * y)]
        dh = [o * (1 - th**2) * g for g in dc]
        dh[2] = o * (1 - o) * th
        if t >= 40:
            rows.append([np.mean(h[0] ** 2), np.mean(h[0] * h[1])])
            for which, (m, n) in enumerate([(0, 1), (0, 0)]):
                v = std2 * np.mean(D[which][0, 0])
                A = [np.stack([(o * (1 - th**2) * f)[k], f[k]]) for k in (m, n)]
                old = D[which][1, 1]
                now = np.einsum("in,jn,n->ijn", A[0], A[1], old)
                for k in range(4):
                    now += v[k] * np.einsum(
                        "in,jn->ijn",
                        np.stack([dh[k][m], dc[k][m]]),
                        np.stack([dh[k][n], dc[k][n]]),
                    )
                size = np.mean(now[0, 0]) + np.mean(now[1, 1])
                logs[which].append(math.log(size))
                D[which] = now / size
        h, c = o * th, new
    chi, chi1 = (math.exp(np.mean(each[30:])) for each in logs)
    return np.mean(rows, axis=0), chi, chi1


@pytest.mark.slow
def test_lstm_against_a_simulation() -> None:
    p = Parameters.of(lstm).with_values({"forget.bias_mean": 1.0, "input_std": 0.6})
    found = by_sites(lstm, p, input_correlation=0.6)
    q, c12 = list(found.state.preactivation_variances), list(found.pair.correlations)
    runs = [simulated_lstm(q, c12, np.random.default_rng(k)) for k in range(6)]
    moments = np.array([run[0] for run in runs])
    rates = np.array([run[1:] for run in runs])
    errors = found.errors
    expected = np.array([found.state.source_squares[0], found.pair.source_products[0]])
    spread = moments.std(axis=0, ddof=1) / math.sqrt(6)
    assert np.all(np.abs(moments.mean(axis=0) - expected) < 4 * spread + 1e-3 * expected)
    spread = rates.std(axis=0, ddof=1) / math.sqrt(6)
    gaps = np.abs(rates.mean(axis=0) - [found.chi, found.chi1])
    assert np.all(gaps < 4 * spread + np.array([errors["chi"], errors["chi1"]]))


@pytest.mark.slow
def test_reset_after_against_a_simulation() -> None:
    """Factors that entangle three preactivations of both networks."""
    p = Parameters.of(gru_reset_after).with_values({"input_std": 1.0, "reset.bias_mean": 0.5})
    found = by_sites(gru_reset_after, p, input_correlation=0.5)
    names = ["update", "reset", "candidate", "candidate_input"]
    q = [found.preactivation_variances[name] for name in names]
    c12 = [found.correlations[name] for name in names]
    rates, products = [], []
    for seed in range(8):
        rng, count = np.random.default_rng(seed), 25_000
        h, averages = np.zeros((2, count)), []
        for t in range(50):
            w = rng.standard_normal((4, 2, count))
            e = [
                math.sqrt(q[k]) * np.stack(
                    [w[k, 0], c12[k] * w[k, 0] + math.sqrt(1 - c12[k] ** 2) * w[k, 1]])
                for k in range(4)
            ]  # fmt: skip
            z, r = logistic(e[0]), logistic(e[1] + 0.5)
            y = np.tanh(r * e[2] + e[3])
            slope = (1 - z) * (1 - y * y)
            if t >= 20:
                terms = [z * (1 - z) * (h - y), slope * r * (1 - r) * e[2], slope * r]
                averages.append([np.mean(h[0] * h[1]), np.mean(z[0] * z[1])]
                                + [np.mean(term[0] * term[1]) for term in terms])  # fmt: skip
            h = z * h + (1 - z) * y
        product, kept, by_z, by_r, by_y = np.mean(averages, axis=0)
        products.append(product)
        rates.append(kept + 9 * by_z + by_r + 9 * by_y)
    spread = np.std(rates, ddof=1) / math.sqrt(8)
    assert abs(np.mean(rates) - found.chi) < 4 * spread + found.errors["chi"]
    spread = np.std(products, ddof=1) / math.sqrt(8)
    room = found.pair.samples.errors[0]  # type: ignore[union-attr]
    assert abs(np.mean(products) - found.pair.source_products[0]) < 4 * spread + 2 * room


@pytest.mark.parametrize("value", [-400, -30, -15, -12, 12, 20, 100, 400])
@pytest.mark.parametrize("gate", ["update", "reset", "candidate"])
def test_saturated_gates_of_a_gru(gate: str, value: float) -> None:
    p = Parameters.of(gru, input_std=0).with_values({f"{gate}.bias_mean": value})
    if (gate, value) == ("update", 400):
        with pytest.raises(InfeasibleError, match="h grows for ever"):
            untied_state(gru, p)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = untied_state(gru, p)
        chi1 = PairState(state, 1.0, state.source_squares).chi
    if gate == "reset" and value < 0:  # h dies: E[z^2] = 1/4, and nothing passes the reset gate
        assert chi1 == pytest.approx(0.25, rel=1e-4)
    if gate == "candidate":  # h = phi(mu) to rounding
        assert state.state_squares[0] == pytest.approx(1.0, abs=1e-7)


@pytest.mark.parametrize("gates", [("forget", "input"), ("input",), ("output",)])
def test_closed_gates_of_an_lstm(gates: tuple[str, ...]) -> None:
    p = Parameters.of(lstm, input_std=0).with_values({f"{gate}.bias_mean": -20.0 for gate in gates})
    state = untied_state(lstm, p)
    assert state.state_squares == (0.0, 0.0)  # it dies
    kept = logistic(-20.0) ** 2 if "forget" in gates else 0.25
    through = [logistic(-20.0) if gate in gates else 0.5 for gate in ("input", "output")]
    expected = kept + 9 * np.prod(through) ** 2
    chi1 = PairState(state, 1.0, state.source_squares).chi
    # The root of rounding, where two rates nearly coincide.
    assert chi1 == pytest.approx(expected, rel=3e-8, abs=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "changed"),
    [
        pytest.param(lstm, {"input_std": 0.6, "forget.bias_mean": 1.0}, marks=pytest.mark.thorough),
        pytest.param(lstm_peephole, {"input_std": 1.0}, marks=pytest.mark.thorough),
        (gru_reset_after, {"input_std": 1.0}),
    ],
    ids=["lstm", "lstm-peephole", "gru-reset-after"],
)
def test_errors_cover_what_the_seed_changes(cell: Cell, changed: dict[str, float]) -> None:
    p = Parameters.of(cell).with_values(changed)
    found = [
        by_sites(cell, p, input_correlation=0.5, seed=seed, tolerance=1e-2) for seed in range(6)
    ]
    for read in (
        lambda m: (m.state.preactivation_variances[0], m.state.preactivation_variance_errors[0]),
        lambda m: (m.pair.correlations[0], m.pair.correlation_errors[0]),
        lambda m: (m.chi, m.errors["chi"]),
        lambda m: (m.chi1, m.errors["chi1"]),
    ):
        values, errors = np.array([read(one) for one in found]).T
        assert np.all(errors <= 1e-2 * np.maximum(values, 1))
        # Half widths of 95 %: at most one of six beyond 1.5 of them, none beyond 3.
        gaps = np.abs(values - np.median(values)) / (errors + 1e-12)
        assert np.sum(gaps > 1.5) <= 1
        assert np.max(gaps) < 3


def test_a_tolerance_is_met_or_refused() -> None:
    p = Parameters.of(lstm).with_values({"input_std": 0.6, "forget.bias_mean": 1.0})
    rough, fine = (untied_state(lstm, p, tolerance=each) for each in (1e-2, 5e-4))
    assert rough.error_estimate <= 1e-2
    assert fine.error_estimate <= 5e-4
    gap = abs(rough.preactivation_variances[0] / fine.preactivation_variances[0] - 1)
    assert gap < 2 * (rough.error_estimate + fine.error_estimate)
    with pytest.raises(ConvergenceError, match="ask for a larger tolerance"):
        untied_state(lstm, p, tolerance=1e-9)
    with pytest.raises(ParameterError, match="tolerance"):
        untied_state(lstm, p, tolerance=0.0)


def test_the_ends_of_correlations() -> None:
    state = untied_state(delay, Parameters.of(delay, DELAY))
    assert pair_state(state, 1.0).correlations == (1.0, 1.0)
    close = PairState(state, 1.0, tuple(s * (1 - 1e-9) for s in state.source_squares))
    assert close.chi == pytest.approx(pair_state(state, 1.0).chi, rel=1e-6)


def test_one_state_and_one_preactivation_are_refused_in_the_same_words() -> None:
    cell, _ = GROWING["integrator"]
    p = Parameters.of(cell, {"weight_std": 1.0, "input_std": 1.0, "input_variance": 0.8})
    with pytest.raises(InfeasibleError, match=r"h grows for ever.*at any parameters"):
        by_map(cell, p)


@pytest.mark.slow
def test_entangled_variables_and_frozen_biases_against_a_simulation() -> None:
    changed = {"input_std": 1.0, "bias_std": 0.5, "bias_mean": 0.2}
    found = untied_state(
        gru_reset_after, Parameters.of(gru_reset_after, input_std=0).with_values(changed)
    )
    runs = []
    for seed in range(6):
        rng, count = np.random.default_rng(seed), 20_000
        bias = 0.2 + 0.5 * rng.standard_normal((4, count))
        h, kept = np.zeros(count), []
        for t in range(60):
            size = math.sqrt(np.mean(h * h))
            w, x = rng.standard_normal((4, count)), rng.standard_normal((4, count))
            z = logistic(3 * size * w[0] + x[0] + bias[0])
            r = logistic(size * w[1] + x[1] + bias[1])
            h = z * h + (1 - z) * np.tanh(r * (3 * size * w[2] + bias[2]) + x[3] + bias[3])
            if t >= 30:
                kept.append(np.mean(h * h))
        runs.append(np.mean(kept))
    spread = np.std(runs, ddof=1) / math.sqrt(6)
    assert abs(np.mean(runs) - found.state_squares[0]) < 4 * spread + found.source_square_errors[0]
