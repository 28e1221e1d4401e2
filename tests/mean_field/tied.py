"""Tied networks at fixed points, from the equations in NumPy and without the package."""

from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import ortho_group


def normal_average(function, variance: float, mean: float = 0.0) -> float:
    """Average over one Gaussian variable by adaptive quadrature."""
    std = np.sqrt(variance)

    def integrand(x: float) -> float:
        return function(mean + std * x) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)

    edges = sorted(
        {-10.0, *np.clip(-mean / std + np.array([-8, -2, 0, 2, 8]) / std, -10, 10), 10.0}
    )
    pieces = pairwise(edges)
    return sum(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-13, limit=200)[0] for a, b in pieces)


def weight(kind: str, std: float, width: int, rng) -> np.ndarray:
    if kind == "orthogonal":
        return std * ortho_group.rvs(width, random_state=rng)
    return std * rng.normal(size=(width, width)) / np.sqrt(width)


def gru_jacobian(gates, stds, kind, rng) -> np.ndarray:
    """J at sites with preactivations z, r, y, where h = tanh(y)."""
    z, r, (y,) = expit(gates[0]), expit(gates[1]), gates[2:]
    h, slope, width = np.tanh(y), 1 - np.tanh(y) ** 2, len(y)
    _, W_r, W_y = (weight(kind, std, width, rng) for std in stds)
    through = W_y @ (np.diag(r) + (h * r * (1 - r))[:, None] * W_r)
    return np.diag(z) + ((1 - z) * slope)[:, None] * through


def lstm_jacobian(gates, stds, kind, rng) -> np.ndarray:
    """J of (h, c) at sites with preactivations f, i, o, y, where c = i tanh(y) / (1 - f)."""
    f, i, o = (expit(gate) for gate in gates[:3])
    phi = np.tanh(gates[3])
    c, width = i * phi * (1 + np.exp(gates[0])), len(phi)
    W = [weight(kind, std, width, rng) for std in stds]
    from_h = (
        (i * phi * f)[:, None] * W[0]
        + (i * (1 - i) * phi)[:, None] * W[1]
        + (i * (1 - phi**2))[:, None] * W[3]
    )
    out = o * (1 - np.tanh(c) ** 2)
    top = np.hstack([out[:, None] * from_h + (o * (1 - o) * np.tanh(c))[:, None] * W[2],
                     np.diag(out * f)])  # fmt: skip
    return np.vstack([top, np.hstack([from_h, np.diag(f)])])


def run_gru(stds, input_stds, width, steps, rng) -> tuple[np.ndarray, float]:
    """Run a tied GRU under a constant input of variance 1; return h and its last change."""
    W = [weight("gaussian", std, width, rng) for std in stds]
    v = [std * rng.normal(size=width) for std in input_stds]
    h = rng.normal(size=width)
    for _ in range(steps):
        z, r = expit(W[0] @ h + v[0]), expit(W[1] @ h + v[1])
        new = z * h + (1 - z) * np.tanh(W[2] @ (r * h) + v[2])
        h, change = new, float(np.max(np.abs(new - h)))
    return h, change


def run_lstm(stds, input_stds, width, steps, rng) -> tuple[np.ndarray, float]:
    """Run a tied LSTM under a constant input of variance 1; return h and its last change."""
    W = [weight("gaussian", std, width, rng) for std in stds]
    v = [std * rng.normal(size=width) for std in input_stds]
    h, c = np.zeros((2, width))
    for _ in range(steps):
        e = [W[k] @ h + v[k] for k in range(4)]
        c = expit(e[0]) * c + expit(e[1]) * np.tanh(e[3])
        new = expit(e[2]) * np.tanh(c)
        h, change = new, float(np.max(np.abs(new - h)))
    return h, change
