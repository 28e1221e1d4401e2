"""Iteration of a map of spectra to its fixed point, and where it dies out to a standstill."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rmt_jacobian.mean_field.dynamical_circle import lagged, without_frequency_zero

__all__ = ["SpectralFixedPoint", "accelerated", "iterate_spectra"]

_MEMORY = 5
_NEAR = 0.1  # Anderson's steps are taken below this residual only
_PATIENCE, _PLAIN = 25, 60  # evaluations without a better residual; plain steps after them
_KEPT = 0.2  # share of the plain step below which an accelerated spectrum is not let
_STILL = 1e-6  # of the variance along the start: fluctuations below it that shrink have died
_REGULARISATION = 1e-12

Spectra = np.ndarray


@dataclass(frozen=True, eq=False)
class SpectralFixedPoint:
    """Where an iteration ended.

    Attributes
    ----------
    spectra
        The last spectra that were mapped, shape (K, P/2 + 1).
    residual
        The change of covariances under the map, at any lag, relative to the equal-time ones.
    iterations
        Number of evaluations.
    converged, still
        Whether the residual is below the tolerance; whether the fluctuations have died.
    """

    spectra: Spectra
    residual: float
    iterations: int
    converged: bool
    still: bool


def iterate_spectra(
    function: Callable[[Spectra], Spectra],
    start: Spectra,
    period: int,
    *,
    tolerance: float,
    limit: int,
    reference: np.ndarray,
) -> SpectralFixedPoint:
    r"""Iterate :math:`\lambda \leftarrow F(\lambda)`, accelerated near its end.

    Far from the fixed point the plain step is taken: like the network itself it leaves a
    standstill exactly where that is unstable, since a small fluctuation of frequency omega is
    multiplied by :math:`\sigma^2 E|\chi(\omega)|^2`, with the response :math:`\chi` of a site.

    On few sites the map can have places where it hardly moves spectra, next to fixed points that
    vanished with the drawn numbers.  Plain steps pass through these slowly, accelerated ones are
    trapped: where the residual stops falling, a stretch of plain steps is taken.

    Parameters
    ----------
    reference
        Variances, shape (K,), against which fluctuations count as died out.

    References
    ----------
    Walker & Ni 2011, Algorithm AA.
    """
    spectra, before = start, np.inf
    history: list[tuple[Spectra, Spectra]] = []  # of points and of their changes
    residual, best, best_at, plain_until = np.inf, np.inf, 0, 0
    for iteration in range(1, limit + 1):
        image = function(spectra)
        residual = _residual(spectra, image, period)
        fluctuation = _largest_share(image, period, reference)
        if fluctuation < _STILL and fluctuation < before:
            return SpectralFixedPoint(spectra, residual, iteration, False, True)
        if residual <= tolerance:
            return SpectralFixedPoint(spectra, residual, iteration, True, False)
        if residual < best:
            best, best_at = residual, iteration
        elif iteration - best_at > _PATIENCE:
            best, best_at, plain_until = np.inf, iteration + _PLAIN, iteration + _PLAIN
        history = [*history, (spectra, image - spectra)][-_MEMORY - 1 :]
        plain, spectra, before = image, image, fluctuation
        if residual < _NEAR and len(history) > 2 and iteration >= plain_until:
            spectra = np.maximum(accelerated(history), _KEPT * plain)
    return SpectralFixedPoint(spectra, residual, limit, False, False)


def _largest_share(spectra: Spectra, period: int, reference: np.ndarray) -> float:
    fluctuations = lagged(without_frequency_zero(spectra), period)[:, 0]
    return float(np.max(fluctuations[reference > 0] / reference[reference > 0], initial=0.0))


def _residual(spectra: Spectra, image: Spectra, period: int) -> float:
    """Return the largest relative change, of the fluctuating part on its own scale too."""
    worst = 0.0
    for part in (lambda s: s, without_frequency_zero):
        size = lagged(part(image), period)[:, 0]
        change = np.abs(lagged(part(image) - part(spectra), period)).max(axis=-1)
        there = size > 0
        worst = max(worst, float(np.max(change[there] / size[there], initial=0.0)))
    return worst


def accelerated(history: list[tuple[Spectra, Spectra]]) -> Spectra:
    """Return the next point after a history of points and their changes, newest last."""
    points, changes = (np.stack(column) for column in zip(*history, strict=True))
    # Sources of different size count alike.
    scale = 1 / np.maximum(points[-1].sum(axis=-1, keepdims=True), 1e-300)
    D = ((changes[1:] - changes[:-1]) * scale).reshape(len(points) - 1, -1)
    normal = D @ D.T
    normal += (_REGULARISATION * np.trace(normal) + 1e-300) * np.eye(len(D))
    weights = np.linalg.solve(normal, D @ (changes[-1] * scale).ravel())
    moves = (points + changes)[1:] - (points + changes)[:-1]
    return points[-1] + changes[-1] - np.tensordot(weights, moves, axes=1)
