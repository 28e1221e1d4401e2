r"""The share of singular values of a T-step product that are 0, whatever the W.

The product factors through any cut of its random matrices: of every W_k of every step either the
outputs e_k are given or the inputs y_k are kept.  Given the states at the start and the e_k of the
first kind, the other e_k being 0, a site determines its states at the end and the y_k of the second
kind by a small matrix; the rank of the product is at most the sum of these ranks over the sites,
and for generic W it is the least of these sums.  Cuts in time are compared: all e given before a
step, all y kept after it, and any of the two within it.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from rmt_jacobian.arrays import to_numpy

__all__ = ["dense", "lost_share"]

_RANK = 1e-9  # of the largest singular value, below which another is 0
_SPOKESMEN = 8  # sites for each pattern of zeros


def lost_share(steps: Sequence[Sequence[Any]], sources: Sequence[int], weights: Any) -> float:
    """Return the share of singular values that are 0, by the least rank over cuts in time.

    Parameters
    ----------
    steps
        A, B, Y_s, Y_e of every step, as matrices of entries: arrays over sites, numbers, or None.
    sources
        Which source every preactivation multiplies.
    weights
        Of the sites, shape (sites,).

    Examples
    --------
    >>> alive = np.array([0.0, 1.0, 1.0, 1.0])  # a quarter of the neurons is dead
    >>> relu = [[[None]], [[alive]], [[1.0]], [[None]]]
    >>> lost_share([relu, relu], [0], np.full(4, 0.25))
    0.25
    """
    weights = to_numpy(weights)
    d, K = len(steps[0][0]), len(sources)
    filled = [
        [dense(m, len(weights), columns) for m, columns in zip(step, (d, K, d, K), strict=True)]
        for step in steps
    ]
    chosen, members = _spokesmen(filled)
    if not sources:
        sources = []
    share = np.bincount(members, weights, minlength=int(members.max()) + 1)
    ranks = _least_ranks([[m[at] for m in step] for step in filled for at in [chosen.ravel()]],
                         list(sources), share, chosen.shape)  # fmt: skip
    states = filled[0][0].shape[1]
    lost = 1.0 - ranks / states
    return lost if lost > 1e-12 else 0.0


def dense(matrix: Sequence[Sequence[Any]], sites: int, columns: int) -> np.ndarray:
    """Return a matrix of entries as an array, shape (sites, rows, columns)."""
    filled = np.zeros((sites, len(matrix), columns))
    for i, row in enumerate(matrix):
        for j, entry in enumerate(row):
            if entry is not None:
                filled[:, i, j] = to_numpy(entry) if hasattr(entry, "shape") else entry
    return filled


def _spokesmen(filled: Sequence[Sequence[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return sites that stand for all with the same zeros, (patterns, 8), and their pattern.

    Sites whose numbers are closest to each other in modulus have the clearest ranks.
    """
    flat = np.concatenate([m.reshape(len(m), -1) for step in filled for m in step], axis=1)
    _, members = np.unique(flat != 0, axis=0, return_inverse=True)
    members = members.ravel()
    with np.errstate(divide="ignore"):
        logs = np.where(flat != 0, np.abs(np.log(np.abs(flat))), 0.0).max(axis=1)
    order = np.lexsort((logs, members))
    starts = np.searchsorted(members[order], np.arange(members.max() + 2))
    chosen = [
        order[np.minimum(starts[c] + np.arange(_SPOKESMEN), starts[c + 1] - 1)]
        for c in range(len(starts) - 1)
    ]
    return np.array(chosen), members


def _least_ranks(
    steps: Sequence[Sequence[np.ndarray]], sources: list[int], share: np.ndarray,
    shape: tuple[int, ...],
) -> float:  # fmt: skip
    """Return the least average rank over cuts."""

    def average(matrix: np.ndarray) -> float:
        return float(share @ _rank(matrix).reshape(shape).max(axis=1))

    seen = _observables(steps)
    reached = np.broadcast_to(np.eye(steps[0][0].shape[1]), steps[0][0].shape)
    least = float(steps[0][0].shape[1])
    for t, (A, B, Ys, Ye) in enumerate(steps):
        for given in product((False, True), repeat=len(sources)):
            noise = [k for k, is_given in enumerate(given) if is_given]
            kept = sorted({sources[k] for k, is_given in enumerate(given) if not is_given})
            states = np.concatenate([A @ reached, B[:, :, noise]], axis=2)
            outputs = np.concatenate([Ys @ reached, Ye[:, :, noise]], axis=2)[:, kept, :]
            least = min(least, average(np.concatenate([seen[t + 1] @ states, outputs], axis=1)))
        reached = _basis(np.concatenate([A @ reached, B], axis=2))
    return least


def _observables(steps: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Return bases of what the states before every step, and after the last, are seen by."""
    seen = [np.broadcast_to(np.eye(steps[0][0].shape[1]), steps[0][0].shape)]
    for A, _, Ys, _ in reversed(steps):
        rows = np.concatenate([seen[-1] @ A, Ys], axis=1)
        seen.append(_basis(rows.swapaxes(1, 2)).swapaxes(1, 2))
    return seen[::-1]


def _basis(matrix: np.ndarray) -> np.ndarray:
    """Return orthonormal columns that span those of a matrix, and zeros; (sites, d, d)."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    u, s, _ = np.linalg.svd(matrix / np.where(norms > 0, norms, 1), full_matrices=False)
    u = u * (s > _RANK * np.maximum(s[:, :1], 1e-300))[:, None, :]
    missing = matrix.shape[1] - u.shape[2]
    return np.pad(u, ((0, 0), (0, 0), (0, missing)))


def _rank(matrix: np.ndarray) -> np.ndarray:
    """Return the rank of every matrix, with rows and columns scaled alike."""
    if 0 in matrix.shape:
        return np.zeros(matrix.shape[0])
    for axis in (1, 2, 1, 2):
        norms = np.linalg.norm(matrix, axis=axis, keepdims=True)
        matrix = matrix / np.where(norms > 0, norms, 1)
    s = np.linalg.svd(matrix, compute_uv=False)
    return np.sum(s > _RANK * np.maximum(s[:, :1], 1e-300), axis=1)
