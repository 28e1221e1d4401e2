"""Stationary states that their map overshoots: gates that read the memory they let grow."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, lstm_peephole
from rmt_jacobian.mean_field import PairState, untied_state


def peephole(bias: float) -> Parameters:
    gates = {f"{gate}.bias_mean": bias for gate in ("forget", "input", "output")}
    return Parameters.of(lstm_peephole).with_values({**gates, "input_std": 1.0})


def simulated(bias: float, *, steps: int, burn_in: int, start: float) -> tuple[float, float]:
    """E[c^2] and E[h^2] of 40,000 sites whose preactivations are drawn anew at every step."""
    rng, found = np.random.default_rng(1), []
    h, c = np.zeros(40_000), start * rng.standard_normal(40_000)

    def logistic(x):
        return 1 / (1 + np.exp(-x))

    for step in range(steps):
        C, Q = np.mean(c**2), np.mean(h**2)
        if step >= burn_in:
            found.append((C, Q))
        f, i, o = (bias + np.sqrt(C + 1) * rng.standard_normal(c.shape) for _ in range(3))
        y = np.sqrt(9 * Q + 1) * rng.standard_normal(c.shape)
        c = logistic(f) * c + logistic(i) * np.tanh(y)
        h = logistic(o) * np.tanh(c)
    C, Q = np.mean(found, axis=0)
    return float(C), float(Q)


def test_gates_that_read_a_long_memory() -> None:
    """At E[c^2] = 1 the memory would grow to some hundreds, where the gates forget it at once."""
    state = untied_state(lstm_peephole, peephole(6.0))
    C, Q = simulated(6.0, steps=400, burn_in=100, start=3.0)
    # Runs of other seeds scatter by 0.01 and 0.0004.
    assert state.source_squares[0] == pytest.approx(C, abs=0.04)
    assert state.source_squares[3] == pytest.approx(Q, abs=0.0016)
    assert max(state.source_square_errors) < 0.01
    assert 1 < PairState(state, 1.0, state.source_squares).chi < 1.5


@pytest.mark.parametrize(
    ("bias", "C", "C_error", "Q", "Q_error"),
    # `simulated` for 20,000 sites and four seeds, 1000 and 3000 steps, and its standard errors.
    [
        (10.0, 20.8004, 0.0087, 0.77011, 0.00010),
        pytest.param(30.0, 128.494, 0.083, 0.897373, 0.000085, marks=pytest.mark.thorough),
    ],
)
def test_gates_that_are_shut_by_what_they_let_grow(bias, C, C_error, Q, Q_error) -> None:
    """At E[c^2] = 1 it would grow to some thousands at a bias of 10, and to 1e12 at 30."""
    state = untied_state(lstm_peephole, peephole(bias))
    found, errors = state.source_squares, state.source_square_errors
    assert abs(found[0] - C) < 3.5 * C_error + errors[0]
    assert abs(found[3] - Q) < 3.5 * Q_error + errors[3]
