r"""Independent sites run through many steps, driven by low-discrepancy Gaussian variables.

With fresh W and V at every step the preactivations of a site are independent Gaussian variables,

.. math:: e_k \sim N(\mu_k, q_k), \qquad q_k = \sigma_k^2 E[y_k^2] + \nu_k^2 R + \rho_k^2,

and a site remembers its past only through the states that its updates read (:attr:`.Cell.memory`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import qmc

from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.mean_field.averages.bends import drawn_deviation
from rmt_jacobian.mean_field.averages.low_discrepancy import (
    low_discrepancy_normals,
    normal_quantiles,
)
from rmt_jacobian.mean_field.memory.moments import MemoryMoments, memory_moments
from rmt_jacobian.mean_field.sites.weighted import Sites

__all__ = [
    "Drive",
    "draw_drive",
    "low_discrepancy_normals",
    "run_sites",
]

_POPULATION = 4096  # sites of a ranked population


@dataclass(frozen=True, eq=False)
class Drive:
    """The standard normal variables behind the history of independent sites.

    Attributes
    ----------
    settling
        Of preactivations and inputs while the memory settles, shape (steps, variables, sites).  In
        a ranked population the k-th column goes to the site whose memory is the k-th smallest.
    recorded
        Of the steps that follow, shape (steps, variables, sites).
    start
        Quantiles of the memory that the recorded sites start from, shape (sites,), or None where
        they are the sites that settled.
    biases
        Of the frozen biases, shape (preactivations, sites).
    memory
        Of the memory before the first step, shape (states, sites).
    """

    settling: np.ndarray
    recorded: np.ndarray
    start: np.ndarray | None
    biases: np.ndarray
    memory: np.ndarray

    @property
    def settle(self) -> int:
        """The number of steps that only serve to forget the start."""
        return self.settling.shape[0]


def draw_drive(
    cell: Cell,
    parameters: Parameters,
    *,
    settle: int,
    record: int,
    count: int,
    rng: np.random.Generator,
) -> Drive:
    """Draw the variables of a history.

    One memory state without frozen biases is settled in a ranked population: at every step the
    sites are sorted by their memory and meet a low-discrepancy set in that order, so that averages
    stay even however long the memory (array-RQMC, :cite:t:`LEcuyerLecotTuffin2008`).  Else each
    site runs on its own.
    """
    per_step = len(cell.gates) + int(cell.reads_input_itself)
    frozen = [k for k in range(len(cell.gates)) if parameters.is_frozen(k)]
    biases = np.zeros((len(cell.gates), count))
    if len(cell.memory) == 1 and not frozen:
        settling, memory = _ranked(per_step, settle, rng)
        z = low_discrepancy_normals(1 + per_step * record, count, rng)
        recorded = z[1:].reshape(record, per_step, count)
        start: np.ndarray | None = ndtr(z[0])
    else:
        z = low_discrepancy_normals(
            len(frozen) + per_step * (record + settle) + len(cell.memory), count, rng
        )
        biases[frozen] = z[: len(frozen)]
        history = z[len(frozen) : len(frozen) + per_step * (record + settle)]
        history = history.reshape(record + settle, per_step, count)
        # The latest steps matter most and get the most even dimensions.
        settling, recorded = history[record:][::-1], history[:record]
        memory, start = z[len(z) - len(cell.memory) :], None
    return Drive(settling, recorded, start, biases, memory)


def _ranked(per_step: int, settle: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the variables of a ranked population: one even set, shifted anew at every step."""
    points = qmc.Sobol(1 + per_step, rng=rng).random(_POPULATION)
    points = points[np.argsort(points[:, 0])].T
    shifts = rng.random((settle, per_step, 1))
    normals = normal_quantiles((points[1:] + shifts) % 1)
    middle = (np.arange(_POPULATION) + 0.5) / _POPULATION
    return normals, normal_quantiles(middle)[None, :]


def run_sites(
    cell: Cell, parameters: Parameters, drive: Drive, variances: Sequence[float]
) -> list[Sites]:
    r"""Run the sites and return the recorded steps but the first, which makes the states.

    The memory starts as a Gaussian variable of the stationary mean and covariance, where these are
    known in closed form; it is given them once more after it has settled into its shape.

    Parameters
    ----------
    cell, parameters, drive
        What runs, and what drives it.
    variances
        :math:`q_k` without the variance of frozen biases, one for each preactivation.
    """
    std = [drawn_deviation(cell, variance, group.bias_mean)
           for variance, (_, group) in zip(variances, parameters.groups, strict=True)]  # fmt: skip
    run = _Run(cell, parameters, np.array(std), drive.biases)
    frozen = parameters.has_frozen_bias
    known = None if frozen else memory_moments(cell, parameters, tuple(float(v) for v in variances))
    states = _settled(run, drive, known)
    sites = []
    for normals in drive.recorded:
        sites.append(run.step(states, normals))
        states = run.after(sites[-1])
    return sites[1:]


def _settled(run: "_Run", drive: Drive, known: MemoryMoments | None) -> tuple[np.ndarray, ...]:
    """Return the states of the recorded sites before their first step."""
    memory = list(run.cell.memory)
    states = np.zeros((len(run.cell.states), drive.memory.shape[1]))
    states[memory] = drive.memory
    ranked = drive.start is not None
    if known is not None:
        states = known.imposed(states)
    elif not ranked:
        states[memory] = 0.0
    for normals in drive.settling:
        new = run.after(run.step(tuple(states), normals, biased=not ranked))
        states = np.array(new)
        if ranked:
            states = states[:, np.argsort(states[memory[0]])]
    if known is not None:
        states = known.imposed(states)
    if drive.start is None:
        return tuple(states)
    population = states.shape[1]
    middle = (np.arange(population) + 0.5) / population
    found = np.zeros((len(run.cell.states), drive.start.shape[0]))
    found[memory[0]] = np.interp(drive.start, middle, states[memory[0]])
    # Interpolation and the finite sample change the moments a little.
    return tuple(found if known is None else known.imposed(found))


@dataclass(frozen=True, eq=False)
class _Run:
    """Single sites of a cell, whose preactivations are Gaussian variables of given deviations."""

    cell: Cell
    parameters: Parameters
    std: np.ndarray
    biases: np.ndarray

    def step(
        self, states: tuple[np.ndarray, ...], normals: np.ndarray, *, biased: bool = True
    ) -> Sites:
        K, count = len(self.cell.gates), normals.shape[1]
        gates = []
        for k, (_, group) in enumerate(self.parameters.groups):
            e = group.bias_mean + self.std[k] * normals[k]
            if biased and self.parameters.is_frozen(k):
                e = e + group.bias_std * self.biases[k]
            gates.append(e)
        inputs = self.parameters.inputs
        x = inputs.from_normal(normals[K]) if len(normals) > K else np.zeros(count)
        weights = np.full(count, 1 / count)
        return Sites(self.cell, self.parameters, tuple(states), tuple(gates), x, weights)

    def after(self, sites: Sites) -> tuple[np.ndarray, ...]:
        new = compile_cell(self.cell).update(sites.states, sites.gates, sites.x)
        return tuple(state + 0 * sites.x for state in new)
