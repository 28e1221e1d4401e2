"""Solutions without a start, and tables of them, against closed forms and the solver itself."""

import math

import numpy as np
import pytest

from rmt_jacobian.laws import FussCatalan, QuarterCircle
from rmt_jacobian.pencils import (
    GaussianWeights,
    OrthogonalWeights,
    ProductChain,
    SiteHistory,
    solve_chain,
)
from rmt_jacobian.pencils.chain.continuation import descend, follow
from rmt_jacobian.singular_values import replicate_distance
from rmt_jacobian.singular_values.panels import Node, Panel, Table
from rmt_jacobian.singular_values.replicate_distance import distance_to_chain
from rmt_jacobian.singular_values.table import measure, tabulate
from tests.pencils.chains import constant, gated
from tests.pencils.examples import ENSEMBLES

named = pytest.mark.parametrize("name", ENSEMBLES)


def bands(depth: float = 1e-3) -> ProductChain:
    """Sites far apart with weak random parts: narrow bands and one far below the others."""
    A = np.array([[1e-9, 0.2, 0.5, 1.0]])
    return ProductChain(SiteHistory.of(A, depth * A), GaussianWeights(1.0))


@named
def test_the_descent_ends_where_hardly_any_mass_is_left(name: str) -> None:
    chain = gated(name, 2)
    rungs = descend(chain, least=1e-140, unresolved=1e-4)
    moduli = [abs(rung.s[0]) for rung in rungs]
    shares = [float(np.real(rung.s[0] * rung.averages[0, 0])) for rung in rungs]
    assert moduli == sorted(moduli, reverse=True)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 1 - 1e-2
    assert shares[-1] < 1e-4
    assert all(np.all(abs(rung.sigma.real) < 1e-9 * abs(rung.sigma)) for rung in rungs)


def test_the_descent_crosses_wide_gaps() -> None:
    rungs = descend(bands(), least=1e-140, unresolved=1e-6)
    assert abs(rungs[-1].s[0]) < 1e-9


def test_the_descent_ends_at_the_mass_at_zero() -> None:
    A = np.array([[0.0, 1.0, 1.0, 1.0]])
    rungs = descend(
        ProductChain(SiteHistory.of(A, A), GaussianWeights(1.0)), least=1e-140, unresolved=1e-6
    )
    assert 1e-20 < abs(rungs[-1].s[0]) < 1e-2


@named
def test_following_a_path_ends_in_the_solution(name: str) -> None:
    chain = gated(name, 2)
    start = solve_chain(chain, np.array([2j]))
    there = follow(chain, start, np.array([0.3 + 0j]))
    assert there.converged[0]
    assert np.allclose(there.sigma, solve_chain(chain, np.array([0.3 + 0j])).sigma, rtol=1e-8)


def test_no_points_have_no_solution() -> None:
    assert solve_chain(constant(0.0, 1.0), np.zeros(0, dtype=complex)).cauchy.shape == (0,)


def test_wrong_starts_are_rescued() -> None:
    chain, s = gated("gaussian", 2), np.array([0.3 + 0j, 0.8 + 0j, 5.0 + 0j])
    found = solve_chain(chain, s, np.full((3, 4), 7.0 - 1e-9j))
    assert np.all(found.converged)
    assert np.allclose(found.cauchy, solve_chain(chain, s).cauchy, rtol=1e-8)


def test_nodes_of_the_quarter_circle() -> None:
    law, s = QuarterCircle(), np.array([0.1, 1.0, 1.9, 3.0])
    nodes = measure(constant(0.0, 1.0), solve_chain(constant(0.0, 1.0), s + 0j))
    slope = -s / (np.pi * np.sqrt(np.maximum(4 - s * s, 1e-9))) * (s < 2)
    for node, at, bend in zip(nodes, s, slope, strict=True):
        density = law.pdf(at)
        assert node.position == pytest.approx(math.log(at))
        assert node.below == pytest.approx(law.cdf(at), abs=1e-14)
        assert node.density == pytest.approx(at * density, rel=1e-9)
        assert node.bend == pytest.approx(at * density + at**2 * bend, abs=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_tables_of_products_of_gaussians(steps: int) -> None:
    table, law = tabulate(constant(0.0, 1.0, steps=steps)), FussCatalan(steps)
    x = law.ppf(np.linspace(0.005, 0.995, 200))
    below, slope = table.evaluate(np.log(x) / 2)
    assert np.allclose(below, law.cdf(x), atol=2e-6)
    assert np.allclose(slope, 2 * x * law.pdf(x), atol=1e-4)
    ((low, high),) = table.edges
    assert low == 0
    assert high == pytest.approx(math.sqrt(law.support()[1]), rel=1e-9)
    assert table.lost == 0


def test_narrow_bands_have_their_share() -> None:
    table = tabulate(bands())
    assert len(table.edges) == 4
    for (low, high), site in zip(table.edges, [1e-9, 0.2, 0.5, 1.0], strict=True):
        assert low < site < high < 1.01 * low
        (first, last), _ = table.evaluate(np.log([low * 0.999, high * 1.001]))
        assert last - first == pytest.approx(0.25, abs=1e-9)


def test_a_finer_table_is_closer() -> None:
    chain = gated("orthogonal", 3)
    s = np.linspace(0.1, 1.0, 60)
    found = solve_chain(chain, s + 0j)
    exact = 1 - chain.potential(found.s, found.sigma, found.averages).imag / np.pi
    for tolerance in (1e-3, 1e-6, 1e-9):
        below, _ = tabulate(chain, tolerance=tolerance).evaluate(np.log(s))
        assert np.max(np.abs(below - exact)) < 3 * tolerance


@named
def test_neighbouring_panels_meet(name: str) -> None:
    table = tabulate(gated(name, 3))
    for one, other in zip(table.panels[:-1], table.panels[1:], strict=True):
        assert one.right.position == other.left.position
    positions = np.array([node.position for node in table.nodes])
    below = np.array([node.below for node in table.nodes])
    assert np.all(np.diff(positions) >= 0)
    assert np.all(np.diff(below) > -1e-10)
    assert below[0] >= 0
    assert below[-1] == pytest.approx(1, abs=1e-9)


def test_starts_from_the_table_are_close() -> None:
    chain = gated("gaussian", 2)
    table, position = tabulate(chain), np.log(np.array([0.2, 0.7]))
    exact = solve_chain(chain, np.exp(position) + 0j).sigma
    assert np.allclose(table.self_energies(position), exact, rtol=1e-2)


def node(position: float, below: float, density: float, bend: float = 0.0) -> Node:
    nothing = np.array([-1j])
    return Node(position, below, density, bend, density > 0, nothing, 0 * nothing, 0.0)


def test_a_panel_that_would_fall_stands_still() -> None:
    panel = Panel(node(0.0, 0.5, 1e-3), node(1.0, 0.5 + 1e-6, 1e-3))
    below, slope = panel.evaluate(np.linspace(0, 1, 1001))
    assert np.all(np.diff(below) >= 0)
    assert np.all(slope >= 0)
    assert below[0] == 0.5
    assert below[-1] == pytest.approx(0.5 + 1e-6, abs=1e-15)


def test_a_panel_at_an_edge_is_exact_for_a_root() -> None:
    # below = (2/3) (log s)^(3/2) above the edge at log s = 0
    panel = Panel(node(0.0, 0.0, 0.0), node(1.0, 2 / 3, 1.0, 0.5), edge=0.0)
    position = np.linspace(0.01, 1, 50)
    below, slope = panel.evaluate(position)
    assert np.allclose(below, 2 / 3 * position**1.5)
    assert np.allclose(slope, np.sqrt(position))


def test_below_the_first_node_goes_a_power_law() -> None:
    table = Table((Panel(node(0.0, 0.3, 0.05, 0.025), node(1.0, 1.0, 0.5)),), ((0.0, 2.7),), 0.2)
    below, slope = table.evaluate(np.array([-2.0, -1e9]))
    assert table.first_power == pytest.approx(0.5)
    assert below == pytest.approx([0.2 + 0.1 * math.exp(-1), 0.2])
    assert slope[0] == pytest.approx(0.05 * math.exp(-1))


@pytest.mark.parametrize("steps", [1, 2, 6])
def test_haar_weights_alone_have_a_jump(steps: int) -> None:
    sites = SiteHistory.of(np.zeros((steps, 1)), np.ones((steps, 1)))
    table = tabulate(ProductChain(sites, OrthogonalWeights(1.0)))
    below, slope = table.evaluate(np.array([-0.5, -1e-6, 1e-6, 0.5]))
    assert np.allclose(below, [0, 0, 1, 1], atol=1e-9)
    assert np.all(slope == 0)


def test_the_distance_to_another_draw_needs_no_more_accuracy(monkeypatch) -> None:
    """The potential is stationary: with errors of 1e-7 in the self-energies its are 1e-14."""
    ours, other = gated("gaussian", 5, 256), gated("gaussian", 5, 200)
    position = np.linspace(-4, 0, 6)
    start = solve_chain(ours, np.exp(position) + 0j).sigma
    at = (np.exp(position), start, np.zeros(6), np.zeros(6))
    found = distance_to_chain(other, *at)
    monkeypatch.setattr(replicate_distance, "_CLOSE", 1e-12)
    assert found == pytest.approx(distance_to_chain(other, *at), rel=1e-11)
