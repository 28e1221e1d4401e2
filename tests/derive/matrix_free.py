"""Products of Jacobians of wide networks, by fast orthogonal matrices and nothing of the package.

A fresh Haar W is replaced by P_1 D_1 C D_2 P_2 with permutations P, random signs D and the cosine
transform C, which is asymptotically liberating and thus free from diagonal matrices (Anderson and
Farrell 2014); a Gaussian one by O_1 diag(s) O_2 with two such matrices and quarter-circle s.
"""

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.fft import dct, idct
from scipy.optimize import brentq

from tests.mean_field.points import Point

Apply = Callable[[np.ndarray], np.ndarray]


def fast_orthogonal(width: int, rng: np.random.Generator) -> tuple[Apply, Apply]:
    left, right = rng.permutation(width), rng.permutation(width)
    signs = rng.choice([-1.0, 1.0], (2, width))

    def apply(v: np.ndarray) -> np.ndarray:
        return (signs[0] * dct(signs[1] * v[right], norm="ortho"))[left]

    def transposed(v: np.ndarray) -> np.ndarray:
        inner, out = np.empty(width), np.empty(width)
        inner[left] = v
        out[right] = signs[1] * idct(signs[0] * inner, norm="ortho")
        return out

    return apply, transposed


@cache
def quarter_circle(width: int) -> np.ndarray:
    """Singular values at the quantiles of the law of sqrt(4 - s^2) / pi on [0, 2]."""

    def excess(s: float, p: float) -> float:
        return (
            s * math.sqrt(max(0.0, 4 - s * s)) / 2 + 2 * math.asin(min(1.0, s / 2))
        ) / math.pi - p

    coarse = (np.arange(4096) + 0.5) / 4096
    values = [brentq(excess, 0.0, 2.0, args=(p,)) for p in coarse]
    s = np.repeat(values, width // 4096)
    return s / math.sqrt(np.mean(s**2))


def fast_weights(weights: str, width: int, rng: np.random.Generator) -> tuple[Apply, Apply]:
    apply, transposed = fast_orthogonal(width, rng)
    if weights == "orthogonal":
        return apply, transposed
    right, right_transposed = fast_orthogonal(width, rng)
    s = quarter_circle(width)
    return lambda v: apply(s * right(v)), lambda v: right_transposed(s * transposed(v))


def stationary(point: Point, q: float, width: int, rng: np.random.Generator) -> np.ndarray:
    h = np.zeros(width)
    for _ in range(point.memory):
        e = point.parameters.only.bias_mean + math.sqrt(q) * rng.standard_normal(width)
        h = point.update(h, point.inputs(rng, (width,)), e)
    return h


def diagonals(
    point: Point, h: np.ndarray, x: np.ndarray, e: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A = dh'/dh and B = dh'/de by central differences, good to 1e-10."""
    step = 1e-5
    A = (point.update(h + step, x, e) - point.update(h - step, x, e)) / (2 * step)
    B = (point.update(h, x, e + step) - point.update(h, x, e - step)) / (2 * step)
    return A, B


def product_moments(
    point: Point, h: np.ndarray, steps: int, weights: str, rng: np.random.Generator
) -> tuple[float, float]:
    """Estimates of m_1 and m_2 of one product, from one random sign vector."""
    group, width = point.parameters.only, h.size
    v = rng.choice([-1.0, 1.0], width)
    passed, y = [], v
    for _ in range(steps):
        x = point.inputs(rng, (width,))
        W, W_transposed = fast_weights(weights, width, rng)
        fresh = math.sqrt(group.input_std**2 * np.mean(x**2) + group.bias_std**2)
        e = group.bias_mean + group.weight_std * W(h) + fresh * rng.standard_normal(width)
        A, B = diagonals(point, h, x, e)
        B = group.weight_std * B
        y = A * y + B * W(y)
        passed.append((A, B, W_transposed))
        h = point.update(h, x, e)
    m_1 = float(np.mean(y * y))
    for A, B, W_transposed in reversed(passed):
        y = A * y + W_transposed(B * y)
    return m_1, float(np.mean(y * y))
