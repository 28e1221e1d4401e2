"""Independent simulation of what the package solves for: a population of sites, in plain NumPy.

Nothing of the package is used but the equations of the cell: they are compiled and differentiated
here once more, from sympy's own functions.  A population of M sites in two networks takes steps
with fresh Gaussian preactivations, whose covariances are measured on the population itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import scipy.special
import sympy as sp
from scipy.optimize import brentq
from scipy.stats import qmc

from benchmarks.adversarial.grammar import Point
from rmt_jacobian.cells import hard_tanh, relu, sigmoid

__all__ = ["Growth", "Measured", "Simulation", "sampled_singular_values"]


class logistic(sp.Function):  # noqa: N801
    """1 / (1 + exp(-x)), which keeps its digits on both sides."""

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the derivative."""
        return logistic(self.args[0]) * logistic(-self.args[0])


_NUMPY = [{"logistic": scipy.special.expit, "erf": scipy.special.erf}, "numpy"]


def _native(expression: sp.Expr) -> sp.Expr:
    return (
        sp.sympify(expression)
        .replace(sigmoid, logistic)
        .replace(relu, lambda x: sp.Max(x, 0))
        .replace(hard_tanh, lambda x: sp.Max(sp.Min(x, 1), -1))
    )


def _compiled(arguments: list, expressions: list) -> Callable[..., list[np.ndarray]]:
    function = sp.lambdify(arguments, expressions, modules=_NUMPY, cse=True)

    def call(*arrays: np.ndarray) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [np.broadcast_to(value, arrays[0].shape) for value in function(*arrays)]

    return call


PARTS = 8  # of a population, whose scatter shows what time averages do not


@dataclass(frozen=True)
class Measured:
    """A time average with its standard error, from the scatter of blocks."""

    value: float
    error: float

    @classmethod
    def of_parts(cls, table: np.ndarray, *, frozen: bool) -> "Measured":
        """Average a series of parts, shape (steps, parts), whose sites may stay what they are."""
        found = cls.of(table.mean(axis=1))
        scatter = float(table.mean(axis=0).std(ddof=1) / math.sqrt(table.shape[1]))
        return cls(found.value, math.hypot(found.error, scatter)) if frozen else found

    @classmethod
    def of(cls, series: np.ndarray, blocks: int = 8) -> "Measured":
        """Average blocks of a series.

        A trend widens the error by how far the two halves differ: what decays slowly is no noise,
        and rates that coincide, or nearly, approach their limit as 1 / t.
        """
        means = np.array([block.mean() for block in np.array_split(series, blocks)])
        error = float(means.std(ddof=1) / math.sqrt(blocks))
        trend = abs(float(means[: blocks // 2].mean() - means[blocks // 2 :].mean()))
        return cls(float(means.mean()), math.hypot(error, trend) if trend > 3 * error else error)

    @classmethod
    def of_rates(cls, logs: np.ndarray, first: int) -> "Measured":
        """Return the limit of the logarithms of growth rates at the steps from the first on.

        Where rates coincide, changes grow like a power of time beside their rate, and the logarithm
        of what they grow by a step is that of the rate and p / t.  Where such a term is seen, the
        line in 1 / t is continued to t = infinity.
        """
        plain = cls.of(logs)
        # A sampled rate is the mean of a logarithm, and that of the theory the logarithm of a mean:
        # they differ by half of the variance that a step adds in the long run.
        plain = cls(plain.value, math.hypot(plain.error, len(logs) * plain.error**2 / 2))
        x = 1 / (first + 0.5 + np.arange(len(logs)))
        design = np.stack([np.ones_like(x), x], axis=1)
        (limit, power), *_ = np.linalg.lstsq(design, logs, rcond=None)
        rest = logs - design @ [limit, power]
        blocks = np.array([block.mean() for block in np.array_split(rest, 8)])
        error = float(blocks.std(ddof=1)) / math.sqrt(8)
        spread = np.linalg.inv(design.T @ design) * len(logs)  # in units of the error of the mean
        if abs(power) < 5 * error * math.sqrt(spread[1, 1]):
            return plain
        curved = abs(limit - plain.value) / 4
        return cls(float(limit), math.hypot(error * math.sqrt(spread[0, 0]), curved))


@dataclass
class Simulation:
    """A population of sites in two networks with untied weights.

    Attributes
    ----------
    point
        What is simulated.
    sites
        M.
    seed
        Of the population.
    """

    point: Point
    sites: int
    seed: int
    states: np.ndarray = field(init=False)  # (2 networks, states, M)

    def __post_init__(self) -> None:
        cell = self.point.cell
        names = [*cell.states, *cell.gates, cell.input]
        updates, sources = [_native(u) for u in cell.updates], [_native(y) for y in cell.sources]
        self._update = _compiled(names, updates)
        self._source = [_compiled(names, [source]) for source in sources]
        d, K = len(cell.states), len(cell.gates)
        tables = [*updates, *sources]
        flat = [f.diff(v) for f in tables for v in (*cell.states, *cell.gates)]
        kept = [k for k, entry in enumerate(flat) if entry != 0]
        derivative = _compiled(names, [flat[k] for k in kept]) if kept else None

        def jacobian(*arrays: np.ndarray) -> np.ndarray:
            found = np.zeros((len(flat), arrays[0].size))
            if derivative is not None:
                found[kept] = derivative(*arrays)
            return found.reshape(d + K, d + K, -1)

        self._jacobian = jacobian
        self._rng = np.random.default_rng([self.seed, self.sites])
        self._groups = [group for _, group in self.point.parameters.groups]
        rng, M = self._rng, self.sites
        first, other = rng.normal(size=(2, d, M))
        # Two networks that see the same start a little apart, so that they may part ways.
        self.states = np.array([first, 0.9 * first + math.sqrt(1 - 0.9**2) * other])
        # Even, as no time average takes away the noise of a draw of what is frozen.
        even = qmc.Sobol(K, rng=np.random.default_rng([self.seed, M, 1])).random(M)
        self._biases = scipy.special.ndtri(np.maximum(even, 1e-12)).T
        self.gates = np.zeros((2, K, M))
        self.x = np.zeros((2, M))

    def draw(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw preactivations and inputs of one step; return q_k and the covariance in pairs."""
        parameters, rng, M = self.point.parameters, self._rng, self.sites
        R = parameters.input_variance
        self.x = self._inputs()
        covariances = []
        frozen = parameters.bias_kind == "frozen"
        for k, group in enumerate(self._groups):
            y = [self._source[k](*self.states[n], *self.gates[n], self.x[n])[0] for n in range(2)]
            products = np.array([np.mean(y[0] ** 2), np.mean(y[1] ** 2), np.mean(y[0] * y[1])])
            inputs = R * np.array([1, 1, self.point.input_correlation])
            fresh = group.weight_std**2 * products + group.input_std**2 * inputs
            fresh = fresh + (0 if frozen else group.bias_std**2)
            z = rng.normal(size=(2, M))
            c = fresh[2] / math.sqrt(fresh[0] * fresh[1]) if fresh[0] * fresh[1] > 0 else 1.0
            c = min(1.0, max(-1.0, c))
            second = c * z[0] + math.sqrt((1 - c) * (1 + c)) * z[1]
            mean = group.bias_mean + (group.bias_std * self._biases[k] if frozen else 0.0)
            self.gates[0, k] = mean + math.sqrt(fresh[0]) * z[0]
            self.gates[1, k] = mean + math.sqrt(fresh[1]) * second
            covariances.append(fresh + (group.bias_std**2 if frozen else 0))
        table = np.array(covariances)
        return (table[:, 0] + table[:, 1]) / 2, table[:, 2]

    def step(self) -> None:
        """Take the drawn step."""
        for n in range(2):
            # A whole array first: an update may be a view of another state.
            self.states[n] = np.array(self._update(*self.states[n], *self.gates[n], self.x[n]))

    def derivatives(self, network: int) -> np.ndarray:
        """Return the derivatives of updates and sources, (states + K, states + K, M)."""
        return self._jacobian(*self.states[network], *self.gates[network], self.x[network])

    def _inputs(self) -> np.ndarray:
        parameters, M = self.point.parameters, self.sites
        z = self._rng.normal(size=(2, M))
        R, target = parameters.input_variance, self.point.input_correlation
        if parameters.input_kind == "gaussian":
            second = target * z[0] + math.sqrt((1 - target) * (1 + target)) * z[1]
            return math.sqrt(R) * np.array([z[0], second])
        gain, latent = _tanh_gain(R), _latent(R, target)
        second = latent * z[0] + math.sqrt((1 - latent) * (1 + latent)) * z[1]
        return np.tanh(gain * np.array([z[0], second]))


# An even rule: tanh of a steep slope has poles near the real axis, which Gauss's nodes do not see.
_NODES = np.linspace(-9.0, 9.0, 1501)
_WEIGHTS = np.exp(-(_NODES**2) / 2)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@cache
def _tanh_gain(R: float) -> float:
    return brentq(lambda a: float(_WEIGHTS @ np.tanh(a * _NODES) ** 2) - R, 0.0, 60.0, xtol=1e-13)


@cache
def _latent(R: float, correlation: float) -> float:
    if abs(correlation) == 1:
        return correlation
    gain = _tanh_gain(R)

    def gap(c: float) -> float:
        second = c * _NODES[:, None] + math.sqrt((1 - c) * (1 + c)) * _NODES
        inner = np.tanh(gain * second) @ _WEIGHTS
        return float(_WEIGHTS @ (np.tanh(gain * _NODES) * inner)) - R * correlation

    return brentq(gap, -1.0, 1.0, xtol=1e-9)


class Growth:
    """The growth of a small change, of one network or of the difference of two.

    Where the sites keep what a change was by themselves, ever fewer of them carry the average, in
    the end fewer than there are: see ``evenness``.
    """

    def __init__(self, simulation: Simulation, other: int) -> None:
        d, M = len(simulation.point.cell.states), simulation.sites
        self.simulation, self.other = simulation, other
        self.D = np.broadcast_to(np.eye(d)[:, :, None], (d, d, M)).copy()
        # Of J J^T after one step, two steps, ..., over each part of the population.
        self.means: list[np.ndarray] = []
        self.scale = 1.0
        self.evenness = 1.0  # the least share of sites on which the average has rested

    def step(self) -> float:
        """Carry the covariance of the change over the drawn step; return its growth."""
        simulation, d = self.simulation, len(self.D)
        one = simulation.derivatives(0)
        two = one if self.other == 0 else simulation.derivatives(1)
        v = np.zeros(len(simulation._groups))
        for k, group in enumerate(simulation._groups):
            a, b = one[d + k], two[d + k]
            seen = np.einsum("in,ijn,jn->n", a[:d], self.D, b[:d])
            seen = seen + (a[d:] * b[d:] * v[:, None]).sum(axis=0)
            v[k] = group.weight_std**2 * seen.mean()
        A, B = one[:d, :d], one[:d, d:]
        A2, B2 = two[:d, :d], two[:d, d:]
        before = self._size()
        self.D = np.einsum("ijn,jkn,lkn->iln", A, self.D, A2)
        self.D = self.D + np.einsum("ikn,lkn,k->iln", B, B2, v)
        after = self._size()
        parts = np.array_split(np.einsum("iin->n", self.D) / d, PARTS)
        self.means.append(self.scale * np.array([part.mean() for part in parts]))
        if after > 0:
            self.D, self.scale = self.D / after, self.scale * after
        weight = np.abs(np.einsum("iin->n", self.D))
        if after > 0 and np.any(weight):
            share = float(weight.sum()) ** 2 / float((weight**2).sum()) / simulation.sites
            self.evenness = min(self.evenness, share)
        return after / before if before > 0 else 0.0

    def _size(self) -> float:
        """Return the root mean square of what changes."""
        return float(np.abs(self.D.mean(axis=2)).sum())


def sampled_singular_values(
    simulation: Simulation, width: int, weights: str, rng: np.random.Generator
) -> np.ndarray:
    """Return the singular values of one Jacobian with a fresh dense W at sites of a population."""
    d, K = len(simulation.point.cell.states), len(simulation.point.cell.gates)
    chosen = rng.choice(simulation.sites, size=width, replace=False)
    table = simulation.derivatives(0)[:, :, chosen]
    gates: list[np.ndarray] = []  # de_k / ds, (width, d width)
    rows = [np.concatenate([np.diag(table[i, j]) for j in range(d)], axis=1) for i in range(d + K)]
    for k, group in enumerate(simulation._groups):
        y = rows[d + k] + sum(
            (table[d + k, d + j][:, None] * gates[j] for j in range(k)), np.zeros(1)
        )
        W = rng.normal(size=(width, width)) / math.sqrt(width)
        if weights == "orthogonal":
            Q, upper = np.linalg.qr(W)
            W = Q * np.sign(np.diag(upper))
        gates.append(group.weight_std * (W @ y))
    J = [
        rows[i] + sum((table[i, d + k][:, None] * gates[k] for k in range(K)), np.zeros(1))
        for i in range(d)
    ]
    return np.linalg.svd(np.concatenate(J), compute_uv=False)
