"""Random cells and random hyperparameters with corners, from a small grammar.

One to three states and preactivations, activations of every kind, gates, delays, skips, leaks and
outputs; sources that read states, gated states or functions of them.  Everything follows from a
seed, so that any point of a sweep can be made again.
"""

from dataclasses import dataclass

import numpy as np
import sympy as sp

from rmt_jacobian.cells import Cell, Parameters, Preactivation, hard_tanh, relu, sigmoid
from rmt_jacobian.cells.activations import Activation

__all__ = ["Point", "random_point"]

ACTIVATIONS = {
    "tanh": sp.tanh,
    "erf": sp.erf,
    "relu": relu,
    "hard tanh": hard_tanh,
    "identity": lambda e: e,
    "sigmoid": sigmoid,
    "sine": sp.sin,
    "size": sp.Abs,
    "leaky relu": lambda e: sp.Max(e, e / 10),
    "shifted relu": lambda e: relu(e - sp.Rational(1, 2)),
    "steep tanh": lambda e: sp.tanh(4 * e),
    "bump": lambda e: sp.exp(-(e**2) / 2),
    "odd hard tanh": lambda e: hard_tanh(2 * e) + e / 10,
}
CORNERS = ("plain", "plain", "plain", "plain", "saturated", "tiny", "huge", "critical", "strong")


@dataclass(frozen=True)
class Point:
    """A cell with its hyperparameters, and the correlation of two input sequences."""

    seed: int
    kind: str
    cell: Cell
    parameters: Parameters
    input_correlation: float

    @property
    def title(self) -> str:
        """The equations and the numbers in one line."""
        sources = ", ".join(f"{p.name} reads {p.source}" for p in self.cell.preactivations)
        updates = ", ".join(
            f"{s}' = {u}" for s, u in zip(self.cell.states, self.cell.updates, strict=True)
        )
        numbers = ", ".join(f"{k}={v:.4g}" for k, v in self.parameters.named().items())
        return (
            f"seed {self.seed} ({self.kind}): {updates}; {sources}; {numbers}; biases "
            f"{self.parameters.bias_kind}; input {self.parameters.input_kind}, correlation "
            f"{self.input_correlation:.3g}"
        )


def random_point(seed: int) -> Point:
    """Return the point of a seed.

    Examples
    --------
    >>> random_point(3).cell == random_point(3).cell
    True
    """
    rng = np.random.default_rng([seed, 20_260])
    cell = _random_cell(rng, f"cell-{seed}")
    kind = str(rng.choice(CORNERS))
    correlation = float(rng.choice([1.0, 0.5, 0.0, rng.uniform(-0.9, 0.99)]))
    return Point(seed, kind, cell, _random_parameters(rng, cell, kind), correlation)


def _random_cell(rng: np.random.Generator, name: str) -> Cell:
    d, K = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    states = sp.symbols(f"s1:{d + 1}", real=True)
    gates = sp.symbols(f"e1:{K + 1}", real=True)
    x = sp.Symbol("x", real=True)
    updates = [_first_update(rng, states[0], gates, x)]
    for i in range(1, d):
        updates.append(_further_update(rng, i, states, gates, updates))
    preactivations = [
        Preactivation(f"g{k + 1}", gate, _source(rng, k, states, gates))
        for k, gate in enumerate(gates)
    ]
    return Cell(name, states, x, tuple(preactivations), tuple(updates))


def _activation(rng: np.random.Generator) -> Activation:
    return ACTIVATIONS[str(rng.choice(tuple(ACTIVATIONS)))]


def _first_update(rng: np.random.Generator, s: sp.Symbol, gates: tuple, x: sp.Symbol) -> sp.Expr:
    """Return an update of the state that is driven: gated, leaky or without memory."""
    drive = gates[-1] if len(gates) < 3 or rng.random() < 0.7 else gates[-1] + gates[1]
    written = _activation(rng)(drive)
    form = rng.choice(["plain", "gated", "gated", "leaky", "skip", "input"])
    if form == "plain" and len(gates) > 1:
        return sigmoid(gates[0]) * written if rng.random() < 0.5 else written + gates[0] / 4
    if form == "gated" and len(gates) > 1:
        u = sigmoid(gates[0])
        return u * s + (1 - u) * written
    if form == "leaky":
        leak = sp.Rational(int(rng.integers(1, 10)), 10)
        return (1 - leak) * s + leak * written
    if form == "skip":
        return sp.Rational(1, 2) * sp.tanh(s) + written
    if form == "input":
        u = sigmoid(gates[0])
        return u * s + (1 - u) * x
    return written


def _further_update(
    rng: np.random.Generator, i: int, states: tuple, gates: tuple, updates: list
) -> sp.Expr:
    """Return an update of a later state: a delay, an output, a memory of its own."""
    form = rng.choice(["delay", "delay", "output", "trace", "activation"])
    gate = gates[int(rng.integers(len(gates)))]
    if form == "delay":
        return states[i - 1]
    if form == "output":
        return sigmoid(gate) * sp.tanh(updates[i - 1])
    if form == "trace":
        return states[i] / 2 + states[i - 1] / 2
    return _activation(rng)(gate)


def _source(rng: np.random.Generator, k: int, states: tuple, gates: tuple) -> sp.Expr:
    read = states[int(rng.integers(len(states)))] if k else states[-1]
    form = rng.choice(["state", "state", "state", "bounded", "gated", "mixed"])
    if form == "bounded":
        return sp.tanh(read)
    if form == "gated" and k:
        return sigmoid(gates[0]) * read
    if form == "mixed" and len(states) > 1:
        return states[0] - states[-1] / 2
    return read


def _random_parameters(rng: np.random.Generator, cell: Cell, kind: str) -> Parameters:
    values: dict[str, float] = {"input_variance": float(rng.uniform(0.1, 0.9))}
    for each in cell.preactivations:
        weight = rng.uniform(0.2, 1.3)
        group = {
            "weight_std": float(weight),
            "input_std": float(rng.choice([0.0, rng.uniform(0.1, 1.5)])),
            "bias_mean": float(rng.choice([0.0, rng.normal()])),
            "bias_std": float(rng.choice([0.0, 0.0, rng.uniform(0.1, 1.0)])),
        }
        if kind == "saturated":
            group["bias_mean"] = float(rng.choice([-15.0, -6.0, 4.0]))
        if kind == "tiny":
            group["weight_std"], group["input_std"] = 1e-4 * weight, 1e-4
        if kind == "huge":
            group["input_std"] = float(rng.uniform(10, 60))
        if kind == "critical":
            group |= {"weight_std": 1.0, "input_std": 0.05, "bias_mean": 0.0, "bias_std": 0.0}
        if kind == "strong":
            group["weight_std"] = float(rng.uniform(1.5, 4))
        values |= {f"{each.name}.{key}": value for key, value in group.items()}
    return Parameters.of(
        cell,
        values,
        input_kind=str(rng.choice(["gaussian", "gaussian", "tanh"])),
        bias_kind=str(rng.choice(["redrawn", "redrawn", "frozen"])),
    )
