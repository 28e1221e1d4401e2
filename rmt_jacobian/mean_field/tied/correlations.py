"""Two copies of a network that keeps its weights, followed in time without its matrices."""

import math
from collections.abc import Sequence

import numpy as np

from rmt_jacobian.arrays import Seed, generator
from rmt_jacobian.cells import Cell, Parameters, compile_cell
from rmt_jacobian.counts import check_counts
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field.tied.circle import require_bounded
from rmt_jacobian.mean_field.tied.start import RevealedRotation

__all__ = ["tied_correlations"]


def tied_correlations(
    cell: Cell,
    parameters: Parameters,
    input_correlations: Sequence[float],
    *,
    start_variances: Sequence[float],
    start_correlation: float = 0.0,
    sites: int = 16384,
    seed: Seed = 0,
) -> np.ndarray:
    r"""Return the correlations of the preactivations of two copies of a network with shared W.

    Parameters
    ----------
    cell, parameters
        Any cell, and its hyperparameters.
    input_correlations
        Sigma_12 of the inputs of the two copies at steps 1, ..., T.
    start_variances, start_correlation
        Of every state at the start, which is Gaussian, and between the copies.
    sites, seed
        How many sites stand for infinitely many, and what is random.

    Returns
    -------
    ndarray
        :math:`c_k^t` of the preactivations around their bias means, shape (preactivations, T).

    Notes
    -----
    The dynamical mean field of both copies: W is a rotation of the sites that is revealed only on
    what both have asked of it so far, at :math:`O(T^2)` operations a site and no matrix; the noise
    is of order :math:`1 / \sqrt{\text{sites}}`. Inputs are new at every step, so that V is asked
    for new directions alone.

    Examples
    --------
    >>> from rmt_jacobian.cells import minimalrnn
    >>> c = tied_correlations(minimalrnn, Parameters.of(minimalrnn), [0.0] * 3 + [1.0] * 30,
    ...                       start_variances=[0.3], sites=1024)
    >>> bool(abs(c[0, 2]) < 0.2), bool(c[0, -1] > 0.5)
    (True, True)
    """
    check_counts(sites=sites)
    steps = len(input_correlations)
    if not steps or sites <= 2 * steps:
        raise ParameterError(
            f"give one step or more, and more than {2 * steps} sites for {steps} steps of both "
            f"copies, not {sites}"
        )
    if not -1 <= start_correlation <= 1 or not all(v >= 0 for v in start_variances):
        raise ParameterError("start_correlation must lie in [-1, 1], start_variances at 0 or above")
    if len(start_variances) != len(cell.states):
        raise ParameterError(
            f"give one start variance for each of {len(cell.states)} states, not "
            f"{len(start_variances)}"
        )
    rng, compiled = generator(seed), compile_cell(cell)
    groups = [parameters[each.name] for each in cell.preactivations]
    rotations = [RevealedRotation(sites, 2 * steps, rng) for _ in groups]
    biases = [g.bias_std * rng.standard_normal(sites) for g in groups]
    states = [_pair(math.sqrt(v), start_correlation, sites, rng) for v in start_variances]
    found = []
    for sigma_12 in input_correlations:
        x = list(parameters.inputs.draw_pair(rng, sites, sigma_12).T)
        drives: list[list[np.ndarray]] = [[], []]
        row = []
        for k, group in enumerate(groups):
            scale = group.input_std * math.sqrt(parameters.input_variance)
            readings = _pair(scale, sigma_12, sites, rng)
            centred = []
            for copy in range(2):
                now, before = [state[copy] for state in states], drives[copy]
                y = compiled.source(k, now, [*before, *[0.0] * (len(groups) - k)])
                y = y + np.zeros(sites)
                require_bounded(cell, y)
                image = group.weight_std * rotations[k].apply(y) if group.weight_std else 0.0
                centred.append(image + readings[copy] + biases[k])
                drives[copy].append(centred[-1] + group.bias_mean)
            row.append(_cosine(*centred))
        moved = [
            compiled.update([state[copy] for state in states], drives[copy], x[copy])
            for copy in range(2)
        ]
        states = [np.stack([np.zeros(sites) + each for each in both])
                  for both in zip(*moved, strict=True)]  # fmt: skip
        found.append(row)
    return np.array(found).T


def _pair(scale: float, correlation: float, sites: int, rng: np.random.Generator) -> np.ndarray:
    """Draw correlated normal variables for the two copies, shape (2, sites)."""
    z = rng.standard_normal((2, sites))
    second = correlation * z[0] + math.sqrt((1 - correlation) * (1 + correlation)) * z[1]
    return scale * np.stack([z[0], second])


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    size = math.sqrt((one @ one) * (other @ other))
    return float(one @ other / size) if size else math.nan
