"""Wrong calls, generated: each is one error of ours that names the argument and a remedy."""

import math
import re
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import rmt_jacobian as rj

CELL, POINT = "minimalrnn", {"input_std": 1.0}
GAUSSIAN, SIZES = {"weights": "gaussian"}, {"width": 8, "samples": 2}
SAMPLED = {**GAUSSIAN, **SIZES, "workers": 1}
NETWORK = {"cell": CELL, "parameters": POINT}
LAW = {"network": CELL, "parameters": POINT}
CRITICAL = {"fixed": {"input_variance": 1.0}, "steps": 1}
VALUES = np.linspace(0.1, 1.9, 16)
NAMED = {"cell": rj.minimalrnn, "bias_mean": 4.0}
PRODUCTS = np.random.default_rng(0).standard_normal((3, 2, 6, 6))


@wraps(rj.run_network)
def first_step(**given: Any) -> Any:
    return next(rj.run_network(**given))


RIGHT: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "stationary": (rj.stationary, NETWORK),
    "stationary tied": (rj.stationary, {**NETWORK, "dynamics": "tied", "sites": 384}),
    "singular_value_law": (rj.singular_value_law, {**LAW, **GAUSSIAN, "steps": 1, "sites": 64}),
    "eigenvalue_law": (rj.eigenvalue_law, {**LAW, **GAUSSIAN, "sites": 64}),
    "lyapunov_law": (rj.lyapunov_law, {**LAW, **GAUSSIAN, "draws": 4096}),
    "moments": (rj.moments, {**LAW, **GAUSSIAN, "steps": 2}),
    "sample_singular_values": (rj.sample_singular_values, {**NETWORK, **SAMPLED, "steps": 1}),
    "sample_eigenvalues": (rj.sample_eigenvalues, {**NETWORK, **SAMPLED}),
    "sample_lyapunov": (rj.sample_lyapunov, {**NETWORK, **SAMPLED, "steps": 2}),
    "sample_moments": (rj.sample_moments, {**NETWORK, **SAMPLED, "steps": [1]}),
    "freeness_of_cell": (rj.freeness_of_cell, {**NETWORK, **SAMPLED, "steps": 2}),
    "verify": (rj.verify, {**NETWORK, **SAMPLED, "weights": ["gaussian"], "steps": [1],
                           "spectra": False}),
    "run_network": (first_step,
                    {**NETWORK, **GAUSSIAN, "width": 8, "steps": 1,
                     "rng": np.random.default_rng(0)}),
    "trajectory": (rj.trajectory, {**NETWORK, "input_correlations": [1.0, 0.5],
                                   "start_variance": 0.3, "start_correlation": 0.0}),
    "order_chaos_line": (rj.order_chaos_line, {**NETWORK, "solve_for": "bias_mean",
                                               "search": [-2.0, 2.0]}),
    "critical_weights": (rj.critical_weights, {**NAMED, "preactivation_variance": 20.0,
                                               "input_variance": 0.5}),
    "critical_initialization": (rj.critical_initialization, {"cell": CELL, **CRITICAL}),
    "exact_variance": (rj.exact_variance, {"cell": rj.minimalrnn}),
    "compare": (rj.compare, {"values": VALUES, "law": "quarter-circle(2)"}),
    "plot": (rj.plot, {"values": VALUES, "law": "quarter-circle(2)"}),
    "freeness_test": (rj.freeness_test, {"samples": PRODUCTS}),
    "cell_named": (rj.cell_named, {"name": "gru"}),
    "activation_named": (rj.activation_named, {"activation": "relu"}),
}  # fmt: skip

NO_COUNTS = (2.5, 2.0, True, 0, -1, "3", None)
NO_NUMBERS = ("two", None, [1.0])
OUTSIDE = (math.nan, math.inf, -1.0)

MISTAKES: dict[str, tuple[Any, ...]] = {
    "cell": ("gur", "vanilla:rleu", 3, None, ["gru"], rj.vanilla.updates[0]),
    "network": ("gur", 3, None, rj.Parameters.of(rj.gru)),
    "parameters": (
        {"weigth_std": 2.0}, {"update.weight": 2.0}, {"reset.bias_mean": 2.0}, [1.0, 2.0], 1.5,
        "weight_std=2", rj.Parameters.of(rj.lstm), {"weight_std": math.nan},
        {"input_variance": math.inf}, {"weight_std": -1.0}, {"weight_std": "two"},
        {"weight_std": None}, {"weight_std": [1.0, 2.0]}, {3: 1.0}, {"weight_std": 1j},
    ),
    "fixed": ({"weigth_std": 2.0}, [1.0], {"input_variance": "one"}, {"input_variance": -1.0},
              {"input_variance": math.nan}, {}, None),
    "weights": ("gausian", "GAUSSIAN?", 3, None, ["gaussian", "orthogonl"]),
    "steps": (2.5, 2.0, True, 0, -1, "3", math.nan, np.array([[1]])),
    "width": NO_COUNTS,
    "samples": NO_COUNTS[:-1],
    "sites": (2.5, True, 0, -1, "3"),
    "draws": (2.5, True, 0, -1, "3"),
    "workers": (2.5, 0, -1, "two"),
    "seed": ("abc", -1, 2.5),
    "dynamics": ("steady", 3, ""),
    "biases": ("fixed", 3),
    "tolerance": ("small", -1.0, math.nan),
    "device": ("tpu", 3),
    "dtype": ("int8", 3),
    "exponents": (0, 1000, "all", 2.5),
    "transient": (-1, 2.5, "two"),
    "replicates": (2.5, -1, "two"),
    "start_variance": ("one", -1.0, math.nan),
    "rng": (None, "seed"),
    "free": (["weigth_std"], ["input_variance"]),
    "preactivation_variance": (*NO_NUMBERS, *OUTSIDE),
    "input_correlations": (0.5, [], ["x"], [2.0], [math.nan]),
    "start_correlation": ("one", 2.0, math.nan),
    "solve_for": ("bias_maen", 3, None),
    "search": (1.0, [1.0], [2.0, -2.0], ["a", "b"], None, [math.nan, 1.0]),
    "input_variance": (*NO_NUMBERS, *OUTSIDE),
    "bias_mean": (*NO_NUMBERS, math.nan),
    "values": ([1.0, -0.5], [1.0, math.nan], ["a"], [], [[1.0, 2.0], [3.0]], np.ones((2, 2, 2)),
               None, 3.0, [1.0 + 1j]),
    "law": (None, 3, [1.0], "quarter-cirle(2)", "quarter-circle(-2)", "quarter-circle(2",
            "semicircle(x)"),
    "quantile": (0.0, 1.5, "high", math.nan),
    "states": (0, 2.5, "two", True),
    "bins": (0, 2.5, "many"),
    "name": ("gur", 3, None),
    "activation": ("rleu", 3, None),
    "nonsense": (1,),
}  # fmt: skip


def takes(name: str, key: str) -> bool:
    """Whether the function has the argument."""
    return key in signature(RIGHT[name][0]).parameters or key == "nonsense"


def generated() -> Iterator[Any]:
    for name in RIGHT:
        for key, wrong in MISTAKES.items():
            if takes(name, key):
                for value in wrong:
                    yield pytest.param(name, key, value, id=f"{name}-{key}-{value!r}"[:80])


CALLS = list(generated())
REMEDY = re.compile(r"must |did you mean|: |use |give |takes ")


@pytest.mark.parametrize(("name", "key", "wrong"), CALLS)
def test_a_wrong_argument(name: str, key: str, wrong: Any, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    call, given = RIGHT[name]
    with pytest.raises((ValueError, TypeError)) as refused:
        call(**{**given, key: wrong})
    message = str(refused.value)
    assert isinstance(refused.value, rj.RmtJacobianError), repr(refused.value)
    assert "\n" not in message
    assert REMEDY.search(message), message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_call(name: str) -> None:
    mpl.use("Agg")
    call, given = RIGHT[name]
    call(**given)
