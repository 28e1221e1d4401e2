"""Fixed points of real tied networks, stable or not, by continuation."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.errors import ConvergenceError
from rmt_jacobian.sampling.networks.eigenvalues import dense_jacobian
from rmt_jacobian.sampling.networks.network import NetworkStep
from rmt_jacobian.sampling.weights.ensembles import WeightMatrix, Weights, draw_weights

__all__ = ["network_at_rest"]

_EXACT = 1e-10  # of the largest change of a unit over a step
_STEPS, _STARTS = 3000, 3
_FIRST, _SHORTEST = 0.05, 1e-6  # length of a step, the first one for each unit
_CLOSE, _CORRECTIONS, _POLISHING = 1e-5, 6, 20


def network_at_rest(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Weights = "gaussian",
    width: int,
    rng: np.random.Generator,
    start_std: float = 1.0,
) -> NetworkStep:
    r"""Draw a tied network with constant inputs and find a fixed point of it, stable or not.

    .. math:: s = f(s, e, x), \qquad e_k = W_k y_k + V_k x + b_k

    The curve :math:`s = t f(s) + (1 - t) s_0` leads from Gaussian states :math:`s_0` at t = 0 to a
    fixed point at t = 1.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    weights
        Ensemble of every W.
    width
        N, the number of sites.
    rng
        The generator to draw from.
    start_std
        Of the states at the start; small values find the fixed point next to zero.

    Raises
    ------
    ConvergenceError
        If no start led to a fixed point.

    References
    ----------
    Chow, Mallet-Paret & Yorke (1978), on homotopies that lead to fixed points almost surely.

    Examples
    --------
    >>> from rmt_jacobian.cells import gru
    >>> silent = Parameters.of(gru, input_std=0)
    >>> step = network_at_rest(gru, silent, width=30, rng=np.random.default_rng(0))
    >>> new = compile_cell(gru).update(step.states, step.gates, step.x)[0]
    >>> bool(np.max(np.abs(new - step.states[0])) < 1e-9)
    True
    """
    network = _Network.draw(cell, parameters, weights, width, rng)
    with threadpool_limits(1):  # matrices of a few hundred rows gain nothing from threads
        for _ in range(_STARTS):
            start = start_std * rng.standard_normal((len(cell.states), width))
            try:
                found = _followed(network, start)
            except np.linalg.LinAlgError:  # the curve meets a singular point
                continue
            if found is not None:
                return network.step(found)
    raise ConvergenceError(
        f"no fixed point was found from {_STARTS} starts: try another seed or a smaller width"
    )


@dataclass(frozen=True, eq=False)
class _Network:
    """All that a tied network with constant input keeps."""

    cell: Cell
    matrices: tuple[WeightMatrix | None, ...]
    drive: tuple[np.ndarray, ...]
    x: np.ndarray

    @classmethod
    def draw(
        cls,
        cell: Cell,
        parameters: Parameters,
        weights: Weights,
        width: int,
        rng: np.random.Generator,
    ) -> "_Network":
        x = parameters.inputs.draw(rng, (width,))
        matrices: list[WeightMatrix | None] = []
        drive = []
        for each, (_, group) in zip(cell.preactivations, parameters.groups, strict=True):
            reads = each.reads_state
            matrices.append(draw_weights(weights, width, group.weight_std, rng) if reads else None)
            constant = group.bias_mean + group.bias_std * rng.standard_normal(width)
            if each.reads_input and group.input_std > 0:
                V = rng.standard_normal((width, width)) * (group.input_std / math.sqrt(width))
                constant = constant + V @ x
            drive.append(constant)
        return cls(cell, tuple(matrices), tuple(drive), x)

    def step(self, states: np.ndarray) -> NetworkStep:
        compiled, gates = compile_cell(self.cell), []
        for k, (W, constant) in enumerate(zip(self.matrices, self.drive, strict=True)):
            e = constant
            if W is not None:
                e = e + W.apply(compiled.source(k, list(states), gates) + 0 * self.x)
            gates.append(e)
        derivatives = compiled.derivatives(list(states), gates, self.x)
        return NetworkStep(tuple(states), tuple(gates), self.x, self.matrices, derivatives)

    def change(self, step: NetworkStep) -> np.ndarray:
        new = compile_cell(self.cell).update(step.states, step.gates, step.x)
        moved: list[Any] = [a + 0 * step.x - s for a, s in zip(new, step.states, strict=True)]
        return np.array(moved)


@np.errstate(over="ignore", invalid="ignore")
def _followed(network: _Network, origin: np.ndarray) -> np.ndarray | None:
    r"""Follow the curve :math:`s = t f(s) + (1 - t) s_0` from :math:`s_0` to t = 1.

    With bounded updates the curve from almost every s_0 ends at a fixed point; it may turn back in
    t on the way, so it is followed by its length.
    """
    curve = _Curve(network, origin)
    point, direction = np.append(origin.ravel(), 0.0), None
    length = _FIRST * math.sqrt(origin.size)
    for _ in range(_STEPS):
        direction = curve.tangent(point, direction)
        moved = curve.corrected(point + length * direction, direction)
        if moved is None:
            length /= 2
            if length < _SHORTEST:
                return None
            continue
        if moved[-1] >= 1:
            share = (1 - point[-1]) / (moved[-1] - point[-1])
            return curve.finished(point + share * (moved - point))
        point, length = moved, 1.5 * length
    return None


@dataclass(frozen=True, eq=False)
class _Curve:
    """The solutions (s, t) of s = t f(s) + (1 - t) s_0, flattened."""

    network: _Network
    origin: np.ndarray

    def at(self, point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the residual, and its derivative in (s, t)."""
        states, t = point[:-1].reshape(self.origin.shape), point[-1]
        step = self.network.step(states)
        new = (states + self.network.change(step)).ravel()
        start = self.origin.ravel()
        residual = point[:-1] - t * new - (1 - t) * start
        slope = np.eye(len(new)) - t * dense_jacobian(step)
        return residual, np.concatenate([slope, (start - new)[:, None]], axis=1)

    def tangent(self, point: np.ndarray, before: np.ndarray | None) -> np.ndarray:
        """Return the unit tangent that goes on in the direction of the last one."""
        _, slope = self.at(point)
        last = np.zeros(len(point)) if before is None else before
        if before is None:
            last[-1] = 1.0
        right = np.zeros(len(point))
        right[-1] = 1.0
        tangent = np.linalg.solve(np.concatenate([slope, last[None, :]]), right)
        return tangent / np.linalg.norm(tangent)

    def corrected(self, guess: np.ndarray, direction: np.ndarray) -> np.ndarray | None:
        """Return to the curve at right angles to a direction, if a few steps are enough."""
        point = guess
        for _ in range(_CORRECTIONS):
            residual, slope = self.at(point)
            if not np.all(np.isfinite(residual)):
                return None
            if np.max(np.abs(residual)) < _CLOSE:
                return point
            border = np.concatenate([slope, direction[None, :]])
            right = np.append(-residual, direction @ (guess - point))
            point = point + np.linalg.solve(border, right)
        return None

    def finished(self, guess: np.ndarray) -> np.ndarray | None:
        """Solve at t = 1."""
        point = np.append(guess[:-1], 1.0)
        for _ in range(_POLISHING):
            residual, slope = self.at(point)
            if np.max(np.abs(residual)) <= _EXACT:
                return point[:-1].reshape(self.origin.shape)
            point[:-1] -= np.linalg.solve(slope[:, :-1], residual)
        return None
