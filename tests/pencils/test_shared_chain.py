"""Chains whose W stand at all steps, against chains of fresh W, recursions and samples."""

import math
from dataclasses import fields, replace

import array_api_strict
import numpy as np
import pytest

from rmt_jacobian.cells import compile_cell, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.errors import HypothesisError
from rmt_jacobian.mean_field.tied.growth import Paths, tied_mean_squares
from rmt_jacobian.pencils import (
    BlockChain,
    BlockHistory,
    GaussianWeights,
    OrthogonalWeights,
    SharedChain,
    TransformWeights,
    chain_moments,
    solve_chain,
)
from rmt_jacobian.pencils.chain.continuation import descend
from rmt_jacobian.pencils.chain.newton import drift
from rmt_jacobian.pencils.shared.matrices import relative_size

SITES = 48
CELLS = {"minimalrnn": minimalrnn, "gru": gru, "lstm": lstm}
STD = {"minimalrnn": (3.0,), "gru": (2.0, 1.5, 2.5), "lstm": (1.5, 2.0, 1.2, 2.5)}


def drawn_steps(name: str, steps: int, seed: int = 0):
    """Run sites with preactivations that remember, as those of kept weights do."""
    cell, rng = CELLS[name], np.random.default_rng(seed)
    compiled = compile_cell(cell)
    states = [rng.normal(size=SITES) for _ in cell.states]
    slow = rng.normal(size=(len(cell.gates), SITES))
    found = []
    for _ in range(steps):
        gates = list(slow + 0.7 * rng.normal(size=slow.shape))
        x = rng.normal(size=SITES)
        found.append(compiled.derivatives(states, gates, x))
        states = list(compiled.update(states, gates, x))
    return found


def ensembles_of(name: str, kind: type):
    return [kind(std) for std in STD[name]]


def shared_chain(name: str, steps: int, kind: type = GaussianWeights) -> SharedChain:
    history = BlockHistory.of(drawn_steps(name, steps), CELLS[name])
    return SharedChain.of(history, ensembles_of(name, kind))


def solved(chain: SharedChain, s: complex):
    found = solve_chain(chain, np.array([s + 0j]), workers=1)
    assert found.converged.all()
    return found


@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
@pytest.mark.parametrize("s", [1.3 + 0.4j, 0.6 + 0j])
def test_a_vanilla_cell_does_not_tell_shared_from_fresh_weights(kind, s):
    rng, cell = np.random.default_rng(3), vanilla
    compiled = compile_cell(cell)
    steps = [compiled.derivatives([rng.normal(size=SITES)], [rng.normal(size=SITES)],
                                  np.zeros(SITES)) for _ in range(4)]  # fmt: skip
    history = BlockHistory.of(steps, cell)
    shared, fresh = (kind_of.of(history, [kind(1.4)]) for kind_of in (SharedChain, BlockChain))
    ours, theirs = solved(shared, s), solve_chain(fresh, np.array([s + 0j]))
    np.testing.assert_allclose(ours.cauchy, theirs.cauchy, rtol=1e-8)
    potentials = [
        chain.potential(found.s, found.sigma, found.averages)
        for chain, found in ((shared, ours), (fresh, theirs))
    ]
    np.testing.assert_allclose(*potentials, rtol=1e-8)
    np.testing.assert_allclose(chain_moments(shared, 4), chain_moments(fresh, 4), rtol=1e-10)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
def test_the_mean_square_is_that_of_the_recursion_over_pairs_of_times(name, kind):
    steps = drawn_steps(name, 5)
    cell = CELLS[name]
    paths = Paths.of(steps, np.full(SITES, 1 / SITES), len(cell.states), len(cell.gates))
    wanted = tied_mean_squares(paths, [std**2 for std in STD[name]])[-1]
    found = chain_moments(shared_chain(name, 5, kind), 1)[1]
    assert math.isclose(found, wanted, rel_tol=1e-11)
    fresh = BlockChain.of(BlockHistory.of(steps, cell), ensembles_of(name, kind))
    assert abs(chain_moments(fresh, 1)[1] / wanted - 1) > 0.01


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
def test_the_resolvent_at_large_s_is_the_series_of_the_moments(name, kind):
    chain = shared_chain(name, 3, kind)
    moments = chain_moments(chain, 6)
    s = 3.0 * chain.reach**0.5 * 4
    while moments[6] / s**13 > 1e-12 * moments[0] / s:
        s *= 2
    found = solved(chain, 1j * s)
    series = sum(m / (1j * s) ** (2 * k + 1) for k, m in enumerate(moments))
    np.testing.assert_allclose(found.cauchy[0], series, rtol=1e-10)


@pytest.mark.parametrize("name", CELLS)
def test_derivatives_are_those_of_differences(name):
    chain, s = shared_chain(name, 3, OrthogonalWeights), np.array([0.8 + 0.5j])
    found = solved(chain, s[0])
    at = chain.responses(s, found.sigma)
    rng = np.random.default_rng(1)
    step = 1e-6 * rng.normal(size=chain.blocks) * np.abs(found.sigma)
    up, down = (chain.responses(s, found.sigma + sign * step) for sign in (1, -1))
    np.testing.assert_allclose((up.averages - down.averages)[0] / 2, at.matrix[0] @ step[0],
                               atol=1e-8 * np.abs(step).max())  # fmt: skip
    np.testing.assert_allclose(
        (up.cauchy - down.cauchy)[0] / 2, at.cauchy_row[0] @ step[0], rtol=1e-6
    )
    width = 1e-5
    ahead, behind = (solve_chain(chain, s + sign * width, found.sigma) for sign in (1, -1))
    moving, cauchy = drift(chain, found)
    np.testing.assert_allclose((ahead.sigma - behind.sigma) / (2 * width), moving, rtol=1e-4,
                               atol=1e-8)  # fmt: skip
    np.testing.assert_allclose((ahead.cauchy - behind.cauchy) / (2 * width), cauchy, rtol=1e-6)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
def test_the_potential_is_stationary_and_its_derivative_is_the_resolvent(name, kind):
    chain, width = shared_chain(name, 3, kind), 1e-4
    for s in (0.9 + 0.3j, 0.7 + 0j):
        found = solved(chain, s)
        ends = [solve_chain(chain, found.s + sign * width, found.sigma) for sign in (1, -1)]
        up, down = (chain.potential(end.s, end.sigma, end.averages)[0] for end in ends)
        np.testing.assert_allclose((up - down) / (2 * width), 2 * found.cauchy[0], rtol=1e-6)
        shift = np.random.default_rng(2).normal(size=chain.blocks) * np.abs(found.sigma)
        around = [found.sigma + size * shift for size in (1e-5, -1e-5)]
        ends = [chain.potential(found.s, near, chain.averages(found.s, near))[0] for near in around]
        assert abs(ends[0] - ends[1]) / 2e-5 < 1e-6  # a first derivative would be of order 1


@pytest.mark.parametrize("name", ["minimalrnn", "gru"])
def test_an_s_transform_of_orthogonal_weights_gives_what_they_give(name):
    history = BlockHistory.of(drawn_steps(name, 3), CELLS[name])
    given = [TransformWeights(lambda u, std=std: 1 / std**2 + 0 * u, lambda u: 0 * u)
             for std in STD[name]]  # fmt: skip
    both = [
        SharedChain.of(history, each) for each in (ensembles_of(name, OrthogonalWeights), given)
    ]
    s = np.array([0.8 + 0.4j])
    start = solved(both[0], s[0])
    again = solve_chain(both[1], s, start.sigma * (1 + 0.01j))
    assert again.converged.all()
    np.testing.assert_allclose(again.cauchy, start.cauchy, rtol=1e-8)
    potentials = [
        c.potential(f.s, f.sigma, f.averages) for c, f in zip(both, (start, again), strict=True)
    ]
    np.testing.assert_allclose(*potentials, rtol=1e-8)
    np.testing.assert_allclose(*(chain_moments(chain, 4) for chain in both), rtol=1e-7)


def test_small_singular_values_lose_no_digits():
    """The averages are those of other cuts into stretches, to rounding, thirty orders down."""
    chain = shared_chain("lstm", 6, OrthogonalWeights)
    last = descend(chain, least=1e-25, unresolved=1e-4)[-1]
    one, two = (replace(chain, stretch=n).averages(last.s, last.sigma)[0] for n in (1, 2))
    wrong, size = (np.concatenate(chain.matrices(each)) for each in (one - two, one))
    assert np.max(relative_size(wrong, size)) < 1e-9


def sampled(name: str, kind: str, width: int, steps: int, rng: np.random.Generator):
    """Return J of one network that keeps its W, and its derivatives; in plain NumPy."""
    cell = CELLS[name]
    compiled, K, d = compile_cell(cell), len(cell.gates), len(cell.states)
    W = []
    for std in STD[name]:
        G = rng.normal(size=(width, width)) / math.sqrt(width)
        if kind == "orthogonal":
            Q, R = np.linalg.qr(G)
            G = Q * np.sign(np.diag(R))
        W.append(std * G)
    V = [0.8 * rng.normal(size=(width, width)) / math.sqrt(width) for _ in W]
    states = [rng.normal(size=width) for _ in cell.states]
    J, kept = np.eye(d * width), []
    for t in range(30 + steps):
        x, gates = rng.normal(size=width), []
        for k in range(K):
            read = compiled.source(k, states, [*gates, *[np.zeros(width)] * (K - k)])
            gates.append(W[k] @ (read + 0 * x) + V[k] @ x)
        if t >= 30:
            step = compiled.derivatives(states, gates, x)
            kept.append(step)
            J = one_step(step, W, width, d) @ J
        states = list(compiled.update(states, gates, x))
    return J, kept


def one_step(step, W, width: int, d: int) -> np.ndarray:
    """Return the dense Jacobian of one step."""
    of_gates: list[np.ndarray] = []
    for k in range(len(W)):
        row = np.zeros((width, d * width))
        for (i, j), c in step.source_state.items():
            if i == k:
                row[:, j * width : (j + 1) * width] += np.diag(np.broadcast_to(c, width))
        for (i, m), c in step.source_gate.items():
            if i == k:
                row += np.broadcast_to(c, width)[:, None] * of_gates[m]
        of_gates.append(W[k] @ row)
    J = np.zeros((d * width, d * width))
    for (i, j), a in step.state.items():
        J[i * width : (i + 1) * width, j * width : (j + 1) * width] += np.diag(
            np.broadcast_to(a, width)
        )
    for (i, k), b in step.gate.items():
        J[i * width : (i + 1) * width] += np.broadcast_to(b, width)[:, None] * of_gates[k]
    return J


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("kind", ["gaussian", "orthogonal"])
def test_the_resolvent_is_that_of_networks_that_keep_their_weights(name, kind):
    """On the very sites of each sample; fresh weights on the same sites are off by far more."""
    width, steps, networks = 200, 4, 6
    points = np.array([0.3 + 0.3j, 1 + 0.5j, 0.5j])
    rng = np.random.default_rng(5)
    law = {"gaussian": GaussianWeights, "orthogonal": OrthogonalWeights}[kind]
    gaps, others, sizes = [], [], []
    for _ in range(networks):
        J, kept = sampled(name, kind, width, steps, rng)
        values = np.linalg.svd(J, compute_uv=False)
        measured = np.mean(points[:, None] / (points[:, None] ** 2 - values**2), axis=1)
        sizes.append(np.abs(measured))
        history = BlockHistory.of(kept, CELLS[name])
        for chain_of, found in ((SharedChain, gaps), (BlockChain, others)):
            chain = chain_of.of(history, ensembles_of(name, law))
            found.append(measured - solve_chain(chain, points).cauchy)
    mean = np.abs(np.mean(gaps, axis=0))
    error = np.std(gaps, axis=0, ddof=1) / math.sqrt(networks)
    assert np.all(mean < 4 * error + 2 / width * np.mean(sizes, axis=0))  # 1 / N beside the noise
    assert np.abs(np.mean(others, axis=0)).max() > 3 * mean.max()


def test_other_array_namespaces_give_the_same() -> None:
    chain = shared_chain("lstm", 3, OrthogonalWeights)
    strict = chain.on(array_api_strict)
    found = solved(chain, 0.8 + 0.3j)
    ours, theirs = (each.responses(found.s, found.sigma) for each in (chain, strict))
    for field in fields(ours):
        both = (getattr(each, field.name) for each in (theirs, ours))
        np.testing.assert_allclose(*both, rtol=1e-9, atol=1e-12)
    potentials = [c.potential(found.s, found.sigma, found.averages) for c in (chain, strict)]
    np.testing.assert_allclose(*potentials, rtol=1e-11)
    np.testing.assert_allclose(*(chain_moments(c, 3) for c in (chain, strict)), rtol=1e-11)


@pytest.mark.parametrize("kind", [GaussianWeights, OrthogonalWeights])
@pytest.mark.parametrize("name", CELLS)
def test_one_step_does_not_know_of_others(name, kind) -> None:
    chain = shared_chain(name, 1, kind)
    fresh = BlockChain(chain.sites, chain.ensembles)
    s = np.array([0.7 + 0.2j])
    np.testing.assert_allclose(solved(chain, s[0]).cauchy, solve_chain(fresh, s).cauchy, rtol=1e-8)


def test_without_weights_nothing_is_shared() -> None:
    history = BlockHistory.of(drawn_steps("gru", 3), gru)
    chain = SharedChain.of(history, [GaussianWeights(0.0)] * 3)
    assert chain.deterministic
    np.testing.assert_allclose(
        chain_moments(chain, 2), chain_moments(BlockChain(chain.sites, ()), 2)
    )


def test_a_step_at_which_nothing_passes_is_refused() -> None:
    first, shut, last = drawn_steps("minimalrnn", 3)
    shut = replace(shut, gate={key: 0 * values for key, values in shut.gate.items()})
    history = BlockHistory.of([first, shut, last], minimalrnn)
    chain = SharedChain.of(history, [GaussianWeights(1.0)])
    with pytest.raises(HypothesisError, match="does nothing at step 2"):
        solve_chain(chain, np.array([1.0 + 1j]))
    alone = SharedChain.of(history, [GaussianWeights(0.0)])
    with pytest.raises(HypothesisError, match="no W passes anything on"):
        solve_chain(alone, np.array([1.0 + 1j]))
