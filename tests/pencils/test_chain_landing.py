"""Points that are solved from a ladder on the imaginary axis."""

import numpy as np
import pytest

from rmt_jacobian.pencils.chain import landing as chain_landing
from rmt_jacobian.pencils.chain.continuation import descend
from rmt_jacobian.pencils.chain.landing import land
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


def test_points_of_the_axis_start_between_their_rungs(monkeypatch) -> None:
    """Started at the nearest rung as it is, they take many more sweeps."""
    chain = gated("gaussian", 5, 256)
    ladder = descend(chain, least=1e-4, unresolved=1e-5)
    moduli = np.exp(np.linspace(-6, 2, 12))
    sweeps: list[int] = []
    newton = chain_landing.newton

    def counted(*arguments, **settings):
        found = newton(*arguments, **settings)
        sweeps.append(found.sweeps)
        return found

    monkeypatch.setattr(chain_landing, "newton", counted)
    for m in moduli:
        assert bool(land(chain, np.array([1j * m]), ladder).converged[0])
    between = sum(sweeps)
    sweeps.clear()
    monkeypatch.setattr(chain_landing, "_place", lambda at, near, next_to: np.inf)
    for m in moduli:
        assert bool(land(chain, np.array([1j * m]), ladder).converged[0])
    assert between < sum(sweeps)
