"""Site variables over T steps, the diagonals that a T-step product is made of."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from rmt_jacobian.arrays import Device, Seed, array_namespace, generator, on_device
from rmt_jacobian.cells import compile_cell
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import SiteLaw, stationary_states
from rmt_jacobian.mean_field.averages.bends import drawn_deviation

__all__ = ["SiteHistory", "drawn_sites", "low_discrepancy_sites"]

_POPULATION = 65_536  # states behind the quantiles of the stationary law
_SOBOL_DIMENSIONS = 21_201


@dataclass(frozen=True)
class SiteHistory:
    r"""The diagonals of :math:`J_t = A_t + B_t W_t` over T steps, at weighted sites.

    Attributes
    ----------
    direct, gate
        A and B, shape (T, sites), in any array namespace.
    weights
        The share of every site in averages, shape (sites,), positive with sum 1.

    Examples
    --------
    >>> SiteHistory.of(np.full((2, 3), 0.5), np.ones((2, 3))).steps
    2
    """

    direct: Any
    gate: Any
    weights: Any

    @classmethod
    def of(cls, direct: Any, gate: Any, weights: Any = None) -> "SiteHistory":
        """Check shapes and weights; equal weights by default.

        Raises
        ------
        ParameterError
            If the shapes differ, a number is not finite, or the weights are not a probability.
        """
        xp = array_namespace(direct, gate)
        if direct.ndim != 2 or direct.shape != gate.shape or 0 in direct.shape:
            raise ParameterError(
                "the diagonals A and B must both have the shape (steps, sites), not "
                f"{tuple(direct.shape)} and {tuple(gate.shape)}"
            )
        if not bool(xp.all(xp.isfinite(direct)) & xp.all(xp.isfinite(gate))):
            raise ParameterError("the diagonals A and B must be finite")
        sites = direct.shape[1]
        if weights is None:
            weights = xp.ones_like(direct[0, :]) / sites
        if weights.shape != (sites,) or not bool(xp.all(weights > 0)):
            raise ParameterError(f"weights must be positive, one for each of the {sites} sites")
        if abs(float(xp.sum(weights)) - 1) > 1e-9:
            raise ParameterError("the weights of the sites must add up to 1: divide by their sum")
        return cls(direct, gate, weights)

    @property
    def steps(self) -> int:
        """T."""
        return self.direct.shape[0]

    @property
    def count(self) -> int:
        """The number of sites."""
        return self.direct.shape[1]

    @cached_property
    def direct_squares(self) -> list[Any]:
        """A^2, one array of shape (sites,) for each step."""
        return [self.direct[t, :] ** 2 for t in range(self.steps)]

    @cached_property
    def gate_squares(self) -> list[Any]:
        """B^2, one array of shape (sites,) for each step."""
        return [self.gate[t, :] ** 2 for t in range(self.steps)]

    @cached_property
    def measures(self) -> list[Any]:
        """The weights of every block of the chain v_0, w_1, v_1, ...: p at v, p B^2 at w."""
        xp = array_namespace(self.direct)
        plain = xp.astype(self.weights, xp.complex128)
        gated = [xp.astype(self.weights * b, xp.complex128) for b in self.gate_squares]
        return [gated[k // 2] if k % 2 else plain for k in range(2 * self.steps)]

    @cached_property
    def lost(self) -> float:
        r"""The share of singular values that are 0.

        A site of :math:`J_t \cdots J_1` vanishes if :math:`B_t = 0`, and :math:`A_t = 0` or the
        site had vanished before; the rank of the whole product is that of its least part.
        """
        xp = array_namespace(self.direct)
        lost, share = xp.zeros(self.weights.shape, dtype=xp.bool), 0.0
        for A, B in zip(self.direct_squares, self.gate_squares, strict=True):
            lost = (B == 0) & ((A == 0) | lost)
            share = max(share, float(xp.sum(xp.where(lost, self.weights, 0 * self.weights))))
        return share

    def first(self, steps: int) -> "SiteHistory":
        """Return the first steps."""
        return SiteHistory(self.direct[:steps, :], self.gate[:steps, :], self.weights)

    def portions(self, size: int) -> list["SiteHistory"]:
        """Cut the sites into groups of at most ``size``; the weights stay as they are."""
        cuts = range(0, self.count, size)
        return [
            SiteHistory(
                self.direct[:, cut : cut + size],
                self.gate[:, cut : cut + size],
                self.weights[cut : cut + size],
            )
            for cut in cuts
        ]

    def on(self, device: Device | ModuleType) -> "SiteHistory":
        """Return the same with all arrays on a device; see :func:`.namespace`."""
        return SiteHistory(
            *(on_device(array, device) for array in (self.direct, self.gate, self.weights))
        )

    def weighted(self, weights: Any) -> "SiteHistory":
        """Return the same sites with other weights."""
        return replace(self, weights=weights)


def drawn_sites(law: SiteLaw, steps: int, count: int, seed: Seed = 0) -> SiteHistory:
    r"""Run independent sites from the stationary law, with random numbers.

    Parameters
    ----------
    law
        The stationary law of one site.
    steps, count
        T and the number of sites.
    seed
        What the draw depends on.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, minimalrnn
    >>> from rmt_jacobian.mean_field import site_law
    >>> sites = drawn_sites(site_law(minimalrnn, Parameters.of(minimalrnn)), steps=3, count=16)
    >>> sites.direct.shape
    (3, 16)
    """
    rng = generator(seed)
    check_counts({"the number of sites": count}, steps=steps)
    return _history(law, rng.random((count, 2 * steps + 1)), rng)


def low_discrepancy_sites(law: SiteLaw, steps: int, count: int, seed: Seed = 0) -> SiteHistory:
    r"""Run sites from the stationary law, with randomised low-discrepancy numbers.

    The coordinates of a scrambled Sobol sequence are the quantiles of the first state and of the
    preactivation and the input of every step; averages of smooth functions of few of them converge
    almost like 1 / count instead of 1 / sqrt(count).

    Parameters
    ----------
    law
        The stationary law of one site.
    steps, count
        T and the number of sites, best a power of 2.
    seed
        Of the randomisation: other seeds give independent replicates.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.mean_field import site_law
    >>> law = site_law(vanilla, Parameters.of(vanilla))
    >>> sites = low_discrepancy_sites(law, steps=1, count=1024)
    >>> bool(abs((sites.gate**2).mean() / law.weight_gain - 1) < 1e-3)
    True
    """
    rng = generator(seed)
    check_counts({"the number of sites": count}, steps=steps)
    return _history(law, scrambled_sobol(2 * steps + 1, count, rng), rng)


def scrambled_sobol(dimensions: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return randomised low-discrepancy numbers, shape (count, dimensions)."""
    if dimensions > _SOBOL_DIMENSIONS:
        raise ParameterError(
            f"at most {_SOBOL_DIMENSIONS // 2} steps, not {dimensions // 2}: use drawn_sites"
        )
    sequence = qmc.Sobol(dimensions, rng=rng)
    # A Sobol sequence is balanced at powers of 2; the first points of the next one serve any count.
    return sequence.random_base2(max(0, math.ceil(math.log2(count))))[:count]


def clipped(uniform: np.ndarray) -> np.ndarray:
    """Keep numbers off 0 and 1, whose quantiles are infinite; they are 2^-30 apart or less."""
    return np.clip(uniform, 2.0**-32, 1 - 2.0**-32)


def _history(law: SiteLaw, uniform: np.ndarray, rng: np.random.Generator) -> SiteHistory:
    """Run sites whose first state, preactivations and inputs have the given quantiles."""
    uniform = clipped(uniform)
    mean = law.parameters.only.bias_mean
    std = drawn_deviation(law.cell, law.preactivation_variance, mean)
    e = mean + std * ndtri(uniform[:, 1::2])
    return site_paths(law, uniform[:, 0], e, ndtri(uniform[:, 2::2]), rng)


def site_paths(
    law: SiteLaw,
    first: np.ndarray,
    gates: np.ndarray,
    inputs: np.ndarray,
    rng: np.random.Generator,
    weights: np.ndarray | None = None,
) -> SiteHistory:
    """Run sites along given preactivations.

    Parameters
    ----------
    law
        The stationary law of one site.
    first
        The quantile of the first state, shape (sites,).
    gates, inputs
        The preactivations, and normal variables behind the inputs; shape (sites, T).
    rng
        For the population behind the quantiles.
    weights
        The shares of the sites, by default equal.
    """
    compiled, direct, gate = compile_cell(law.cell), [], []
    h = _state_quantiles(law, first, rng)
    for e, z in zip(gates.T, inputs.T, strict=True):
        x = law.parameters.inputs.from_normal(z)
        derivatives = compiled.derivatives([h], [e], x)
        direct.append(np.broadcast_to(derivatives.state.get((0, 0), 0.0), h.shape))
        gate.append(np.broadcast_to(derivatives.gate.get((0, 0), 0.0), h.shape))
        (h,) = compiled.update([h], [e], x)
    return SiteHistory.of(np.array(direct), np.array(gate), weights)


def _state_quantiles(law: SiteLaw, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return quantiles of the stationary state, from a population of its mean and variance."""
    if all(d == 0 for row in law.cell.state_derivatives for d in row) and not _reads_state(law):
        return np.zeros_like(p)
    population = np.sort(stationary_states(law, _POPULATION, rng))
    mean, variance = law.state_moment(1), law.state_variance - law.state_moment(1) ** 2
    spread = population.std()
    scale = math.sqrt(max(0.0, variance)) / spread if spread else 0.0
    population = mean + scale * (population - population.mean())
    return population[np.minimum((p * _POPULATION).astype(int), _POPULATION - 1)]


def _reads_state(law: SiteLaw) -> bool:
    """Whether a diagonal of the Jacobian or the update of the cell depends on the state."""
    cell = law.cell
    table = [cell.gate_derivatives[0][0], *cell.updates]
    return any(entry.has(cell.states[0]) for entry in table)
