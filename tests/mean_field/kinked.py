"""Activations with kinks, jumps and steep places, and averages by adaptive quadrature in SciPy."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import sympy as sp
from scipy import integrate

THIRD = sp.Rational(3, 10)

# Name: the activation for sympy, the same for floats, its derivative, and where either breaks or
# is steep.
ACTIVATIONS: dict[str, tuple[Callable, Callable, Callable, Sequence[float]]] = {
    "abs": (
        lambda e: sp.Abs(e - THIRD),
        lambda t: abs(t - 0.3),
        lambda t: math.copysign(1.0, t - 0.3),
        [0.3],
    ),
    "max": (lambda e: sp.Max(e, 2), lambda t: max(t, 2.0), lambda t: float(t > 2), [2.0]),
    "relu6": (
        lambda e: sp.Min(sp.Max(e, 0), 6),
        lambda t: min(max(t, 0.0), 6.0),
        lambda t: float(0 < t < 6),
        [0.0, 6.0],
    ),
    "leaky": (
        lambda e: sp.Piecewise((e, e > 0), (e / 10, True)),
        lambda t: t if t > 0 else t / 10,
        lambda t: 1.0 if t > 0 else 0.1,
        [0.0],
    ),
    "elu": (
        lambda e: sp.Piecewise((e, e > 0), (sp.exp(e) - 1, True)),
        lambda t: t if t > 0 else math.expm1(t),
        lambda t: 1.0 if t > 0 else math.exp(t),
        [0.0],
    ),
    "shifted hard": (
        lambda e: sp.Min(sp.Max(2 * e + 1, -1), 1),
        lambda t: min(max(2 * t + 1, -1.0), 1.0),
        lambda t: 2.0 * (-1 < 2 * t + 1 < 1),
        [-1.0, 0.0],
    ),
    "composed": (
        lambda e: sp.Max(sp.tanh(e) - sp.Rational(1, 2), 0),
        lambda t: max(math.tanh(t) - 0.5, 0.0),
        lambda t: (1 - math.tanh(t) ** 2) * (math.tanh(t) > 0.5),
        [math.atanh(0.5)],
    ),
    "rectified sine": (
        lambda e: sp.Abs(sp.sin(e)),
        lambda t: abs(math.sin(t)),
        lambda t: math.cos(t) * math.copysign(1.0, math.sin(t)),
        [k * math.pi for k in range(-12, 13)],
    ),
    "steep": (
        lambda e: sp.tanh(50 * e),
        lambda t: math.tanh(50 * t),
        lambda t: 50 * (1 - math.tanh(50 * t) ** 2),
        [0.0, 0.02, -0.02, 0.06, -0.06, 0.2, -0.2],
    ),
    "far": (
        lambda e: sp.tanh(e - 3),
        lambda t: math.tanh(t - 3),
        lambda t: 1 - math.tanh(t - 3) ** 2,
        [3.0],
    ),
}

JUMPS: dict[str, tuple[Callable, Callable, Sequence[tuple[float, float]]]] = {
    "step": (lambda e: sp.Heaviside(e - 1), lambda t: float(t > 1), [(1.0, 1.0)]),
    "sign": (sp.sign, lambda t: math.copysign(1.0, t), [(0.0, 2.0)]),
    "stairs": (
        lambda e: sp.Heaviside(e + 1) + sp.Heaviside(e - THIRD) + sp.tanh(e) / 2,
        lambda t: float(t > -1) + float(t > 0.3) + math.tanh(t) / 2,
        [(-1.0, 1.0), (0.3, 1.0)],
    ),
}


def average(f: Callable, mean: float, variance: float, breaks: Sequence[float] = ()) -> float:
    """E f(e), e ~ N(mean, variance)."""
    std = math.sqrt(variance)
    inner = [place for place in breaks if abs(place - mean) < 12 * std]
    cuts = sorted({*(mean + std * k for k in range(-12, 13)), *inner})

    def weighted(t: float) -> float:
        return f(t) * math.exp(-(((t - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))

    return sum(
        integrate.quad(weighted, a, b, epsabs=1e-14, epsrel=1e-11, limit=200)[0]
        for a, b in itertools.pairwise(cuts)
    )


def pair_average(
    f: Callable, g: Callable, mean: float, variance: float, c: float, breaks: Sequence[float] = ()
) -> float:
    """E f(e_1) g(e_2) with correlation c inside (-1, 1)."""
    own = variance * (1 - c * c)
    soft = [mean + (place + s * math.sqrt(own) - mean) / c for place in breaks for s in (-4, 0, 4)]
    x, w = np.polynomial.legendre.leggauss(30)
    vector = np.vectorize(g, otypes=[float])

    def inner(t: float) -> float:
        centre, std = mean + c * (t - mean), math.sqrt(own)
        inside = [place for place in breaks if abs(place - centre) < 9 * std]
        cuts = np.array(sorted({*(centre + std * k for k in range(-9, 10)), *inside}))
        half = np.diff(cuts)[:, None] / 2
        nodes = cuts[:-1, None] + half * (1 + x)
        weights = half * w * np.exp(-(((nodes - centre) / std) ** 2) / 2)
        return float((weights * vector(nodes)).sum() / (std * math.sqrt(2 * math.pi)))

    return average(lambda t: f(t) * inner(t), mean, variance, [*breaks, *soft])
