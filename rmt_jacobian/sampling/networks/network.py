"""Real networks run forward: states, preactivations and the Jacobian of every step."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from rmt_jacobian.arrays import ArrayGenerator, Device, Precision, Random, array_generator
from rmt_jacobian.calls import named_arguments
from rmt_jacobian.cells import (
    Cell,
    Point,
    Preactivation,
    PreactivationParameters,
    StepDerivatives,
    cell_and_parameters,
    compile_cell,
)
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling.networks.start import starting_states
from rmt_jacobian.sampling.networks.steps import NetworkStep
from rmt_jacobian.sampling.weights.dense import DenseMatrix
from rmt_jacobian.sampling.weights.ensembles import (
    UndrawnMatrix,
    WeightMatrix,
    Weights,
    checked_weights,
    draw_image,
    draw_weights,
    is_fast,
)
from rmt_jacobian.sampling.weights.householder import HouseholderMatrix

__all__ = ["NetworkStep", "run_network"]


@named_arguments
def run_network(
    cell: Cell | str,
    parameters: Point = None,
    *,
    weights: Weights = "gaussian",
    width: int,
    steps: int,
    rng: Random,
    tied: bool = False,
    burn_in: int | None = None,
    matrices: bool = True,
    device: Device | ModuleType = "cpu",
    dtype: Precision = "float64",
) -> Iterator[NetworkStep]:
    r"""Run a network of any cell and yield its steps.

    .. math:: e_k = W_k y_k + V_k x + b_k, \qquad s' = f(s, e, x)

    Untied networks draw fresh W and V at every step, and fresh b unless ``bias_kind`` of the
    parameters says that biases are frozen; tied ones keep all of them.  The states start in the
    stationary mean-field law.

    Parameters
    ----------
    cell, parameters
        The cell and its hyperparameters.
    weights
        Ensemble of every W.  V is Gaussian, or its fast stand-in where W is fast and both are kept.
    width
        N, the number of sites.
    steps
        Number of steps to yield.
    rng
        The generator to draw from; the same generator state gives the same bits.
    tied
        Whether one W, V and b serve all steps.
    burn_in
        Steps run before the first one that is yielded: by default 2 for untied networks, more if
        their biases are frozen, and at least 200 for tied ones, whose stationary state is not that
        of the mean field.
    matrices
        Whether W is drawn whole.  Else its image of the state is, whose law is exact, and a step
        costs O(N); the steps then know the sites, and W by its mean row length alone.
    device
        Where all arrays of the run live: ``"cpu"`` or ``"gpu"``, or a namespace of the array API
        standard.  A GPU draws numbers of its own.
    dtype
        ``"float64"`` or ``"float32"``; one generator state means one network in both, to rounding.

    Raises
    ------
    ParameterError
        If width or steps is below 1, the ensemble, device or type is unknown, or there is no GPU,
        or if a tied network is to do without its W.

    Examples
    --------
    >>> import numpy as np
    >>> from rmt_jacobian.cells import Parameters, lstm
    >>> run = run_network(lstm, Parameters.of(lstm), width=8, steps=2,
    ...                   rng=np.random.default_rng(0))
    >>> [len(step.gates) for step in run]
    [4, 4]
    """
    cell, parameters = cell_and_parameters(cell, parameters)
    check_counts(width=width, steps=steps)
    checked_weights(weights)
    parameters.check_cell(cell)
    if tied and not matrices:
        raise ParameterError("a tied network needs its W at every step: leave matrices=True")
    random = array_generator(rng, device, dtype)
    start = starting_states(cell, parameters, width, random, tied=tied)
    compiled, states = compile_cell(cell), start.states
    drawing = [
        _Matrices.draw(preactivation, group, weights, width, random, tied=tied,
                       frozen_bias=tied or parameters.bias_kind == "frozen")
        for preactivation, (_, group) in zip(cell.preactivations, parameters.groups, strict=True)
    ]  # fmt: skip
    waiting = start.burn_in if burn_in is None else burn_in
    for t in range(-waiting, steps):
        x = parameters.inputs.draw(random, (width,))
        gates: list[Any] = []
        drawn: list[WeightMatrix | None] = []
        for k, each in enumerate(drawing):
            y = compiled.source(k, states, gates) if each.reads_state else None
            e, W = each.preactivation(y, x, random, whole=matrices and t >= 0)
            gates.append(e)
            undrawn = each.reads_state and not matrices
            drawn.append(UndrawnMatrix(width, each.group.weight_std, random) if undrawn else W)
        if t >= 0:
            derivatives = _in_type(compiled.derivatives(states, gates, x), random)
            yield NetworkStep(tuple(states), tuple(gates), x, tuple(drawn), derivatives)
        new = compiled.update(states, gates, x)
        states = [random.xp.astype(s + 0 * x, random.dtype, copy=False) for s in new]


def _in_type(derivatives: StepDerivatives, rng: ArrayGenerator) -> StepDerivatives:
    """Return derivatives whose arrays have the generator's type, whatever constants made of it."""
    d = derivatives
    return StepDerivatives(
        *(
            {
                key: rng.xp.astype(entry, rng.dtype, copy=False) if np.ndim(entry) else entry
                for key, entry in table.items()
            }
            for table in (d.state, d.gate, d.source_state, d.source_gate)
        )
    )


@dataclass(frozen=True)
class _Matrices:
    """W, V and b of one preactivation: what is kept for all steps, and the law of the rest."""

    group: PreactivationParameters
    ensemble: Weights
    reads_state: bool
    reads_input: bool
    weight: WeightMatrix | None = None
    input_matrix: WeightMatrix | None = None
    bias: Any = None

    @classmethod
    def draw(
        cls,
        preactivation: Preactivation,
        group: PreactivationParameters,
        ensemble: Weights,
        width: int,
        rng: ArrayGenerator,
        *,
        tied: bool,
        frozen_bias: bool,
    ) -> "_Matrices":
        reads_state, reads_input = preactivation.reads_state, preactivation.reads_input
        W = V = None
        if tied and reads_state:
            W = draw_weights(ensemble, width, group.weight_std, rng)
            if isinstance(W, HouseholderMatrix):  # hundreds of steps pay for the whole matrix
                W = DenseMatrix(W.matrix())
        if tied and reads_input:
            inputs = "fast-gaussian" if is_fast(ensemble) else "gaussian"
            V = draw_weights(inputs, width, group.input_std, rng)
        bias = _biases(group, width, rng) if frozen_bias else None
        return cls(group, ensemble, reads_state, reads_input, W, V, bias)

    def preactivation(
        self, y: Any, x: Any, rng: ArrayGenerator, *, whole: bool
    ) -> tuple[Any, WeightMatrix | None]:
        """Return e, and W where it is wanted: else its image is enough, and V's always is."""
        e, W = 0 * x, self.weight
        if self.reads_state:
            y = y + 0 * x
            if W is None and whole:
                W = draw_weights(self.ensemble, x.shape[0], self.group.weight_std, rng)
            image = W.apply(y) if W is not None else None
            std = self.group.weight_std
            e = e + (draw_image(self.ensemble, std, y, rng) if image is None else image)
        if self.input_matrix is not None:
            e = e + self.input_matrix.apply(x)
        elif self.reads_input:
            e = e + draw_image("gaussian", self.group.input_std, x, rng)
        bias = _biases(self.group, x.shape[0], rng) if self.bias is None else self.bias
        return e + bias, W


def _biases(group: PreactivationParameters, width: int, rng: ArrayGenerator) -> Any:
    return group.bias_mean + group.bias_std * rng.standard_normal(width)
