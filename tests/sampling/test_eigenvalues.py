"""Dense Jacobians, and their eigenvalues against the law on the same sites."""

import numpy as np
import pytest

from rmt_jacobian.cells import Parameters, compile_cell, gru, lstm, minimalrnn
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.mean_field import Sites
from rmt_jacobian.sampling import draw_weights, run_network
from rmt_jacobian.sampling.networks.eigenvalues import dense_jacobian, jacobian_eigenvalues
from tests.eigenvalues.cells import CELLS, TURNING, drawn_sites
from tests.in_turn import in_turn

DISKS = [(0.0, 0.0, 0.2), (0.3, 0.0, 0.3), (0.5, 0.2, 0.3), (-0.2, -0.1, 0.4), (0.0, 0.0, 0.9)]


def matrices(sites: Sites, weights: str, rng: np.random.Generator):
    stds = [sites.parameters[each.name].weight_std for each in sites.cell.preactivations]
    return [
        draw_weights(weights, sites.count, std, rng) if each.reads_state else None
        for each, std in zip(sites.cell.preactivations, stds, strict=True)
    ]


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_jacobian_is_the_derivative_of_the_step(cell):
    """Differences of the map from old to new states, with preactivations moved by W."""
    count, rng = 6, np.random.default_rng(2)
    sites = drawn_sites(cell, count)
    weights = matrices(sites, "gaussian", rng)
    compiled = compile_cell(cell)
    # Constants that put the preactivations of the step where the sites have them.
    constants = [
        sites.gates[k] - (W.apply(sites.source(k)) if W is not None else 0.0)
        for k, W in enumerate(weights)
    ]

    def step(flat: np.ndarray) -> np.ndarray:
        states = list(flat.reshape(len(cell.states), count))
        gates = []
        for k, W in enumerate(weights):
            moved = constants[k]
            if W is not None:
                moved = moved + W.apply(compiled.source(k, states, gates) + 0 * flat[:count])
            gates.append(moved)
        return np.concatenate(compiled.update(states, gates, sites.x))

    start, small = np.concatenate(sites.states), 1e-6
    moves = np.eye(start.size) * small
    expected = np.array([step(start + move) - step(start - move) for move in moves]).T / (2 * small)
    assert dense_jacobian(sites, weights) == pytest.approx(expected, abs=1e-7)


def test_steps_of_a_network_and_sites_agree():
    (step,) = run_network(minimalrnn, Parameters.of(minimalrnn), width=12, steps=1,
                          rng=np.random.default_rng(0))  # fmt: skip
    J, expected = dense_jacobian(step), step.times([np.eye(12)])[0]
    assert expected == pytest.approx(J)
    sites = Sites.of(minimalrnn, Parameters.of(minimalrnn), step.states, step.gates, step.x)
    assert dense_jacobian(sites, step.weights) == pytest.approx(J)
    assert np.sum(jacobian_eigenvalues(step)) == pytest.approx(np.trace(J))


def test_refusals():
    sites = drawn_sites(gru, 4)
    W = np.eye(4)
    for weights, match in ((None, "3 weights"), ([W], "3 weights"), ([W, W, None], "candidate"),
                           ([W, W, np.eye(3)], "square")):  # fmt: skip
        with pytest.raises(ParameterError, match=match):
            dense_jacobian(sites, weights)
    uneven = Sites.of(gru, sites.parameters, sites.states, sites.gates,
                      weights=np.array([0.4, 0.2, 0.2, 0.2]))  # fmt: skip
    with pytest.raises(ParameterError, match="equal shares"):
        dense_jacobian(uneven, [W, W, W])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "weights"),
    in_turn([gru, lstm, TURNING], ["gaussian", "orthogonal"]),
    ids=lambda value: getattr(value, "name", value),
)
def test_eigenvalues_lie_where_the_law_has_them(cell, weights):
    """On drawn sites theory is exact up to 1/N; counts in disks fluctuate by a few eigenvalues."""
    width = 400
    sites = drawn_sites(cell, width, seed=4)
    law = eigenvalue_law(sites, weights=weights)
    rng = np.random.default_rng(1)
    values = np.concatenate(
        [jacobian_eigenvalues(sites, matrices(sites, weights, rng)) for _ in range(2)]
    )
    theory = law.inside(DISKS)
    sampled = [np.mean(np.abs(values - complex(x, y)) < r) for x, y, r in DISKS]
    assert np.ptp(theory) > 0.05
    # Each count is right to about 4 of 400 eigenvalues of either state.
    assert sampled == pytest.approx(theory, abs=0.015)
    # No eigenvalue is far outside of the support.
    far = law.solve(values[~law.solve(values).inside])
    assert len(far.lam) < 0.06 * len(values)


@pytest.mark.slow
def test_mixed_ensembles_with_a_hole():
    """Haar W of the candidate alone is large enough to leave a hole."""
    width = 300
    values = {"update.weight_std": 0.5, "reset.weight_std": 0.5, "candidate.weight_std": 4.0,
              "input_std": 0, "input_variance": 1}  # fmt: skip
    rng = np.random.default_rng(0)
    small = 0.2 * rng.standard_normal((3, width))
    sites = Sites.of(
        gru, Parameters.of(gru, values), [small[0]], [small[1] - 1, small[2] + 1, small[0]]
    )
    kinds = {"update": "gaussian", "reset": "gaussian", "candidate": "orthogonal"}
    law = eigenvalue_law(sites, weights=kinds)
    outer, hole = law.boundary()
    weights = [draw_weights(kinds[each.name], width, values[f"{each.name}.weight_std"], rng)
               for each in gru.preactivations]  # fmt: skip
    sampled = jacobian_eigenvalues(sites, weights)
    centre = (hole.real.max() + hole.real.min()) / 2
    size = np.abs(hole - centre).min()
    assert size > 1
    assert law.inside([(centre, 0, 0.95 * size)]) == pytest.approx(0, abs=1e-6)
    assert np.abs(sampled - centre).min() > 0.97 * size
    assert np.abs(sampled).max() < 1.03 * np.abs(outer).max()
    middle = (size + np.abs(outer - centre).max()) / 2
    assert np.mean(np.abs(sampled - centre) < middle) == pytest.approx(
        law.inside([(centre, 0, middle)])[0], abs=0.02
    )
