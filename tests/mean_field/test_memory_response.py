"""What is known of changes of an affine memory, against plain simulations."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from rmt_jacobian.cells import Cell, Parameters, Preactivation, relu, sigmoid
from rmt_jacobian.mean_field.memory.response import MemoryResponse
from rmt_jacobian.mean_field.populations.response import PopulationResponses, pseudo_values
from rmt_jacobian.mean_field.populations.site_models import Drives
from rmt_jacobian.mean_field.populations.sites import PopulationSites

s, t, x, e, f = sp.symbols("s t x e f", real=True)
GATED = Cell(
    "gated", (s, t), x,
    (Preactivation("g", e, t), Preactivation("h", f, sp.tanh(s))),
    (sigmoid(e) * s + (1 - sigmoid(e)) * (relu(f) + relu(-f)), s / 2 + t / 2),
)  # fmt: skip
VALUES = {"g.weight_std": 0.7, "h.weight_std": 0.9, "input_std": 1.0, "input_variance": 1.0}
VARIANCES, CORRELATIONS = (2.0, 1.2), (0.3, -0.8)


def pairs_of_normals(rng, count: int) -> np.ndarray:
    """Preactivations of two networks, shape (2 preactivations, 2 networks, sites)."""
    z = rng.normal(size=(2, 2, count))
    for k, (q, c) in enumerate(zip(VARIANCES, CORRELATIONS, strict=True)):
        z[k] = np.sqrt(q) * np.array([z[k, 0], c * z[k, 0] + np.sqrt(1 - c**2) * z[k, 1]])
    return z


def simulated(seed: int, steps: int, count: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """R_n of the pair, and E[dm_1 dm_2^T] of the memory, both of a change of each gate."""
    rng = np.random.default_rng(seed)
    state = np.ones((2, 2, count))  # (states, networks, sites)

    def step(state: np.ndarray, gates: np.ndarray) -> np.ndarray:
        u = expit(gates[0])
        return np.array([u * state[0] + (1 - u) * np.abs(gates[1]), (state[0] + state[1]) / 2])

    for _ in range(60):
        state = step(state, pairs_of_normals(rng, count))
    gates = pairs_of_normals(rng, count)
    u = expit(gates[0])
    D = np.zeros((2, 2, 2, count))  # (gate, i, j, sites)
    D[0, 0, 0] = np.prod((state[0] - np.abs(gates[1])) * u * (1 - u), axis=0)
    D[1, 0, 0] = np.prod((1 - u) * np.sign(gates[1]), axis=0)
    state = step(state, gates)
    series, moments = [], []
    for _ in range(steps):
        slope = np.prod(1 / np.cosh(state[0]) ** 2, axis=0)
        series.append([(0.7**2 * D[:, 1, 1]).mean(axis=-1), (0.9**2 * slope * D[:, 0, 0]).mean(-1)])
        moments.append(D.mean(axis=-1))
        gates = pairs_of_normals(rng, count)
        A = np.zeros((2, 2, 2, count))  # (network, i, k, sites)
        A[:, 0, 0], A[:, 1] = expit(gates[0]), 0.5
        D = np.einsum("ikn,ckln,jln->cijn", A[0], D, A[1])
        state = step(state, gates)
    return np.array(series), np.array(moments)


@pytest.fixture(scope="module")
def simulations() -> tuple[np.ndarray, np.ndarray]:
    series, moments = zip(*(simulated(seed, 6) for seed in range(12)), strict=True)
    return np.array(series), np.array(moments)


def agree(found: np.ndarray, simulated: np.ndarray, error: np.ndarray | float = 0.0) -> None:
    noise = np.hypot(simulated.std(axis=0, ddof=1) / np.sqrt(len(simulated)), error)
    assert np.all(np.abs(found - simulated.mean(axis=0)) <= 4 * noise + 1e-12)


def model_and_drives(count: int) -> tuple[PopulationSites, Drives]:
    model = PopulationSites(GATED, Parameters.of(GATED, VALUES), count)
    return model, Drives(VARIANCES, CORRELATIONS, 0.0)


def test_moments_of_a_change(simulations) -> None:
    model, drives = model_and_drives(256)
    known = MemoryResponse.of(GATED, model.fresh(drives))
    assert known is not None
    found = known.begun()
    assert np.array_equal(found[0], np.eye(2))
    for n in range(6):
        agree(found[1:], simulations[1][:, n])
        found = known.carried(found)


def test_responses_that_moments_correct(simulations) -> None:
    model, drives = model_and_drives(1024)
    series = model._responses(drives, 16)._series[:, :6]
    error = series.std(axis=0, ddof=1) / np.sqrt(8)
    agree(series.mean(axis=0), simulations[0], error)
    assert np.all(error[1:, 0] < 1e-12)  # what reads the memory as it is is exact


def test_a_memory_that_all_sites_have_lost_is_known_still() -> None:
    """Gates that are open or shut leave nothing of a change on 64 sites after some ten steps."""
    shut = Cell("shut", (s,), x, (Preactivation("g", e, s), Preactivation("h", f, sp.tanh(s))),
                (sigmoid(e) * s + (1 - sigmoid(e)) * sp.sin(f),))  # fmt: skip
    p = Parameters.of(shut, weight_std=0.6, input_std=1.0, input_variance=1.0)
    model = PopulationSites(shut, p, 64).smooth()  # does not split the sites that keep it
    found = model._responses(Drives((2000.0, 500.0)), 64)
    std = 2000**0.5
    kept = quad(lambda e: expit(e) ** 2 * norm.pdf(e, scale=std), -8 * std, 8 * std,
                points=[-20, 0, 20], limit=400)[0]  # fmt: skip
    series = found._series[:, :, 0]  # of what reads the memory as it is
    assert np.all(series[:, 0] > 0)
    expected = series[:, :1] * kept ** np.arange(64)[:, None]
    assert series == pytest.approx(expected, rel=1e-9, abs=0)
    assert found.kept == pytest.approx(kept, rel=1e-9)
    assert np.all(np.isfinite(model.growth(Drives((2000.0, 500.0)))))


def test_memories_of_which_nothing_is_known() -> None:
    curved = Cell("curved", (s,), x, (Preactivation("g", e, s),), (sp.tanh(s + e),))
    p = Parameters.of(curved, weight_std=1.0, input_std=1.0, input_variance=1.0)
    assert MemoryResponse.of(curved, PopulationSites(curved, p).fresh(Drives((1.0,)))) is None


def test_leaving_out_a_population() -> None:
    rng = np.random.default_rng(0)
    echoes, traces = rng.normal(size=(4, 3, 2, 3)), rng.normal(size=(4, 4, 3))
    log_size = rng.normal(scale=50.0, size=(4, 4, 3))
    log_size[2, 3, 1] = -np.inf
    found = PopulationResponses(echoes, traces, log_size).left_out()
    whole = echoes * np.exp(log_size[:, :-1, None])
    for r in range(4):
        own = found.echoes[r] * np.exp(found.log_size[r, :-1, None])
        assert own == pytest.approx(np.delete(whole, r, axis=0).mean(axis=0), rel=1e-9, abs=0)
        own = found.traces[r] * np.exp(found.log_size[r])
        rest = np.delete(traces * np.exp(log_size), r, axis=0)
        assert own == pytest.approx(rest.mean(axis=0), rel=1e-9, abs=0)


def test_values_of_single_populations() -> None:
    values = np.array([1.0, 4.0, -2.0])
    left_out = (values.sum() - values) / 2
    assert pseudo_values(left_out) == pytest.approx(values)


@pytest.mark.parametrize(("gate", "kept"), [(sigmoid(e), 1.0), (sigmoid(-2 * e) / 2, 0.25)])
def test_what_rare_biases_keep_of_a_part_of_the_memory(gate: sp.Expr, kept: float) -> None:
    """A gate that a frozen bias opens keeps all in the end, however rare such sites are."""
    cell = Cell("part", (s, t), x, (Preactivation("g", e, t),),
                (gate * s + x, sp.tanh(s) * sigmoid(e) / 4 + sp.tanh(t) / 4))  # fmt: skip
    p = Parameters.of(cell, weight_std=0.1, input_std=0.5, bias_std=0.3, input_variance=1.0,
                      bias_kind="frozen")  # fmt: skip
    drives = Drives((0.3,))
    model = PopulationSites(cell, p, 256)
    assert model.kept(drives) == pytest.approx(kept, rel=1e-9)
    assert model.growth(drives) == pytest.approx(kept, rel=1e-9)
