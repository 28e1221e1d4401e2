"""Densities of free probability, ours beside freealg where that is installed, in one run.

The largest error, relative to the density for Fuss-Catalan and to its maximum elsewhere, is in the
extra information of each benchmark (option ``--benchmark-json``) and is printed with ``-s``.
"""

import numpy as np
import pytest

from benchmarks.exact_densities import fuss_catalan_density, semicircle_plus_free_poisson
from rmt_jacobian.laws import FussCatalan, MarchenkoPastur, Semicircle, boxplus

freealg = pytest.importorskip("freealg.distributions", reason="freealg is not installed")


def _report(benchmark, name, found, exact, *, relative=False):
    errors = np.abs(found - exact) / (exact if relative else np.max(exact))
    error, wrong = float(np.max(errors)), float(np.mean(~(errors <= 0.01)))
    benchmark.extra_info.update(sup_error=error, share_off_by_one_per_cent=wrong)
    print(f"\n{benchmark.group}, {name}: sup error {error:.1e}, off by 1 % at {wrong:.1%}")


X_MP = np.linspace(0.01, 4.0, 2001)


@pytest.mark.benchmark(group="Marchenko-Pastur, 2001 points")
@pytest.mark.parametrize("whose", ["ours", "freealg"])
def test_marchenko_pastur(benchmark, whose):
    ours, theirs = MarchenkoPastur(0.5), freealg.MarchenkoPastur(0.5)
    function = (lambda: ours.pdf(X_MP)) if whose == "ours" else (lambda: theirs.density(x=X_MP))
    low, high = (1 - np.sqrt(0.5)) ** 2, (1 + np.sqrt(0.5)) ** 2
    inside = np.maximum(0, (X_MP - low) * (high - X_MP))
    _report(benchmark, whose, np.asarray(benchmark(function)), np.sqrt(inside) / (np.pi * X_MP))


@pytest.mark.parametrize("order", [2, 10])
@pytest.mark.parametrize("whose", ["ours", "freealg"])
def test_fuss_catalan(benchmark, whose, order):
    benchmark.group = f"Fuss-Catalan {order}, 400 points"
    x, exact = fuss_catalan_density(order)
    theirs = freealg.FussCatalan(order)
    function = (
        (lambda: FussCatalan(order).pdf(x)) if whose == "ours" else (lambda: theirs.density(x=x))
    )
    _report(benchmark, whose, np.asarray(benchmark(function)), exact, relative=True)


X_SUM = np.linspace(-2.5, 5.0, 1001)


@pytest.mark.benchmark(group="semicircle boxplus Marchenko-Pastur, 1001 points")
@pytest.mark.parametrize("whose", ["ours", "freealg, eta 2e-4", "freealg, eta 1e-8"])
def test_semicircle_plus_marchenko_pastur(benchmark, whose):
    def ours():
        return boxplus(Semicircle(2.0), MarchenkoPastur(0.5)).pdf(X_SUM)

    def theirs(eta):
        law = freealg.FreeLevy([0.5], [1.0], 2.0, a=0.0, sigma=1.0)
        return law.density(x=X_SUM, eta=eta)

    if whose == "ours":
        found = benchmark(ours)
    else:
        eta = float(whose.split()[-1])
        found = benchmark.pedantic(lambda: theirs(eta), rounds=3)
    exact = semicircle_plus_free_poisson(X_SUM, 2.0, 0.5)
    _report(benchmark, whose, np.asarray(found), exact)
