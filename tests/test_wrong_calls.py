"""Wrong calls, generated: each is one error of ours that names the argument and a remedy."""

import math
import re
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from types import ModuleType
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
CRITICAL = {"fixed": {"input_variance": 1.0}, "steps": 1, "dynamics": "untied"}
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
    "fixed": ({"weigth_std": 2.0, "input_variance": 1.0}, [1.0], {"input_variance": "one"},
              {"input_variance": -1.0},
              {"input_variance": math.nan}, {}, None),
    "weights": ("gausian", "GAUSSIAN?", 3, None, ["gaussian", "orthogonl"]),
    "steps": (2.5, 2.0, True, 0, -1, "3", math.nan, np.eye(3)),
    "width": NO_COUNTS,
    "samples": NO_COUNTS[:-1],
    "sites": (2.5, True, 0, -1, "3"),
    "draws": (2.5, True, 0, -1, "3"),
    "workers": (2.5, 0, -1, "two"),
    "seed": ("abc", -1, 2.5, np.eye(3)),
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
    "input_correlations": (0.5, None, ["x"], [2.0], [math.nan]),
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
REMEDY = re.compile(r"must |did you mean|: |use |give |takes |needs? ")
NAMES = {  # where a message calls an argument by what it stands for
    "network": ("cell",),
    "name": ("cell",),
    "cell": ("cell", "activation"),
    "parameters": ("parameter", "weight_std", "input_variance"),
    "fixed": ("fixed", "input_variance", "weigth_std"),
    "free": ("solve for",),
    "solve_for": ("solve for",),
    "weights": ("weights",),
    "samples": ("samples", "factors"),
    "law": ("law", "radius"),
    "start_variance": ("start_variance", "start needs a variance"),
    "start_correlation": ("start_correlation", "start needs a variance"),
    "input_correlations": ("input_correlations",),
}


def refused(call: Callable[[], Any], folder: Path) -> str:
    """Return the message of the error that a call raises, which is ours and writes nothing."""
    with pytest.raises((ValueError, TypeError)) as raised:
        call()
    message = str(raised.value)
    assert isinstance(raised.value, rj.RmtJacobianError), repr(raised.value)
    assert "\n" not in message
    assert REMEDY.search(message), message
    assert list(folder.iterdir()) == []
    return message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    return tmp_path


@pytest.mark.parametrize(("name", "key", "wrong"), CALLS)
def test_a_wrong_argument(name: str, key: str, wrong: Any, folder: Path) -> None:
    call, given = RIGHT[name]
    message = refused(lambda: call(**{**given, key: wrong}), folder)
    assert any(word in message for word in NAMES.get(key, (key.replace("_", " "), key))), message


@pytest.mark.parametrize("name", RIGHT)
def test_the_right_call(name: str, folder: Path) -> None:
    call, given = RIGHT[name]
    call(**given)


@pytest.mark.parametrize(
    ("name", "key"),
    [(name, key) for name, (call, given) in RIGHT.items() for key in given
     if signature(call).parameters[key].default is Parameter.empty],
)  # fmt: skip
def test_a_missing_argument(name: str, key: str, folder: Path) -> None:
    call, given = RIGHT[name]
    rest = {other: value for other, value in given.items() if other != key}
    assert f" needs {key}" in refused(lambda: call(**rest), folder)


def test_there_are_a_hundred() -> None:
    assert len(CALLS) > 100


@pytest.mark.parametrize("name", [n for n in rj.__all__ if isinstance(getattr(rj, n), ModuleType)])
def test_a_module_is_no_function(name: str, folder: Path) -> None:
    module = getattr(rj, name)
    assert f"rmt_jacobian.{name} is a module: call " in refused(lambda: module("gru"), folder)


E3, P = np.eye(3), rj.Parameters.of(rj.minimalrnn)
GRU = {"network": "gru", **GAUSSIAN, "steps": 1}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rj.critical_initialization(preactivation_variance=20), "its arguments are cell"),
        (lambda: rj.critical_initialization("gru", {"input_variance": 1}, weigths=""), "weights?"),
        (lambda: rj.stationary("gru", weight_std=2), "go into parameters="),
        (lambda: rj.stationary("gru", {}, "tied"), "dynamics=..."),
        (lambda: rj.stationary("gru", cell="gru"), "cell twice"),
        (lambda: rj.stationary(rj.stationary("vanilla"), {}), "a cell must be"),
        (lambda: rj.Parameters(weight_std=2), "Parameters.of"),
        (lambda: rj.Cell("own", 3), "Cell needs input"),
        (lambda: rj.Cell("own", *(getattr(rj.vanilla, name) for name in (
            "states", "input", "preactivations")), ("h",)), "expressions of sympy"),
        (lambda: rj.Preactivation("a"), "needs symbol, source"),
        (lambda: rj.moments(**GRU, parameters={"weight_std": E3}), "weight_std must be"),
        (lambda: rj.moments(**{**GRU, "weights": {"update": "gaussian"}}), "reset, candidate"),
        (lambda: rj.critical_weights("lstm", preactivation_variance=1, bias_mean=0,
                                     input_variance=1), "use a cell of that form"),
        (lambda: rj.freeness_test([E3, E3]), "square matrices"),
        (lambda: rj.freeness_test([[E3, E3]]), "at least 2 samples"),
        (lambda: rj.freeness_test([[E3], [E3]]), "at least 2 matrices"),
        (lambda: rj.freeness_test([[E3, E3], [E3, np.eye(2)]]), "square matrices of one size"),
        (lambda: rj.freeness_test(np.ones((2, 2, 3, 4))), "square matrices"),
        (lambda: rj.freeness_test([["a", "b"], ["c", "d"]]), "square matrices"),
        (lambda: rj.compare(np.ones(4), "quarter-circle(2)", states=3), "number of states"),
        (lambda: rj.plot([1.0], "quarter-circle(2)", 3), "ax must be axes"),
        (lambda: rj.stationary("gru").pair("x"), "input_correlation must be"),
        (lambda: rj.stationary("gru").growth_over(2.5), "steps must be"),
        (lambda: rj.exact_variance(rj.minimalrnn).evaluate(P, stepz=1), "did you mean steps?"),
    ],
)  # fmt: skip
def test_other_wrong_calls(call: Callable[[], Any], said: str, folder: Path) -> None:
    assert said in refused(call, folder)
