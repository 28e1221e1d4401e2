"""Densities in closed form, from formulas that the package does not use."""

import numpy as np

__all__ = ["fuss_catalan_density", "semicircle_plus_free_poisson"]


def fuss_catalan_density(order):
    """Density from its parametrisation by an angle, x = sin^(p+1) / (sin sin^p), p + 1 factors."""
    t = np.linspace(0.02, 0.98, 400) * np.pi / (order + 1)
    x = np.sin((order + 1) * t) ** (order + 1) / (np.sin(t) * np.sin(order * t) ** order)
    modulus = np.sin((order + 1) * t) / np.sin(order * t)
    g = modulus * np.exp(1j * t) / x
    order_ = np.argsort(x)
    return x[order_], (np.abs(np.imag(g)) / np.pi)[order_]


def semicircle_plus_free_poisson(x, rate, jump):
    """Density from the cubic G^2 + 1 + rate jump G / (1 - jump G) = x G."""
    density = []
    for z in x:
        roots = np.roots([-jump, 1 + z * jump, rate * jump - jump - z, 1])
        density.append(max(0.0, float(np.max(-roots.imag))) / np.pi)
    return np.array(density)
