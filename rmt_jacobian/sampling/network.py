"""Real networks run forward: states, preactivations and the Jacobian of every step."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, PreactivationParameters, compile_cell
from rmt_jacobian.cells.numeric import StepDerivatives
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import site_law, stationary_states
from rmt_jacobian.sampling.ensembles import (
    WeightMatrix,
    Weights,
    checked_weights,
    draw_image,
    draw_weights,
)

__all__ = ["NetworkStep", "run_network"]


@dataclass(frozen=True)
class NetworkStep:
    """One step of a network, with all that its Jacobian is made of.

    Attributes
    ----------
    states, gates, x
        The states before the step, the preactivations and the input; each of shape (N,).
    weights
        One W for each preactivation.
    derivatives
        The diagonals of the Jacobian at the sites.
    """

    states: tuple[Any, ...]
    gates: tuple[Any, ...]
    x: Any
    weights: tuple[WeightMatrix, ...]
    derivatives: StepDerivatives

    def times(self, blocks: list[Any]) -> list[Any]:
        """Return J applied to a change of the states.

        Parameters
        ----------
        blocks
            One array of shape (N, m) for each state.

        Returns
        -------
        list
            One array of shape (N, m) for each state.
        """
        d = self.derivatives
        through_weights: list[Any] = []
        for k, W in enumerate(self.weights):
            source = 0.0
            for s, block in enumerate(blocks):
                source = source + _scaled(d.source_state.get((k, s)), block)
            for j in range(k):
                source = source + _scaled(d.source_gate.get((k, j)), through_weights[j])
            through_weights.append(W.apply(source))
        result = []
        for i in range(len(blocks)):
            change = 0.0
            for s, block in enumerate(blocks):
                change = change + _scaled(d.state.get((i, s)), block)
            for k, block in enumerate(through_weights):
                change = change + _scaled(d.gate.get((i, k)), block)
            result.append(change)
        return result


def _scaled(diagonal: Any, block: Any) -> Any:
    """Return diag(diagonal) block; None stands for a diagonal that vanishes identically."""
    if diagonal is None:
        return 0.0
    return diagonal[:, None] * block if np.ndim(diagonal) else diagonal * block


@dataclass(frozen=True)
class _TiedMatrices:
    """W, V and b of one preactivation, kept for all steps."""

    weight: WeightMatrix
    input_matrix: np.ndarray
    bias: np.ndarray


def run_network(
    cell: Cell,
    parameters: Parameters,
    *,
    weights: Weights = "gaussian",
    width: int,
    steps: int,
    rng: np.random.Generator,
    tied: bool = False,
    burn_in: int | None = None,
) -> Iterator[NetworkStep]:
    r"""Run a network with one state and yield its steps.

    .. math:: e = W h + V x + b, \qquad h' = f(h, e, x)

    Untied networks draw fresh W, V and b at every step; tied ones keep them.  The state starts in
    the stationary mean-field law.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    weights
        Ensemble of W; V is always Gaussian.
    width
        N, the number of sites.
    steps
        Number of steps to yield.
    rng
        The generator to draw from; the same generator state gives the same bits.
    tied
        Whether one W, V and b serve all steps.
    burn_in
        Steps run before the first one that is yielded: by default 2 for untied networks, and 200
        for tied ones, whose stationary state is not that of the mean field.

    Raises
    ------
    ParameterError
        If width or steps is below 1, or the ensemble is unknown.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> run = run_network(minimalrnn, Parameters.of(minimalrnn), width=8, steps=2,
    ...                   rng=np.random.default_rng(0))
    >>> [step.gates[0].shape for step in run]
    [(8,), (8,)]
    """
    for name, value in (("width", width), ("steps", steps)):
        if value < 1:
            raise ParameterError(f"{name} must be a whole number above 0, not {value}")
    checked_weights(weights)
    h = stationary_states(site_law(cell, parameters), width, rng)
    group, compiled = parameters.only, compile_cell(cell)
    shared = _draw_tied(group, weights, width, rng) if tied else None
    waiting = (200 if tied else 2) if burn_in is None else burn_in
    for t in range(-waiting, steps):
        x = parameters.inputs.draw(rng, (width,))
        if shared is not None:
            W: WeightMatrix | None = shared.weight
            e = shared.weight.apply(h) + shared.input_matrix @ x + shared.bias
        else:
            # Only the steps that are yielded need W itself, and none needs V.
            W = draw_weights(weights, width, group.weight_std, rng) if t >= 0 else None
            image = draw_image(weights, group.weight_std, h, rng) if W is None else W.apply(h)
            e = image + draw_image("gaussian", group.input_std, x, rng) + _biases(group, width, rng)
        if W is not None and t >= 0:
            yield NetworkStep((h,), (e,), x, (W,), compiled.derivatives([h], [e], x))
        (h,) = compiled.update([h], [e], x)


def _draw_tied(
    group: PreactivationParameters, weights: Weights, width: int, rng: np.random.Generator
) -> _TiedMatrices:
    return _TiedMatrices(
        draw_weights(weights, width, group.weight_std, rng),
        draw_weights("gaussian", width, group.input_std, rng).matrix(),
        _biases(group, width, rng),
    )


def _biases(group: PreactivationParameters, width: int, rng: np.random.Generator) -> np.ndarray:
    return group.bias_mean + group.bias_std * rng.standard_normal(width)
