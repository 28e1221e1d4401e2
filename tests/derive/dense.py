"""Sampled matrices, and the limit of their traces at infinite width."""

import math
from collections.abc import Callable

import numpy as np


def gaussian(width: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((width, width)) / math.sqrt(width)


def orthogonal(width: int, rng: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(rng.standard_normal((width, width)))
    return q * np.sign(np.diagonal(r))  # without the signs it is not Haar


MATRICES = {"gaussian": gaussian, "orthogonal": orthogonal}


def at_infinite_width(
    sample: Callable[[int, np.random.Generator], np.ndarray],
    *,
    copies: tuple[int, int],
    samples: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Extrapolate averages over samples at two widths; return the limit and its standard error.

    The sites are repeated a number of times, which changes the width but not the average over
    sites; an average at n copies is the limit plus c / n plus terms of order 1 / n^2.
    """
    rng = np.random.default_rng(seed)
    few, many = copies
    narrow = np.array([sample(few, rng) for _ in range(samples)])
    wide = np.array([sample(many, rng) for _ in range(samples)])
    a, b = many / (many - few), few / (many - few)
    variance = a * a * wide.var(axis=0, ddof=1) + b * b * narrow.var(axis=0, ddof=1)
    return a * wide.mean(axis=0) - b * narrow.mean(axis=0), np.sqrt(variance / samples)
