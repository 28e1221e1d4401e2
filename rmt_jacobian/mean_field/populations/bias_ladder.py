r"""What sites of any frozen bias keep of a change: the most of it is all that is left in the end.

A change of the memory at a site of bias b falls in the mean square by :math:`\kappa(b)` a step, so
that the limit of growth rates is at least :math:`\sup_b \kappa(b)`, however rare such biases are.
Populations hardly hold them; here sites stand on a ladder of biases that reaches far out.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rmt_jacobian.mean_field.populations.site_models import Drives
from rmt_jacobian.mean_field.populations.walk import REPLICATES, Population, Walk

__all__ = ["edge_of_biases", "ladder"]

_RUNGS, _FEWEST = {1: 64, 2: 16, 3: 8, 4: 4, 5: 4}, 2  # of each bias, by their number
_FARTHEST = 40.0  # standard deviations
_BESIDE = 4  # sites of each population on a rung
_FOLLOWED = 64  # steps, in the second half of which rates are read off
_DOUBT = 2.0  # standard errors
_LEAST = 1e-300


def ladder(biases: int) -> np.ndarray:
    """Return so many biases in standard deviations, shape (biases, rungs): dense near 0.

    Examples
    --------
    >>> ladder(1).shape, ladder(2).shape, round(float(ladder(2).max()), 9)
    ((1, 64), (2, 256), 40.0)
    """
    rungs = _RUNGS.get(biases, _FEWEST)
    one = np.sinh(np.linspace(-1, 1, rungs) * np.arcsinh(_FARTHEST))
    return np.array(list(itertools.product(one, repeat=biases))).T


def edge_of_biases(model: Population, drives: Drives, settling: int) -> float:
    """Return the most that sites of some frozen bias are seen to keep of a squared change a step.

    Two standard errors below the highest rung, which would else be the luckiest.

    Parameters
    ----------
    model
        The cell, with biases that are frozen.
    drives
        What is drawn anew at every step.
    settling
        Steps after which a site has forgotten its start.
    """
    steps = ladder(len(model.frozen))
    count = steps.shape[1] * _BESIDE
    sites = replace(model, count=count, splits=False, normals={}, spread=1.0)
    walk = Walk(sites, drives.variances, [drives] if drives.correlations else [])
    biases = np.zeros(walk.biases.shape)
    for i, k in enumerate(model.frozen):
        std = model.parameters.groups[k][1].bias_std
        biases[k] = std * np.tile(steps[i], _BESIDE)
    walk.biases = biases
    walk.run(settling)
    logs = _followed(walk, steps.shape[1])
    rates = (logs[-1] - logs[_FOLLOWED // 2]) / (_FOLLOWED - _FOLLOWED // 2)
    mean, error = rates.mean(axis=0), rates.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
    return float(np.exp(np.max(mean - _DOUBT * error)))


def _followed(walk: Walk, rungs: int) -> np.ndarray:
    """Return log mean squares of a change of the memory on its way: (steps + 1, R, rungs)."""
    memory = walk.model.cell.memory
    change = np.zeros((len(memory), len(memory), REPLICATES, walk.count))
    change[range(len(memory)), range(len(memory))] = 1.0
    logs = [np.zeros((REPLICATES, rungs))]
    for _ in range(_FOLLOWED):
        walk.draw()
        tables = walk.derivatives()
        one, two = (_matrix(table.state, memory, walk.count) for table in (tables[0], tables[-1]))
        change = np.einsum("ikrs,klrs,jlrs->ijrs", one, change, two)
        walk.update()
        squares = np.abs(np.einsum("iirs->rs", change)).reshape(REPLICATES, _BESIDE, rungs)
        size = np.maximum(squares.mean(axis=1), _LEAST)
        logs.append(logs[-1] + np.log(size))
        change = change / np.tile(size, (1, _BESIDE))
    return np.array(logs)


def _matrix(
    entries: Mapping[tuple[int, int], np.ndarray], memory: tuple[int, ...], count: int
) -> np.ndarray:
    """Return the derivatives of the memory by the memory, shape (m, m, R, sites)."""
    found = np.zeros((len(memory), len(memory), REPLICATES, count))
    for (i, j), value in entries.items():
        if i in memory and j in memory:
            found[memory.index(i), memory.index(j)] = value
    return found
