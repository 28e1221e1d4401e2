"""What tests of layers of several libraries share."""

from collections.abc import Callable
from typing import Any

import numpy as np

import rmt_jacobian as rj

HIDDEN, INPUTS, STEPS = 48, 7, 9


def sequence(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((STEPS, INPUTS))


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Return weights that are not those of an initialisation."""
    return 1.5 / HIDDEN**0.5 * np.random.default_rng([seed, *shape]).standard_normal(shape)


def errors_beside(
    network: rj.Network,
    step: Callable[[Any, Any], Any],
    jacobian: Callable[[Callable[[Any], Any], Any], Any],
) -> tuple[float, float]:
    """Return the largest errors of states and of a Jacobian.

    Parameters
    ----------
    network
        Ours.
    step
        From input and flat state, h before c, to the next flat state.
    jacobian
        Of a function at a place.
    """
    path, x = network.run(sequence()), sequence()
    state, worst = np.zeros(path.states[0].size), 0.0
    for t in range(STEPS):
        state = np.asarray(step(x[t], state))
        worst = max(worst, float(np.abs(path.states[t + 1].ravel() - state).max()))
    t = 5
    expected = np.asarray(jacobian(lambda s: step(x[t], s), path.states[t].ravel()))
    return worst, float(np.abs(path.jacobian(t) - expected).max())


def gates_are_orthogonal(network: rj.Network, parameters: rj.Parameters, atol: float) -> None:
    for name, W in network.recurrent.items():
        std = parameters[name].weight_std
        np.testing.assert_allclose(W.T @ W / std**2, np.eye(network.width), atol=atol)


def gates_have(network: rj.Network, parameters: rj.Parameters) -> None:
    """Assert that inputs and biases are those of hyperparameters."""
    for name, V in network.input.items():
        std = parameters[name].input_std / V.shape[1] ** 0.5
        assert abs(np.std(V) / std - 1) < 4 / (2 * V.size) ** 0.5
    for name, b in network.bias.items():
        np.testing.assert_allclose(b, parameters[name].bias_mean, atol=1e-6)
