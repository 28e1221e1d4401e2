"""Histories of any cell, the dense pencils of their sites, and sampled products on them."""

from typing import Any

import numpy as np

from rmt_jacobian.cells import Cell, StepDerivatives, compile_cell
from rmt_jacobian.pencils import BlockChain, BlockHistory, GaussianWeights, OrthogonalWeights
from tests.pencils.examples import MATRICES


def derivatives(
    cell: Cell, steps: int, sites: int, seed: int = 0, xp: Any = np
) -> list[StepDerivatives]:
    """Run sites with independent Gaussian preactivations from Gaussian states."""
    rng, compiled = np.random.default_rng(seed), compile_cell(cell)
    states = [xp.asarray(0.7 * rng.normal(size=sites)) for _ in cell.states]
    found = []
    for _ in range(steps):
        gates = [xp.asarray(rng.normal(size=sites)) for _ in cell.gates]
        x = xp.asarray(rng.normal(size=sites))
        found.append(compiled.derivatives(states, gates, x))
        states = compiled.update(states, gates, x)
    return found


def history(cell: Cell, steps: int, sites: int = 5, seed: int = 0, xp: Any = np) -> BlockHistory:
    """Sites with unequal weights."""
    weights = np.linspace(1, 2, sites) / np.linspace(1, 2, sites).sum()
    return BlockHistory.of(derivatives(cell, steps, sites, seed, xp), cell, xp.asarray(weights))


def scales(sites: BlockHistory) -> list[float]:
    """A weight_std of its own for every W."""
    return [1.0 + 0.5 * k for k in range(sites.gates)]


def chain(sites: BlockHistory, name: str = "gaussian") -> BlockChain:
    """The chain with a named ensemble."""
    law = {"gaussian": GaussianWeights, "orthogonal": OrthogonalWeights}[name]
    return BlockChain.of(sites, [law(scale) for scale in scales(sites)])


def filled(entry: Any, sites: int) -> np.ndarray:
    return np.zeros(sites) if entry is None else entry + np.zeros(sites)


def site_inverses(
    chain: BlockChain, s: complex, sigma: np.ndarray
) -> tuple[np.ndarray, list[int], list[int], list[int]]:
    """Return G of every site as a dense matrix, and where the blocks, v_0 and v_T are in it.

    The variables are all v, e and y and the multipliers of all their equations, with -1/s at v_T.
    """
    history = chain.sites
    n, d, K, T = history.count, history.states, history.gates, history.steps
    names = [("v", t, i) for t in range(T + 1) for i in range(d)]
    names += [("w", t, i) for t in range(T) for i in range(d)]
    names += [(kind, t, k) for t in range(T) for k in range(K) for kind in ("e", "y", "row", "eq")]
    at = {name: position for position, name in enumerate(names)}
    L = np.zeros((n, len(names), len(names)), dtype=complex)

    def couple(one: tuple, other: tuple, value: Any) -> None:
        L[:, at[one], at[other]] += value
        L[:, at[other], at[one]] += value

    for t, step in enumerate(history.diagonals):
        for i in range(d):
            couple(("w", t, i), ("v", t + 1, i), 1)
            for j in range(d):
                couple(("w", t, i), ("v", t, j), -filled(step.state[i][j], n))
            for k in range(K):
                couple(("w", t, i), ("e", t, k), -filled(step.gate[i][k], n))
        for k, source in enumerate(history.sources):
            couple(("row", t, k), ("e", t, k), 1)
            couple(("eq", t, k), ("y", t, k), 1)
            for j in range(d):
                couple(("eq", t, k), ("v", t, j), -filled(step.source_state[source][j], n))
            for j in range(K):
                couple(("eq", t, k), ("e", t, j), -filled(step.source_gate[source][j], n))
            row, column = at["row", t, k], at["y", t, k]
            L[:, row, row] -= sigma[2 * K * t + K + k]
            L[:, column, column] -= sigma[2 * K * t + k]
    starts, ends = ([at["v", t, i] for i in range(d)] for t in (0, T))
    L[:, starts, starts] += s
    L[:, ends, ends] -= 1 / s
    blocks = [at[kind, t, k] for t in range(T) for kind in ("y", "row") for k in range(K)]
    return np.linalg.inv(L), blocks, starts, ends


def sampled(sites: BlockHistory, name: str, rng: np.random.Generator) -> np.ndarray:
    """Singular values of a product whose neurons are the sites, of equal weights."""
    n, d = sites.count, sites.states
    v = list(np.eye(d * n).reshape(d, n, d * n))
    for step in sites.diagonals:
        E: list[np.ndarray] = []
        for k, source in enumerate(sites.sources):
            y = sum(filled(step.source_state[source][j], n)[:, None] * v[j] for j in range(d))
            for j in range(k):
                y = y + filled(step.source_gate[source][j], n)[:, None] * E[j]
            E.append(scales(sites)[k] * MATRICES[name](n, rng) @ y)
        v = [
            sum(filled(a, n)[:, None] * x for a, x in zip(direct, v, strict=True))
            + sum(filled(b, n)[:, None] * x for b, x in zip(gates, E, strict=True))
            for direct, gates in zip(step.state, step.gate, strict=True)
        ]
    return np.linalg.svd(np.concatenate(v), compute_uv=False)
