"""Stationary laws and laws in the plane draw themselves."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

import rmt_jacobian as rj
from rmt_jacobian.laws.manners import html_table

POINT = {"weight_std": 3.0, "input_std": 1.0, "bias_std": 0.5, "bias_mean": 0.3}
LAWS = {
    dynamics: rj.stationary(
        "gru", POINT, dynamics=dynamics, sites=2048 if dynamics == "tied" else None
    )
    for dynamics, sites in (("untied", None), ("tied", 2048), ("at_rest", None))
}


@pytest.mark.parametrize("dynamics", LAWS)
def test_the_densities_are_those_of_the_sites(dynamics: str) -> None:
    law = LAWS[dynamics]
    ax = law.plot(Figure().subplots())
    sites = law.sites()
    assert [line.get_label() for line in ax.lines] == [
        "preactivation update", "preactivation reset", "preactivation candidate",
    ]  # fmt: skip
    for line, values in zip(ax.lines, sites.gates, strict=True):
        x, density = line.get_data()
        below = np.concatenate([[0], np.cumsum(np.diff(x) * (density[1:] + density[:-1]) / 2)])
        assert below[-1] == pytest.approx(1, abs=1e-3)
        found = stats.kstest(np.asarray(values), lambda v, x=x, below=below: np.interp(v, x, below))
        assert found.statistic < 2 / np.sqrt(len(values))  # a chance of 1e-3
    (stairs,) = ax.patches
    heights, edges, _ = stairs.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1)
    assert edges[0] == np.asarray(sites.states[0]).min()


def test_what_does_not_vary_is_a_line() -> None:
    law = rj.stationary("vanilla", {"weight_std": 0.5, "input_std": 0.0})
    ax = law.plot(Figure().subplots())
    assert [line.get_label() for line in ax.lines] == ["candidate: 0", "state h: 0"]


def test_a_table_of_a_stationary_law() -> None:
    for dynamics, law in LAWS.items():
        html = law._repr_html_()
        assert html.startswith(f"<table><caption>&lt;{dynamics} gru")
        assert f"<th>variance of reset</th><td>{law.variances['reset']:.6g}</td>" in html
        assert f"<th>mean of h^2</th><td>{law.state_squares['h']:.6g}</td>" in html
    assert "&lt;b&gt;" in html_table("", [("<b>", "1")])


def test_a_law_of_eigenvalues_has_the_manners_of_laws() -> None:
    law = rj.eigenvalue_law("vanilla", {"weight_std": 0.5, "input_std": 0.0}, sites=64)
    assert repr(law) == "<eigenvalues of one step of vanilla, gaussian W, on 64 sites>"
    assert law._repr_html_() == f"<pre>{repr(law).replace('<', '&lt;').replace('>', '&gt;')}</pre>"
    (curve,) = law.support()
    assert np.abs(curve) == pytest.approx(0.5)
    assert law.spectral_radius == pytest.approx(0.5)
    assert "spectral radius</th><td>0.5<" in law._repr_html_()
    ax = law.plot(Figure().subplots())
    x, y = next(line for line in ax.lines if line.get_label() == "boundary of the law").get_data()
    assert np.hypot(x, y) == pytest.approx(0.5)


def test_atoms_are_asked_for_like_those_of_every_law() -> None:
    # Half of the preactivations are below 0, where relu passes nothing on.
    law = rj.eigenvalue_law("vanilla:relu", {"weight_std": 1.0, "input_std": 1.0})
    ((re, im, mass),) = law.atoms()
    assert (re, im) == (0, 0)
    assert mass == pytest.approx(0.5, abs=1e-3)
    assert f"mass {mass:.6g}" in (law.spectral_radius, law._repr_html_())[1]
