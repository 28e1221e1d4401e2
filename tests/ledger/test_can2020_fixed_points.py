"""Cells, fixed points and phases of Can, Krishnamurthy and Schwab (2020)."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from rmt_jacobian.cells import Parameters, compile_cell, gru, lstm
from rmt_jacobian.mean_field import (
    fixed_points,
    gru_bifurcation,
    gru_marginal_edge,
    gru_marginal_edge_end,
    gru_nonzero_points,
    gru_open_gain,
    gru_phase,
    tied_steady_state,
)
from rmt_jacobian.sampling.networks.rest import network_at_rest
from tests.ledger.gated import (
    average,
    dense_weights,
    nonzero_state_variances,
    open_gain,
    state_variance_after,
)
from tests.ledger.independent import gaussian_image
from tests.ledger.verdicts import agrees, documented


def gru_parameters(a_z, a_r, a_h):
    stds = {"update.weight_std": a_z, "reset.weight_std": a_r, "candidate.weight_std": a_h}
    return Parameters.of(gru, input_std=0).with_values(stds)


def test_equation_2_to_5():
    """A step of the GRU row by row, and that the update gate keeps where it is 1."""
    rng, N = np.random.default_rng(1), 12
    W_z, W_r, W_y = dense_weights(N, (1.0, 2.0, 3.0), rng)
    h = rng.standard_normal(N)
    z, r = 1 / (1 + np.exp(-W_z @ h)), 1 / (1 + np.exp(-W_r @ h))
    expected = [z[i] * h[i] + (1 - z[i]) * math.tanh(W_y[i] @ (r * h)) for i in range(N)]
    compiled = compile_cell(gru)
    gates = [W_z @ h, W_r @ h]
    gates.append(W_y @ compiled.source(2, [h], gates))
    assert compiled.update([h], gates, np.zeros(N))[0] == pytest.approx(expected, rel=1e-12)
    assert compiled.update([h], [gates[0] + 50, *gates[1:]], np.zeros(N))[0] == pytest.approx(h)


def test_equation_6_to_8():
    rng, N = np.random.default_rng(2), 12
    W = dense_weights(N, (1.0, 2.0, 3.0, 4.0), rng)
    h, c = rng.standard_normal((2, N))
    f, i, o = (1 / (1 + np.exp(-W[k] @ h)) for k in range(3))
    memory = [f[n] * c[n] + i[n] * math.tanh(W[3][n] @ h) for n in range(N)]
    compiled = compile_cell(lstm)
    found = compiled.update([h, c], [each @ h for each in W], np.zeros(N))
    assert found[1] == pytest.approx(memory, rel=1e-12)
    assert found[0] == pytest.approx(o * np.tanh(memory), rel=1e-12)


def test_fixed_points():
    """A fresh W maps sites at rest to sites with the same E[h^2] and E[(r h)^2]."""
    a_r, a_h, rows = 2.0, 3.0, []
    (expected,) = [p.moments for p in fixed_points(gru, gru_parameters(0.0, a_r, a_h))[1:]]
    q_y = a_h**2 * expected[2]
    for rng in np.random.default_rng(3).spawn(16):
        h = np.tanh(math.sqrt(q_y) * rng.standard_normal(100_000))
        y = expit(gaussian_image(h[:, None], a_r, rng)[:, 0]) * h
        new = np.tanh(gaussian_image(y[:, None], a_h, rng)[:, 0])
        rows.append((np.mean(new**2), np.mean(y**2)))
    agrees(rows, np.array([expected[0], expected[2]]))
    # The same equations by our own sums.
    (C_h,) = nonzero_state_variances(a_h, a_r)
    assert expected[0] == pytest.approx(C_h, rel=1e-9)


def test_fixed_points_and_the_update_gate():
    """A network at rest stays there whatever the weights of its update gate."""
    rng = np.random.default_rng(4)
    step = network_at_rest(gru, gru_parameters(0.0, 1.0, 3.0), width=100, rng=rng)
    h, W_z = step.states[0], 10 * rng.standard_normal((100, 100)) / 10
    moved = compile_cell(gru).update([h], [W_z @ h, *step.gates[1:]], step.x)[0]
    assert moved == pytest.approx(h, abs=1e-8)
    found = [
        fixed_points(gru, gru_parameters(a_z, 1.0, 3.0))[1].moments for a_z in (0.0, 1.0, 50.0)
    ]
    assert found[0] == found[1] == found[2]


def test_open_gain():
    """C_h and rho_0^2 at (a_h, a_r) = (3, 1)."""
    (C_h,) = nonzero_state_variances(3.0, 1.0)
    point = fixed_points(gru, gru_parameters(7.0, 1.0, 3.0))[1]
    assert round(C_h, 5) == 0.37989
    assert round(open_gain(C_h, 3.0, 1.0), 5) == 1.25122
    assert point.moments[0] == pytest.approx(C_h, rel=1e-9)
    assert gru_open_gain(point) == pytest.approx(open_gain(C_h, 3.0, 1.0), rel=1e-9)


def test_dynamics():
    """Covariances of h in time in tied networks of width 1000."""
    lags, rows = (0, 1, 2, 4), []
    found = tied_steady_state(gru, gru_parameters(1.0, 10.0, 3.0), lags=4, sites=4096)
    for rng in np.random.default_rng(5).spawn(6):
        W_z, W_r, W_y = dense_weights(1000, (1.0, 10.0, 3.0), rng)
        h, path = rng.standard_normal(1000), []
        for _ in range(400):
            z = expit(W_z @ h)
            h = z * h + (1 - z) * np.tanh(W_y @ (expit(W_r @ h) * h))
            path.append(h)
        late = np.array(path[100:])
        rows.append([np.mean(late[: len(late) - k] * late[k:]) for k in lags])
    rows = np.array(rows)
    expected = found.state_covariances[0][list(lags)]
    error = rows.std(axis=0, ddof=1) / math.sqrt(6) + found.state_errors[0][list(lags)]
    assert np.all(np.abs(rows.mean(axis=0) - expected) < 4.5 * error + 2e-3)
    # Without the memory of the update gate the covariance would be gone at lag 4.
    assert expected[3] > 0.02


def solutions(a_h, a_r):
    found = gru_nonzero_points(a_h, a_r)
    assert [p.state_variance for p in found] == pytest.approx(
        nonzero_state_variances(a_h, a_r), rel=1e-7
    )
    return len(found)


def zero_is_stable(a_h):
    """The slope of the map of C_h at 0 is (a_h / 2)^2, as is the growth of a small h."""
    small = 1e-9
    return state_variance_after(small, a_h, 1.0) < small


def test_phases_weak_candidate():
    for a_h, a_r in ((0.5, 1.0), (1.2, 300.0), (1.41, 1000.0)):
        assert gru_phase(a_h, a_r) == "zero"
        assert solutions(a_h, a_r) == 0
        assert zero_is_stable(a_h)


def test_phases_between():
    for a_h, a_r, count in ((1.6, 20.0, 0), (1.6, 30.0, 2), (1.8, 7.0, 0), (1.8, 10.0, 2)):
        assert gru_phase(a_h, a_r) == ("three" if count else "zero")
        assert solutions(a_h, a_r) == count
        assert zero_is_stable(a_h)


def test_phases_strong_candidate():
    for a_h, a_r in ((2.1, 0.1), (2.1, 50.0), (4.0, 2.0), (7.0, 20.0)):
        assert gru_phase(a_h, a_r) == "nonzero"
        assert solutions(a_h, a_r) == 1
        assert not zero_is_stable(a_h)


def test_phases_bifurcation():
    """Bisection on whether the map of C_h ever rises above the diagonal."""

    def highest(a_r, a_h):
        grid = np.geomspace(1e-5, 1.0, 240)
        ratios = [state_variance_after(C, a_h, a_r) / C for C in grid]
        best = int(np.argmax(ratios))
        fine = np.geomspace(grid[max(best - 1, 0)], grid[min(best + 1, 239)], 41)
        return max(state_variance_after(C, a_h, a_r) / C for C in fine) - 1

    for a_h, value in ((1.5, 74.43), (1.7, 13.03), (1.9, 5.381)):
        found = brentq(highest, 0.8 * value, 1.2 * value, args=(a_h,), rtol=1e-5)
        assert float(f"{found:.4g}") == value
        assert gru_bifurcation(a_h) == pytest.approx(found, rel=1e-4)
    assert [float(f"{gru_bifurcation(a_h):.4g}") for a_h in (1.6, 1.8)] == [24.48, 8.157]


def test_marginal_region():
    """rho_0 = sqrt 2 at a_r = 0, by our own root; and on either side of the curve."""

    def excess(a_h):
        (C_h,) = nonzero_state_variances(a_h, 0.0, points=60)
        return open_gain(C_h, a_h, 0.0) - 2

    end = brentq(excess, 5.0, 8.0, xtol=1e-6)
    assert round(end, 3) == 6.546
    assert gru_marginal_edge(gru_marginal_edge_end()).candidate_std == pytest.approx(end, rel=1e-6)
    edge = gru_marginal_edge(5.0)
    for factor, below in ((0.95, True), (1.05, False)):
        (C_h,) = nonzero_state_variances(edge.candidate_std, factor * edge.reset_std, points=60)
        assert (open_gain(C_h, edge.candidate_std, factor * edge.reset_std) < 2) == below


def test_equation_21():
    """C_h just beyond a_h = 2, on three sides of a_r = sqrt 8."""
    eps = 1e-4
    (middle,) = nonzero_state_variances(2 + eps, math.sqrt(8.0))
    printed, corrected = math.sqrt(eps) / 4, math.sqrt(3 * eps / 31)
    assert middle == pytest.approx(corrected, rel=0.02)
    assert abs(middle / printed - 1) > 0.15
    documented("(21)", middle, printed, corrected, level="###")
    (below,) = nonzero_state_variances(2 + eps, 1.5)
    assert below == pytest.approx(4 * eps / (8 - 1.5**2), rel=2e-3)
    (above,) = nonzero_state_variances(2 + 1e-7, math.sqrt(8.1))
    assert above == pytest.approx(3 * 0.1 / 124, rel=0.03)
    for a_h, a_r, value in ((2 + eps, math.sqrt(8.0), middle), (2 + eps, 1.5, below)):
        assert gru_nonzero_points(a_h, a_r)[0].state_variance == pytest.approx(value, rel=1e-6)
    # E tanh^2 = q - 2 q^2 + 17/3 q^3 is where 31 comes from.
    assert average(lambda e: np.tanh(e) ** 2, 0.0, 0.01) == pytest.approx(
        0.01 - 2e-4 + 17 / 3 * 1e-6, abs=3e-7
    )
