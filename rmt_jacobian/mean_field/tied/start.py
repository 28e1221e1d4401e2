r"""A tied network followed in time from a random state, without its matrices.

A Haar orthogonal W of size N is revealed only where the network asks for it
(Bolthausen 2014, Commun. Math. Phys. 325, 333): the part of y(t) inside the span of earlier
sources is mapped as before, and the part outside to a fresh direction.  Gaussian W has the same
large-N dynamics.  The start of the network selects its steady state where there are several, here
as in a real one.
"""

from dataclasses import dataclass

import numpy as np

from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.mean_field.tied.circle import Inputs, require_bounded

__all__ = ["CausalRun", "RevealedRotation", "causal_run"]

_NEGLIGIBLE = 1e-7  # a part of y outside the span that is so small is rounding


class RevealedRotation:
    """An orthogonal matrix on the span of what it has been applied to."""

    def __init__(self, sites: int, capacity: int, rng: np.random.Generator) -> None:
        self._rng, self._count = rng, 0
        self._inward = np.empty((capacity, sites))
        self._outward = np.empty((capacity, sites))

    def apply(self, y: np.ndarray) -> np.ndarray:
        """Return the image of y, which from now on is known."""
        inward, outward = self._inward[: self._count], self._outward[: self._count]
        known, rest = _split(y, inward)
        image, outside = known @ outward, np.linalg.norm(rest)
        if outside > _NEGLIGIBLE * np.linalg.norm(y):
            _, fresh = _split(self._rng.standard_normal(y.shape), outward)
            fresh /= np.linalg.norm(fresh)
            self._inward[self._count], self._outward[self._count] = rest / outside, fresh
            self._count += 1
            image = image + outside * fresh
        return image


def _split(vector: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates in an orthonormal basis and the rest, orthogonalised twice."""
    first = basis @ vector
    rest = vector - first @ basis
    second = basis @ rest
    return first + second, rest - second @ basis


@dataclass(frozen=True)
class CausalRun:
    """The last half of a run: covariances at lags up to a quarter of it, and the largest sources.

    Attributes
    ----------
    source_covariances
        Of y_k, shape (K, lags + 1).
    largest
        The largest E[y_k^2] of the whole run, shape (K,).
    """

    source_covariances: np.ndarray
    largest: np.ndarray


def causal_run(
    cell: Cell, parameters: Parameters, inputs: Inputs, *, steps: int, sites: int,
    start_variance: float, rng: np.random.Generator,
) -> CausalRun:  # fmt: skip
    """Follow a tied network of ``sites`` sites from independent normal states."""
    compiled, groups = compile_cell(cell), [parameters[each.name] for each in cell.preactivations]
    rotations = [RevealedRotation(sites, steps, rng) for _ in groups]
    biases = [g.bias_mean + g.bias_std * rng.standard_normal(sites) for g in groups]
    states = list(np.sqrt(start_variance) * rng.standard_normal((len(cell.states), sites)))
    sources = np.empty((len(groups), steps, sites))
    x = parameters.inputs.draw(rng, (sites,))
    readings = rng.standard_normal((len(groups), sites))
    for t in range(steps):
        if inputs == "fresh":
            x = parameters.inputs.draw(rng, (sites,))
            readings = rng.standard_normal((len(groups), sites))
        gates: list[np.ndarray] = []
        for k, group in enumerate(groups):
            sources[k, t] = compiled.source(k, states, gates)
            require_bounded(cell, sources[k, t])
            read = group.input_std * np.sqrt(parameters.input_variance) * readings[k]
            image = group.weight_std * rotations[k].apply(sources[k, t]) if group.weight_std else 0
            gates.append(image + read + biases[k])
        states = [state + 0 * x for state in compiled.update(states, gates, x)]
    late = sources[:, steps // 2 :]
    count = late.shape[1]
    products = np.einsum("kts,kus->ktu", late, late, optimize=True) / sites
    covariances = [
        [np.diagonal(product, lag).mean() for lag in range(count // 2 + 1)] for product in products
    ]
    return CausalRun(np.array(covariances), (sources**2).mean(axis=2).max(axis=1))
