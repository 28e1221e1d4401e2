"""The same networks in every array namespace, for every cell, ensemble and precision."""

from types import ModuleType
from typing import Any

import array_api_strict
import numpy as np
import pytest

from rmt_jacobian.arrays import array_namespace, to_numpy
from rmt_jacobian.cells import (
    Cell,
    Parameters,
    gru,
    gru_reset_after,
    lstm,
    lstm_peephole,
    minimalrnn,
    vanilla,
)
from rmt_jacobian.cells.vanilla import vanilla_cell
from rmt_jacobian.comparison import sample_moments
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.sampling import (
    NetworkStep,
    dense_jacobian,
    jacobian_products,
    product_moments,
    run_network,
    sample_eigenvalues,
    sample_lyapunov,
    sample_singular_values,
    singular_values,
)

CELLS = [gru, gru_reset_after, lstm, lstm_peephole, vanilla, minimalrnn]
ENSEMBLES: tuple[Any, ...] = ("gaussian", "orthogonal", "fast-gaussian", "fast-orthogonal")
WIDTH = 20


@pytest.fixture(autouse=True)
def _several_blocks_of_reflections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmt_jacobian.sampling.weights.householder._BLOCK", 8)


def parameters_of(cell: Cell, input_kind: Any = "gaussian") -> Parameters:
    values = {"weight_std": 1.3, "input_std": 0.7, "input_variance": 0.6, "bias_std": 0.2}
    return Parameters.of(cell, values, input_kind=input_kind)


def drawn(cell: Cell, weights: Any, device: Any, **options: Any) -> list[NetworkStep]:
    options = {"width": WIDTH, "burn_in": 2, **options}
    run = run_network(
        cell, parameters_of(cell), weights=weights, steps=3, rng=np.random.default_rng(8),
        device=device, **options,
    )  # fmt: skip
    return list(run)


def arrays_of(step: NetworkStep) -> list[Any]:
    d = step.derivatives
    tables = (d.state, d.gate, d.source_state, d.source_gate)
    diagonals = [entry for table in tables for entry in table.values() if np.ndim(entry)]
    return [*step.states, *step.gates, step.x, *diagonals]


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_a_run_stays_in_its_namespace(xp: ModuleType, cell: Cell, weights: Any) -> None:
    steps = drawn(cell, weights, xp, tied=cell in (gru, minimalrnn))
    found = {t: J for t, _, J in jacobian_products(iter(steps), [1, 3])}
    u = [xp.asarray(row) for row in np.random.default_rng(1).standard_normal((2, WIDTH))]
    blocks = u[: len(cell.states)]
    expected = np.eye(len(cell.states) * WIDTH)
    for step in steps:
        adjoint = step.adjoint(blocks)
        for array in (*arrays_of(step), *adjoint, *step.times(blocks)):
            assert array_namespace(array) is array_namespace(xp.ones(1))
            assert array.dtype == xp.float64
        J = dense_jacobian(step)  # on the host, from the diagonals and the whole W
        back = np.concatenate([to_numpy(block) for block in adjoint])
        over = np.concatenate([to_numpy(block) for block in blocks]) @ J
        assert back == pytest.approx(over, abs=1e-11)
        expected = J @ expected
    assert array_namespace(found[3]) is array_namespace(xp.ones(1))
    assert to_numpy(found[3]) == pytest.approx(expected, abs=1e-12 * abs(expected).max())
    values = np.linalg.svd(expected, compute_uv=False)
    assert to_numpy(singular_values(found[3])) == pytest.approx(values, abs=1e-12 * values[0])
    m_1, m_2 = product_moments(found[3])
    assert m_1 == pytest.approx(np.mean(values**2), rel=1e-12)
    assert m_2 == pytest.approx(np.mean(values**4), rel=1e-12)


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("cell", [lstm, minimalrnn], ids=lambda c: c.name)
def test_the_strict_namespace_runs_the_networks_of_numpy(cell: Cell, weights: Any) -> None:
    for strict, host in zip(
        drawn(cell, weights, array_api_strict), drawn(cell, weights, "cpu"), strict=True
    ):
        for left, right in zip(arrays_of(strict), arrays_of(host), strict=True):
            assert to_numpy(left) == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("activation", ["erf", "relu", "hard-tanh", "sigmoid"])
def test_activations_of_every_kind(xp: ModuleType, activation: str) -> None:
    for dtype in ("float64", "float32"):
        steps = drawn(vanilla_cell(activation), "fast-orthogonal", xp, dtype=dtype)
        for array in arrays_of(steps[-1]):
            assert array_namespace(array) is array_namespace(xp.ones(1))
            assert array.dtype == getattr(xp, dtype)


def test_inputs_of_every_kind(xp: ModuleType) -> None:
    run = run_network(
        minimalrnn, parameters_of(minimalrnn, "tanh"), width=WIDTH, steps=1, device=xp,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    (step,) = run
    assert array_namespace(step.x) is array_namespace(xp.ones(1))
    assert float(xp.max(xp.abs(step.x))) < 1


@pytest.mark.parametrize("weights", ENSEMBLES)
@pytest.mark.parametrize("cell", [gru, lstm_peephole, vanilla, minimalrnn], ids=lambda c: c.name)
def test_single_precision_is_the_same_network_rounded(
    xp: ModuleType, cell: Cell, weights: Any
) -> None:
    single, double = (drawn(cell, weights, xp, dtype=dtype) for dtype in ("float32", "float64"))
    products = []
    for steps, dtype in ((single, xp.float32), (double, xp.float64)):
        *_, (_, _, J) = jacobian_products(iter(steps), [3])
        for array in (*arrays_of(steps[-1]), J):
            assert array.dtype == dtype
        products.append(J)
    left, right = (to_numpy(J) for J in products)
    assert left == pytest.approx(right, abs=2e-5 * abs(right).max())
    assert product_moments(products[0]) == pytest.approx(product_moments(products[1]), rel=2e-5)


def test_moments_in_single_precision_do_not_overflow(xp: ModuleType) -> None:
    J = np.random.default_rng(0).standard_normal((20, 20))
    m_1, m_2 = product_moments(J)
    found = product_moments(xp.asarray(1e15 * J, dtype=xp.float32))
    assert found == pytest.approx((1e30 * m_1, 1e60 * m_2), rel=1e-5)
    assert product_moments(xp.zeros((3, 3), dtype=xp.float32)) == (0.0, 0.0)


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_sampled_quantities_agree_with_those_of_numpy(weights: Any) -> None:
    common: dict[str, Any] = {"weights": weights, "width": 12, "samples": 2, "workers": 1}
    for cell in (minimalrnn, gru):
        parameters = parameters_of(cell)

        def moments(device: Any, cell: Cell = cell, parameters: Any = parameters) -> Any:
            return sample_moments(
                cell, parameters, steps=[1, 3], spectra_at=[3], device=device, **common
            )

        strict, host = moments(array_api_strict), moments("cpu")
        for name in ("mean", "second_moment", "paired_mean", "paired_second_moment"):
            assert getattr(strict, name) == pytest.approx(getattr(host, name), rel=1e-10)
        for device in ("cpu", array_api_strict):
            values = sample_singular_values(cell, parameters, steps=3, device=device, **common)
            assert isinstance(values, np.ndarray)
            assert values == pytest.approx(host.singular_values[3], abs=1e-11)
        left, right = (
            sample_lyapunov(cell, parameters, steps=3, device=device, **common)
            for device in ("cpu", array_api_strict)
        )
        # Of the smaller exponents the last digits are noise; see LyapunovSamples.spread.
        assert left.exponents[:, :8] == pytest.approx(right.exponents[:, :8], abs=1e-8)
        left, right = (
            sample_eigenvalues(cell, parameters, dynamics="untied", device=device, **common)
            for device in ("cpu", array_api_strict)
        )
        assert np.sort(abs(left)) == pytest.approx(np.sort(abs(right)), abs=1e-8)


def test_what_is_not_there_is_refused() -> None:
    parameters, common = parameters_of(vanilla), {"width": 4, "samples": 2, "workers": 1}
    with pytest.raises(ParameterError, match="float16"):
        sample_singular_values(
            vanilla, parameters, weights="gaussian", steps=1, dtype="float16", **common  # pyright: ignore
        )  # fmt: skip
    with pytest.raises(ParameterError, match="tpu"):
        sample_moments(
            vanilla, parameters, weights="gaussian", steps=[1], device="tpu", **common  # pyright: ignore
        )  # fmt: skip
    with pytest.raises(ParameterError, match="fixed points"):
        sample_eigenvalues(
            vanilla, parameters, weights="gaussian", dynamics="fixed-point", dtype="float32",
            **common,  # pyright: ignore
        )  # fmt: skip


@pytest.mark.parametrize("weights", ENSEMBLES)
def test_a_missing_gpu_names_the_remedy(weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)  # None makes the import fail
    parameters = parameters_of(vanilla)
    for call in (
        lambda: sample_moments(vanilla, parameters, weights=weights, steps=[1], device="gpu"),
        lambda: sample_singular_values(vanilla, parameters, weights=weights, steps=1, device="gpu"),
        lambda: sample_eigenvalues(vanilla, parameters, weights=weights, device="gpu"),
        lambda: sample_lyapunov(vanilla, parameters, weights=weights, steps=1, device="gpu"),
        lambda: drawn(vanilla, weights, "gpu"),
    ):
        with pytest.raises(ParameterError, match=r"pip install 'rmt-jacobian\[gpu\]'"):
            call()


@pytest.mark.gpu
@pytest.mark.parametrize("weights", ENSEMBLES)
def test_a_gpu_draws_networks_of_its_own_with_the_same_law(weights: Any) -> None:
    pytest.importorskip("cupy", exc_type=ImportError)
    common: dict[str, Any] = {"weights": weights, "width": 256, "samples": 24, "steps": [1, 4]}
    parameters = Parameters.of(minimalrnn)
    gpu, again, host = (
        sample_moments(minimalrnn, parameters, device=device, **common)
        for device in ("gpu", "gpu", "cpu")
    )
    assert np.array_equal(gpu.second_moment, again.second_moment)
    for name in ("mean", "second_moment"):
        left, right = getattr(gpu, name), getattr(host, name)
        error = np.sqrt((left.var(axis=0, ddof=1) + right.var(axis=0, ddof=1)) / 24)
        assert (abs(left.mean(axis=0) - right.mean(axis=0)) < 5 * error).all()
