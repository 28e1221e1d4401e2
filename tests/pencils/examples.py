"""Pencils that several tests solve, and the dense matrices they stand for."""

from collections.abc import Callable, Sequence

import numpy as np

from rmt_jacobian.pencils import (
    BiInvariant,
    GaussianWeights,
    OrthogonalWeights,
    Pencil,
    RandomEntry,
    TransformWeights,
)
from tests.derive.dense import gaussian, orthogonal

# S of the square of W = X Y, the product of two Gaussian matrices.
PRODUCT = TransformWeights(lambda u: 1 / (1 + u) ** 2)
ENSEMBLES: dict[str, BiInvariant] = {
    "gaussian": GaussianWeights(1.0),
    "orthogonal": OrthogonalWeights(1.0),
    "product": PRODUCT,
}


MATRICES: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "gaussian": gaussian,
    "orthogonal": orthogonal,
    "product": lambda width, rng: gaussian(width, rng) @ gaussian(width, rng),
}


def gates(sites: int, steps: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw site diagonals A and B of a gated cell, dependent on each other; (steps, sites)."""
    x = np.random.default_rng(seed).normal(size=(steps, sites))
    A = 1 / (1 + np.exp(-x))
    return A, 4 * A * (1 - A) * np.cos(3 * x)


def plain(law: BiInvariant) -> Pencil:
    """W itself, symmetrised."""
    return Pencil(np.zeros((1, 2, 2)), [1, 1], [RandomEntry(1, 0, law)])


def one_step(A: np.ndarray, B: np.ndarray, law: BiInvariant, weights: object = None) -> Pencil:
    """J = A + B W, symmetrised."""
    return chain(A[None], B[None], [law], weights)


def chain(
    A: np.ndarray, B: np.ndarray, laws: Sequence[BiInvariant], weights: object = None
) -> Pencil:
    """The product of the steps A_t + B_t W_t, symmetrised, with blocks v_0, w_1, v_1, ..., w_T."""
    steps, sites = A.shape
    constant = np.zeros((sites, 2 * steps, 2 * steps))
    for t in range(steps):
        v, w = 2 * t, 2 * t + 1
        constant[:, v, w] = constant[:, w, v] = -A[t]
        if t + 1 < steps:
            constant[:, w, w + 1] = constant[:, w + 1, w] = 1
    slope = np.zeros(2 * steps)
    slope[[0, -1]] = 1
    entries = [RandomEntry(2 * t + 1, 2 * t, laws[t], B[t]) for t in range(steps)]
    return Pencil(constant, slope, entries, weights)


def hermitized(A: np.ndarray, B: np.ndarray, law: BiInvariant, at: np.ndarray) -> Pencil:
    """Eigenvalues of J = A + B W: lambda - J above the diagonal, and its adjoint below."""
    constant = np.zeros((len(at), len(A), 2, 2), dtype=complex)
    constant[:, :, 0, 1] = at[:, None] - A
    constant[:, :, 1, 0] = constant[:, :, 0, 1].conj()
    return Pencil(constant, [1, 1], [RandomEntry(0, 1, law, B)])


def random_pencil(seed: int, sites: int = 8) -> Pencil:
    """Draw a pencil of up to four blocks and three random entries of any ensemble."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    C = rng.normal(size=(sites, n, n)) + 1j * rng.normal(size=(sites, n, n))
    slope = rng.uniform(0.5, 2, n) * (rng.random(n) < 0.7)
    slope[0] = 1
    entries = []
    for _ in range(int(rng.integers(1, 4))):
        row, column = (int(block) for block in rng.choice(n, 2, replace=False))
        law = list(ENSEMBLES.values())[rng.integers(3)]
        coefficient = rng.normal(size=sites) if rng.random() < 0.5 else None
        entries.append(RandomEntry(row, column, law, coefficient))
    return Pencil(C + C.conj().swapaxes(1, 2), slope, entries)
