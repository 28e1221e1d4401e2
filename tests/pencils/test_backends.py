"""Laws of products and of eigenvalues on any device: the same code, the same numbers."""

import sys
from types import ModuleType
from typing import Any

import array_api_strict
import numpy as np
import pytest

from rmt_jacobian.arrays import array_namespace, namespace, on_device
from rmt_jacobian.cells import Cell, Parameters, gru, lstm, minimalrnn, vanilla
from rmt_jacobian.eigenvalues import eigenvalue_law
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.singular_values import SingularValueLaw, singular_value_law
from tests.eigenvalues.cells import drawn_sites

POINT = {"weight_std": 1.3, "input_std": 0.7, "input_variance": 0.6, "bias_std": 0.2}
SITES = {"minimalrnn": 16, "gru": 8, "lstm": 8}  # few: the strict reference is slow


def law_of(cell: Cell, weights: str, device: Any, **options: Any) -> SingularValueLaw:
    options = {
        "sites": SITES[cell.name],
        "tolerance": 1e-2,
        "replicates": int(cell is minimalrnn),
        **options,
    }
    return singular_value_law(
        cell, Parameters.of(cell, POINT), weights=weights, steps=2, device=device, **options
    )


def everything(law: SingularValueLaw) -> dict[str, Any]:
    """Return all that a law is asked for, from the table and beside it."""
    s = np.array([0.05, 0.3, 0.8, 1.7])
    solution = law.solve(s[1:3])
    return {
        "cdf": law.cdf(s),
        "pdf": law.pdf(s),
        "quantiles": law.ppf([0.3, 0.6, 0.9]),
        "support": np.array(law.support_intervals()),
        "atoms": np.array(law.atoms()),
        "moments": [law.squares().moment(k) for k in (1, 2)],
        "first moment": law.mean(),
        "solved": solution.density,
        "cauchy": law.cauchy(np.array([0.4 + 0.3j])),
        "error": law.error_estimate,
    }


def assert_same(cell: Cell, weights: str, device: ModuleType) -> None:
    ours, expected = (law_of(cell, weights, where) for where in (device, "cpu"))
    assert array_namespace(ours.chain.averages(*at(ours, device))) is device
    found, wanted = everything(ours), everything(expected)
    for name, value in wanted.items():
        assert np.allclose(found[name], value, rtol=1e-7, atol=1e-9, equal_nan=True), name
    assert len(ours.table.nodes) == len(expected.table.nodes)
    assert all(type(node.sigma) is np.ndarray for node in ours.table.nodes)


def at(law: SingularValueLaw, xp: Any) -> tuple[Any, Any]:
    s = xp.asarray([1j], dtype=xp.complex128)
    return s, law.chain.leading(s)


def test_a_table_of_one_gate() -> None:
    assert_same(minimalrnn, "orthogonal", array_api_strict)


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("cell", "weights"),
    [(gru, "orthogonal"), (lstm, "gaussian")],
    ids=["gru", "lstm"],
)
def test_a_table_of_gated_cells(cell: Cell, weights: str) -> None:
    assert_same(cell, weights, array_api_strict)


def test_a_rotation() -> None:
    common: dict[str, Any] = {"weights": "orthogonal", "steps": 1, "sites": 32, "replicates": 1}
    ours, expected = (
        singular_value_law(vanilla, Parameters.of(vanilla), device=device, **common)
        for device in (array_api_strict, "cpu")
    )
    assert everything(ours)["quantiles"] == pytest.approx(everything(expected)["quantiles"])
    assert ours.error_estimate == pytest.approx(expected.error_estimate)


def test_eigenvalues_on_a_device() -> None:
    sites, points = drawn_sites(gru, 64), np.array([0.1 + 0.2j, 0.9j, 5.0])
    ours, expected = eigenvalue_law(sites, device=array_api_strict), eigenvalue_law(sites)
    assert array_namespace(ours.problem.weights) is array_api_strict
    assert ours.density(points) == pytest.approx(expected.density(points))
    assert ours.spectral_radius == pytest.approx(expected.spectral_radius)


def test_arrays_that_are_there_are_not_copied() -> None:
    array = np.ones(3)
    assert on_device(array, "cpu") is array
    assert on_device(None, array_api_strict) is None
    moved = on_device(array, array_api_strict)
    assert array_namespace(moved) is array_api_strict
    assert np.array_equal(on_device(moved, "cpu"), array)


def test_a_missing_gpu_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # None makes the import fail
    for call in (
        lambda: law_of(minimalrnn, "gaussian", "gpu"),
        lambda: law_of(gru, "gaussian", "gpu"),
        lambda: eigenvalue_law(drawn_sites(gru, 4), device="gpu"),
    ):
        with pytest.raises(ParameterError, match=r"pip install 'rmt-jacobian\[gpu\]'"):
            call()
    with pytest.raises(ParameterError, match="'cpu', 'gpu' or 'torch'"):
        law_of(minimalrnn, "gaussian", "tpu")


@pytest.mark.gpu
@pytest.mark.parametrize("cell", [minimalrnn, gru, lstm], ids=lambda cell: cell.name)
def test_a_table_on_a_gpu(cell: Cell) -> None:
    pytest.importorskip("cupy", exc_type=ImportError)
    try:
        device = namespace("gpu")
    except ParameterError as error:
        pytest.skip(str(error))
    assert_same(cell, "orthogonal", device)
