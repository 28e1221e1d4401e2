"""Averages and networks written for the ledger alone: nothing here comes from the package.

Averages are Gauss-Legendre sums over panels.  Networks are simulated exactly at any width without
storing W: given the directions X that a fresh W has met, its images and those of its transpose
have laws that are known in closed form.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

Array = np.ndarray
Function = Callable[[Array], Array]


class Point(NamedTuple):
    """Hyperparameters; the names are those of the package's keywords."""

    weight_std: float
    input_std: float
    bias_mean: float
    bias_std: float
    input_variance: float


FIGURE_1 = Point(6.88, 1.39, 0.0, 0.0, 0.46)
LONG_MEMORY = Point(6.086, 4.7986, 4.0, 0.0, 0.46)
BIASED = Point(3.0, 1.2, 0.5, 1.5, 0.6)
VANILLA = Point(1.4, 0.5, 0.0, 0.0, 1.0)
VANILLA_BIASED = Point(1.4, 0.5, 0.3, 0.8, 1.0)


def slope_of_sigmoid(e: Array) -> Array:
    return expit(e) * expit(-e)


@cache
def normal_nodes(panels: int = 24, order: int = 16) -> tuple[Array, Array]:
    """Nodes and weights for the standard normal law, on [-9.5, 9.5]."""
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(-9.5, 9.5, panels + 1)
    half = np.diff(edges)[:, None] / 2
    z = (edges[:-1, None] + half + half * x).ravel()
    return z, (half * w).ravel() * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


def average(f: Function, mean: float, variance: float) -> float:
    z, w = normal_nodes()
    return float(w @ f(mean + math.sqrt(variance) * z))


def pair_average(f: Function, g: Function, mean: float, variance: float, c: float) -> float:
    """Average f(e_1) g(e_2) over two Gaussian variables of correlation c."""
    z, w = normal_nodes()
    std = math.sqrt(variance)
    rest = c * z[:, None] + math.sqrt(1 - c * c) * z[None, :]
    return float(w @ (f(mean + std * z)[:, None] * g(mean + std * rest)) @ w)


def difference_quotient(f: Callable[[float], float], x: float, step: float = 1e-3) -> float:
    """Central differences, Richardson extrapolated; the error is of order step^4."""
    one, two = ((f(x + h) - f(x - h)) / (2 * h) for h in (step, 2 * step))
    return (4 * one - two) / 3


# The minimalRNN


def preactivation_variance(point: Point, Q: float) -> float:
    sigma_w, sigma_v, _, sigma_b, R = point
    return sigma_w**2 * Q + sigma_v**2 * R + sigma_b**2


def next_variance(point: Point, Q: float) -> float:
    """Q one step later."""
    q, mean = preactivation_variance(point, Q), point.bias_mean
    kept = average(lambda e: expit(e) ** 2, mean, q)
    written = average(lambda e: expit(-e) ** 2, mean, q)
    return Q * kept + point.input_variance * written


@cache
def stationary(point: Point) -> tuple[float, float]:
    """(Q*, q*) by bisection."""
    Q = brentq(lambda Q: next_variance(point, Q) - Q, 1e-9, 10.0, xtol=1e-15, rtol=1e-14)
    return Q, preactivation_variance(point, Q)


def pair_covariance(point: Point, covariance: float, sigma_12: float) -> float:
    """E[e_1 e_2] - mu_b^2 of two networks with common W, V and b."""
    sigma_w, sigma_v, _, sigma_b, R = point
    return sigma_w**2 * covariance + sigma_v**2 * R * sigma_12 + sigma_b**2


def next_covariance(point: Point, covariance: float, sigma_12: float) -> float:
    """E[h_1 h_2] one step later, at the stationary variance."""
    _, q = stationary(point)
    c = pair_covariance(point, covariance, sigma_12) / q
    kept = pair_average(expit, expit, point.bias_mean, q, c)
    written = pair_average(lambda e: expit(-e), lambda e: expit(-e), point.bias_mean, q, c)
    return covariance * kept + point.input_variance * sigma_12 * written


# The vanilla network


@cache
def vanilla_stationary(point: Point) -> tuple[float, float]:
    def second_moment(Q: float) -> float:
        q = preactivation_variance(point, Q)
        return average(lambda e: np.tanh(e) ** 2, point.bias_mean, q)

    Q = brentq(lambda Q: second_moment(Q) - Q, 1e-6, 1.0, xtol=1e-15, rtol=1e-14)
    return Q, preactivation_variance(point, Q)


def vanilla_next_correlation(point: Point, c: float, sigma_12: float) -> float:
    """The correlation of the preactivations one step later."""
    _, q = vanilla_stationary(point)
    return (
        pair_covariance(point, pair_average(np.tanh, np.tanh, point.bias_mean, q, c), sigma_12) / q
    )


# Networks


def gaussian_image(X: Array, std: float, rng: np.random.Generator) -> Array:
    """W X for a fresh Gaussian W: independent rows of covariance std^2 X^T X / N."""
    values, vectors = np.linalg.eigh(X.T @ X / len(X))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    return std * rng.standard_normal(X.shape) @ root.T


def orthogonal_image(X: Array, std: float, rng: np.random.Generator) -> Array:
    """W X for std times a fresh Haar matrix: X turned into a uniformly random frame."""
    frame, _ = np.linalg.qr(rng.standard_normal(X.shape))
    signs = rng.choice([-1.0, 1.0], X.shape[1])
    return std * (frame * signs) @ np.linalg.qr(X)[1]


def transposed_image(
    X: Array, Y: Array, p: Array, std: float, weights: str, rng: np.random.Generator
) -> Array:
    """W^T p, given that W X = Y."""
    gram = X.T @ X
    fresh = rng.standard_normal(len(p))
    fresh -= X @ np.linalg.solve(gram, X.T @ fresh)
    known = X @ np.linalg.solve(gram, Y.T @ p)
    if weights == "gaussian":
        return known + std / math.sqrt(len(p)) * np.linalg.norm(p) * fresh
    unmet = p - Y @ np.linalg.solve(Y.T @ Y, Y.T @ p)
    return known + std * np.linalg.norm(unmet) / np.linalg.norm(fresh) * fresh


def run_pair(
    point: Point,
    sigma_12: float,
    steps: int,
    width: int,
    rng: np.random.Generator,
    *,
    cell: str = "minimalrnn",
    start: Array | None = None,
    keep_bias: bool = False,
) -> tuple[Array, Array]:
    """Run two networks with common weights; return (h, e) after the last step, shape (N, 2).

    W and V are redrawn at every step, and so is b unless it is kept.
    """
    h = np.zeros((width, 2)) if start is None else start
    e = h
    bias = point.bias_std * rng.standard_normal((width, 1))
    for _ in range(steps):
        x = draw_inputs(point, sigma_12, width, rng)
        if not keep_bias:
            bias = point.bias_std * rng.standard_normal((width, 1))
        e = point.bias_mean + bias + gaussian_image(h, point.weight_std, rng)
        e += gaussian_image(x, point.input_std, rng)
        h = np.tanh(e) if cell == "vanilla" else expit(e) * h + expit(-e) * x
    return h, e


def draw_inputs(point: Point, sigma_12: float, width: int, rng: np.random.Generator) -> Array:
    z = rng.standard_normal((width, 2))
    z[:, 1] = sigma_12 * z[:, 0] + math.sqrt(1 - sigma_12**2) * z[:, 1]
    return math.sqrt(point.input_variance) * z


def sample_products(
    point: Point, steps: int, width: int, weights: str, rng: np.random.Generator
) -> tuple[float, float]:
    """Unbiased estimates of m_1 and m_2 of J_T ... J_1 from one minimalRNN.

    A random vector v goes forward, z = J v, and its image back, J^T z; then m_1 = |z|^2 / |v|^2
    and m_2 = |J^T z|^2 / |v|^2 on average.
    """
    image = gaussian_image if weights == "gaussian" else orthogonal_image
    h = stationary_states(point, width, rng)
    v = start = rng.standard_normal(width)
    history = []
    for _ in range(steps):
        x = math.sqrt(point.input_variance) * rng.standard_normal(width)
        X = np.stack([h, v], axis=1)
        Y = image(X, point.weight_std, rng)
        noise = math.sqrt(point.input_std**2 * (x @ x) / width + point.bias_std**2)
        e = Y[:, 0] + point.bias_mean + noise * rng.standard_normal(width)
        A, B = expit(e), slope_of_sigmoid(e) * (h - x)
        history.append((A, B, X, Y))
        h, v = A * h + (1 - A) * x, A * v + B * Y[:, 1]
    norm = start @ start
    m_1, back = float(v @ v / norm), v
    for A, B, X, Y in reversed(history):
        back = A * back + transposed_image(X, Y, B * back, point.weight_std, weights, rng)
    return m_1, float(back @ back / norm)


def stationary_states(point: Point, width: int, rng: np.random.Generator) -> Array:
    """Independent sites run until they have forgotten their start."""
    _, q = stationary(point)
    kept = average(lambda e: expit(e) ** 2, point.bias_mean, q)
    h = np.zeros(width)
    for _ in range(math.ceil(math.log(1e-6) / math.log(kept))):
        u = expit(point.bias_mean + math.sqrt(q) * rng.standard_normal(width))
        h = u * h + (1 - u) * math.sqrt(point.input_variance) * rng.standard_normal(width)
    return h
