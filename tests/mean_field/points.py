"""Cells and hyperparameters at which the mean field is tested, and plain simulations of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rmt_jacobian.cells import Cell, Parameters, minimalrnn, vanilla
from tests.cells.two_gates import biased_gate, leaky

Update = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

# Written out by hand, so that the compiled cells are not tested against themselves.
UPDATES: dict[str, Update] = {
    "minimalrnn": lambda h, x, e: expit(e) * h + expit(-e) * x,
    "vanilla": lambda h, x, e: np.tanh(e),
    "leaky": lambda h, x, e: 0.8 * h + 0.2 * np.tanh(e),
    "biased gate": lambda h, x, e: expit(e) * h + expit(-e) * (x + np.tanh(e) / 2),
}


@dataclass(frozen=True)
class Point:
    cell: Cell
    parameters: Parameters
    memory: int  # steps after which a site has forgotten its start to 1e-6

    @property
    def update(self) -> Update:
        return UPDATES[self.cell.name]

    def inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Inputs of one site, independent of the package's own law."""
        z = rng.standard_normal(shape)
        if self.parameters.input_kind == "gaussian":
            return math.sqrt(self.parameters.input_variance) * z
        assert self.parameters.input_variance == 0.46
        return np.tanh(1.198829 * z)  # E tanh(a z)^2 = 0.46


def point(cell: Cell, memory: int, kind: str = "gaussian", **values: float) -> Point:
    return Point(cell, Parameters.of(cell, values, input_kind=kind), memory)  # pyright: ignore


POINTS = {
    "figure 1": point(minimalrnn, 40, weight_std=6.88, input_std=1.39, input_variance=0.46),
    "figure 1, tanh inputs": point(
        minimalrnn, 40, "tanh", weight_std=6.88, input_std=1.39, input_variance=0.46
    ),
    "long memory": point(
        minimalrnn, 80, weight_std=6.086, input_std=4.7986, bias_mean=4.0, input_variance=0.46
    ),
    "random biases": point(
        minimalrnn,
        40,
        weight_std=3.0,
        input_std=1.2,
        bias_mean=-1.0,
        bias_std=1.5,
        input_variance=0.7,
    ),
    "saturated": point(
        minimalrnn, 40, weight_std=15.0, input_std=3.0, bias_mean=-4.0, input_variance=0.05
    ),
    "vanilla": point(vanilla, 40, weight_std=1.4, input_std=0.3, input_variance=1.0),
    "vanilla, random biases": point(
        vanilla,
        40,
        weight_std=1.1,
        input_std=0.5,
        bias_mean=0.4,
        bias_std=0.6,
        input_variance=0.46,
    ),
    "leaky": point(
        leaky("1/5"), 90, weight_std=2.0, input_std=0.5, bias_mean=0.7, input_variance=1.0
    ),
    "biased gate": point(
        biased_gate, 90, weight_std=3.0, input_std=1.0, bias_mean=1.0, input_variance=0.5
    ),
}
