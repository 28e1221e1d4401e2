r"""Moments of a product from random sign vectors, with the noise of their way through it removed.

A vector v of independent signs has

.. math:: \mathbb E \frac{|J v|^2}{n} = m_1, \qquad \mathbb E \frac{|J^T J v|^2}{n} = m_2,

with variance :math:`2 (m_4 - \langle (J^T J)^2_{ii}{}^2 \rangle) / n` of the second.  After many
steps m_4 is far larger than m_2^2, and nearly all of this variance is that of averages over sites
whose means are known:

- On the way back every :math:`W^T r` is, given the way forward, :math:`c\, y + h`.  Here y is what
  W was applied to, :math:`c = (W y \cdot r) / |y|^2`, and h is a fresh isotropic vector of known
  length.  So :math:`z^T d z` minus its mean given all but h averages to 0, and with d the site
  matrices of the steps that are still to come it follows the fluctuations of the result.
- The way forward shows in :math:`|J v|^2 / n - m_1`, with m_1 the known mean on the drawn sites;
  it serves as a control variate.

Neither uses the theory of m_2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.sampling.matrix_free.factors import (
    Row,
    StepFactors,
    SymmetricSites,
    along_row,
    mean_over_sites,
    row_of,
)

__all__ = ["VectorMoments", "controlled", "vector_moments"]

_FEWEST = 4  # values of which the coefficient of a control is fitted


@dataclass(frozen=True)
class VectorMoments:
    r"""What some sign vectors say about the moments of one product.

    Attributes
    ----------
    mean, second_moment
        :math:`|J v|^2 / n` and :math:`|J^T J v|^2 / n`, shape (vectors,).
    backward
        What averages to 0 and follows the fluctuations of ``second_moment`` on the way back.
    """

    mean: np.ndarray
    second_moment: np.ndarray
    backward: np.ndarray


def vector_moments(
    steps: Sequence[StepFactors],
    through: Sequence[SymmetricSites],
    signs: Any,
    *,
    orthogonal: bool,
) -> VectorMoments:
    r"""Send sign vectors through a product and back.

    Parameters
    ----------
    steps
        The factors of every step, the first one first.
    through
        :func:`.covariances` of them.
    signs
        The vectors, shape (dN,) or (dN, m).
    orthogonal
        Whether every W is a multiple of an orthogonal matrix; Gaussian if not.

    Notes
    -----
    Keeps the vector at every step: T (d + K) arrays over sites for K preactivations.

    That the mean of ``backward`` vanishes assumes fresh bi-invariant W; it is off by O(1/N), as the
    direction of h within the hyperplane orthogonal to y is not independent of y.

    Examples
    --------
    >>> from rmt_jacobian.cells import Parameters, vanilla
    >>> from rmt_jacobian.sampling import run_network
    >>> from rmt_jacobian.sampling.matrix_free.site_moments import covariances
    >>> run = run_network(vanilla, Parameters.of(vanilla), width=512, steps=3,
    ...                   rng=np.random.default_rng(0))
    >>> steps = [StepFactors.of(step) for step in run]
    >>> v = np.random.default_rng(1).choice([-1.0, 1.0], (512, 32))
    >>> found = vector_moments(steps, covariances(steps), v, orthogonal=False)
    >>> raw, kept = found.second_moment, found.second_moment - found.backward
    >>> bool(abs(kept.mean() / raw.mean() - 1) < 0.05)
    True
    """
    d, width = steps[0].states, signs.shape[0] // steps[0].states
    blocks: dict[int, Any] = {s: signs[s * width : (s + 1) * width, ...] for s in range(d)}
    path: list[dict[int, Any]] = []
    for step in steps:
        for new, W, source in step.random():
            y = along_row(source, blocks)
            if y is not None:
                blocks[new] = W.apply(y)
        path.append(blocks)
        blocks = _updated(step, blocks, like=signs[:width, ...])
    first = _mean_square(blocks) / d
    backward = 0 * first
    for step, forward, before in zip(
        reversed(steps), reversed(path), reversed(through[:-1]), strict=True
    ):
        blocks, innovation = _step_back(step, blocks, forward, before, orthogonal)
        backward = backward + innovation / d
    return VectorMoments(first, _mean_square(blocks) / d, backward)


def _updated(step: StepFactors, blocks: dict[int, Any], like: Any) -> dict[int, Any]:
    rows = [along_row(row, blocks) for row in step.updates]
    return {i: 0 * like if row is None else row for i, row in enumerate(rows)}


def _step_back(
    step: StepFactors,
    blocks: dict[int, Any],
    forward: dict[int, Any],
    before: SymmetricSites,
    orthogonal: bool,
) -> tuple[dict[int, Any], np.ndarray]:
    """Return the transposed Jacobian of a step times a vector, and its innovations."""
    z: dict[int, Any] = {}
    for i, row in enumerate(step.updates):
        z = _added(z, row, blocks[i])
    total: Any = 0.0
    site_matrices = _before_each_factor(step, before)
    for new, W, source in reversed(list(step.random())):
        r = z.pop(new, None)
        if r is None or new not in forward:
            continue
        f, y, d = W.apply_transposed(r), along_row(source, forward), site_matrices[new]
        length = mean_over_sites(y * y)
        c = mean_over_sites(forward[new] * r) / _or_one(length)
        h = f - c * y
        z = _added(z, source, c * y)
        passed = row_of(source, d)  # Y d
        gain = along_row(source, passed)  # Y d Y^T
        fresh = mean_over_sites(_times(step.row_squares[new], r * r))
        if orthogonal:
            fresh = fresh - c * c * length
        cross = along_row(passed, z)
        square = mean_over_sites(_times(gain, h * h)) - fresh * mean_over_sites(gain)
        total = total + square + (0.0 if cross is None else 2 * mean_over_sites(h * cross))
        z = _added(z, source, h)
    states = {s: z.get(s, 0 * blocks[s]) for s in range(step.states)}
    return states, _on_host(total)


def _before_each_factor(step: StepFactors, d: SymmetricSites) -> dict[int, SymmetricSites]:
    """Return the site matrices before every random factor, by the component that it adds."""
    found, d = {}, dict(d)
    for new, _, source in step.random():
        found[new] = dict(d)
        d[new, new] = step.row_squares[new] * mean_over_sites(along_row(source, row_of(source, d)))
    return found


def _added(z: dict[int, Any], row: Row, block: Any) -> dict[int, Any]:
    """Return z + row^T block."""
    found = dict(z)
    for i, diagonal in row.items():
        term = _times(diagonal, block)
        found[i] = found[i] + term if i in found else term
    return found


def _times(diagonal: Any, block: Any) -> Any:
    by_rows = getattr(diagonal, "ndim", 0) == 1 and block.ndim == 2
    return (diagonal[:, None] if by_rows else diagonal) * block


def _or_one(lengths: Any) -> Any:
    """Return lengths with 1 in place of 0: the image of nothing says nothing."""
    xp = array_namespace(lengths)
    return xp.where(lengths > 0, lengths, xp.ones_like(lengths))


def _mean_square(blocks: dict[int, Any]) -> np.ndarray:
    return _on_host(sum(array_namespace(b).mean(b * b, axis=0) for b in blocks.values()))


def _on_host(values: Any) -> np.ndarray:
    array = to_numpy(values) if hasattr(values, "ndim") else np.asarray(values)
    return np.atleast_1d(np.asarray(array, dtype=float))


def controlled(values: np.ndarray, control: np.ndarray) -> tuple[np.ndarray, float]:
    r"""Subtract from values their part that is linear in a control of known mean 0.

    .. math::
        x_i - \beta c_i, \qquad \beta = \frac{S_{xc}}{S_{cc}}, \qquad
        \text{error}^2 = \frac{\sum_i (x_i - \bar x - \beta (c_i - \bar c))^2}{n - 2}
                        \left(\frac1n + \frac{\bar c^2}{S_{cc}}\right),

    the intercept of a line and its standard error.

    Parameters
    ----------
    values, control
        Shape (n,); with fewer than 4 the values are returned as they are.

    Returns
    -------
    tuple
        The values without that part, and the standard error of their mean.

    References
    ----------
    :cite:t:`LavenbergWelch1981`.

    Examples
    --------
    >>> c = np.array([1.0, -2.0, 3.0, -2.5])
    >>> controlled(5 + 2 * c, c)[0]
    array([5., 5., 5., 5.])
    """
    count = len(values)
    spread = control - control.mean()
    total = float(spread @ spread)
    if count < _FEWEST or total == 0:
        error = float(values.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
        return values, error
    kept = values - (spread @ values) / total * control
    rest = kept - kept.mean()
    variance = float(rest @ rest) / (count - 2)
    return kept, math.sqrt(variance * (1 / count + float(control.mean()) ** 2 / total))
