"""Points that are solved from a ladder on the imaginary axis."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rmt_jacobian.pencils import solve_chain
from rmt_jacobian.pencils.chain import landing as chain_landing
from rmt_jacobian.pencils.chain.continuation import descend
from rmt_jacobian.pencils.chain.landing import _continued, _walked, land
from rmt_jacobian.pencils.chain.newton import newton
from rmt_jacobian.pencils.chain.solution import ChainSolution
from tests.pencils.chains import constant, gated


def test_the_semicircle_from_the_axis() -> None:
    """J = W: the symmetrised law is the semicircle on [-2, 2], of G = (s - sqrt(s^2 - 4)) / 2."""
    chain = constant(0.0, 1.0)
    ladder = descend(chain, least=1e-6, unresolved=1e-5)
    rng = np.random.default_rng(0)
    s = np.concatenate([
        np.exp(rng.uniform(-8, 2, 20) + 1j * rng.uniform(0.01, np.pi / 2, 20)),
        1j * np.exp(rng.uniform(-8, 2, 5)), [rung.s[0] for rung in ladder[:3]],
    ])  # fmt: skip
    found = land(chain, s, ladder)
    expected = 2 / (s + np.sqrt(s - 2) * np.sqrt(s + 2))
    assert np.all(found.converged)
    assert found.cauchy == pytest.approx(expected, rel=1e-8)


def _sweeps(monkeypatch, work: Callable[[], ChainSolution]) -> int:
    """Return the sweeps of all of Newton's methods behind a solution."""
    sweeps: list[int] = []

    def counted(*arguments, **settings):
        found = newton(*arguments, **settings)
        sweeps.append(found.sweeps)
        return found

    monkeypatch.setattr(chain_landing, "newton", counted)
    assert np.all(work().converged)
    return sum(sweeps)


def test_points_of_the_axis_start_between_their_rungs(monkeypatch) -> None:
    """Started at the nearest rung as it is, they take many more sweeps."""
    chain = gated("gaussian", 5, 256)
    ladder = descend(chain, least=1e-4, unresolved=1e-5)
    moduli = np.exp(np.linspace(-6, 2, 12))

    def walked() -> int:
        each = [np.array([1j * m]) for m in moduli]
        return sum(_sweeps(monkeypatch, lambda s=s: _walked(chain, s, ladder)) for s in each)

    between = walked()
    monkeypatch.setattr(chain_landing, "_place", lambda at, near, next_to: np.inf)
    assert between < walked()


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_the_axis_is_continued_to_the_points(monkeypatch, weights) -> None:
    """From there Newton's method takes a few sweeps, and one leg after the other many."""
    chain = gated(weights, 20, 256)
    ladder = descend(chain, least=1e-140, unresolved=1e-5)
    low, high = (np.log(abs(ladder[k].s[0])) for k in (-1, 0))
    points = [np.exp([position]) + 0j for position in np.linspace(low, min(high, 0.0), 8)]

    def total(way: Callable) -> int:
        return sum(_sweeps(monkeypatch, lambda s=s: way(chain, s, ladder)) for s in points)

    assert 2 * total(land) < total(_walked)


def test_self_energies_that_vanish_stay_so_on_the_way() -> None:
    """A = B = 1 at no site: what no W reaches is 0 on the ladder, and where it is continued."""
    chain = gated("gaussian", 3, 64)
    ladder = descend(chain, least=1e-3, unresolved=1e-5)
    silent = [replace(rung, sigma=rung.sigma * np.array([[0, 1, 1, 1, 1, 1]])) for rung in ladder]
    found = _continued(np.array([0.3 + 0j, 0.2 + 0.1j]), silent)
    assert np.all(found[:, 0] == 0)
    assert np.all(np.imag(found[:, 1:]) < 0)


def test_powers_are_continued_exactly() -> None:
    """Sigma = c s^a with -1 < a < 1 everywhere, in the lower half plane."""
    power, size = np.array([-0.5, 0.3]), np.array([2.0, 1e-30])
    found = solve_chain(constant(0.0, 1.0), np.array([1j]))
    moduli = (1e-40, 1e-20, 1e-3, 1.0)
    ladder = [
        replace(found, s=np.array([1j * m]), sigma=-1j * (size * m**power)[None, :]) for m in moduli
    ]
    s = np.array([1e-30, 1e-8 * np.exp(0.3j), 0.5])
    turned = -1j * size * (np.exp(np.log(s) - 0.5j * np.pi)[:, None] ** power)
    assert _continued(s, ladder) == pytest.approx(turned, rel=1e-9)
