"""Layers of Keras against their own steps and derivatives, and their initialisations."""

import math
import os
import sys
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.known import known_point
from tests.networks.frameworks import (
    HIDDEN,
    INPUTS,
    drawn,
    errors_beside,
    gates_are_orthogonal,
    gates_have,
    sequence,
)

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
jax = pytest.importorskip("jax", reason="JAX is not installed")
keras = pytest.importorskip("keras", reason="Keras is not installed")
if keras.backend.backend() != "jax":
    pytest.skip("derivatives are those of JAX", allow_module_level=True)

# Of Keras's own variables, when it copies them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

layers = keras.layers


@keras.saving.register_keras_serializable(package="rmt_jacobian_tests")
def exact_tanh(x: Any) -> Any:
    """Return the tanh of JAX: that of Keras rounds to 32 bits on this backend."""
    return jax.numpy.tanh(x)


LAYERS = {
    "tanh": (layers.SimpleRNN, layers.SimpleRNNCell, {}),
    "relu": (layers.SimpleRNN, layers.SimpleRNNCell, {"activation": "relu"}),
    "gru": (layers.GRU, layers.GRUCell, {"reset_after": False}),
    "gru reset after": (layers.GRU, layers.GRUCell, {"reset_after": True}),
    "lstm": (layers.LSTM, layers.LSTMCell, {}),
}
EXACT = {"activation": exact_tanh, "dtype": "float64"}
CELLS = {
    "tanh": "vanilla", "relu": "vanilla:relu", "gru": "gru", "gru reset after": "gru-reset-after",
    "lstm": "lstm",
}  # fmt: skip


def built(layer: Any, inputs: int = INPUTS) -> Any:
    layer.build((None, None, inputs) if hasattr(layer, "cell") else (None, inputs))
    return layer


def trained(layer: Any) -> Any:
    """Return a layer with weights that are not those of its initialisation."""
    built(layer)
    layer.set_weights([drawn(each.shape, k) for k, each in enumerate(layer.get_weights())])
    return layer


def step_of(cell: Any, states: int) -> Any:
    def step(x: Any, state: Any) -> Any:
        state = jax.numpy.asarray(state)
        parts = [each[None] for each in jax.numpy.split(state, states)]
        return jax.numpy.concatenate(cell(jax.numpy.asarray(x)[None], parts)[1], axis=1)[0]

    return step


@pytest.mark.parametrize("use_bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("kind", LAYERS)
def test_steps_and_jacobians_of_cells(kind: str, use_bias: bool) -> None:
    _, make, options = LAYERS[kind]
    cell = trained(make(HIDDEN, use_bias=use_bias, **{**EXACT, **options}))
    network = rj.keras.network(cell)
    assert (network.width, network.input_size) == (HIDDEN, INPUTS)
    assert network.cell.name == CELLS[kind]
    states, jacobian = errors_beside(
        network, step_of(cell, 2 if kind == "lstm" else 1), lambda f, at: jax.jacobian(f)(at)
    )
    assert states < 1e-12
    assert jacobian < 1e-12


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("tanh", ["candidate"]),
        ("lstm", ["input", "forget", "candidate", "output"]),
        ("gru", ["update", "reset", "candidate"]),
        ("gru reset after", ["update", "reset", "candidate"]),
    ],
)
def test_the_table_of_conventions(kind: str, columns: list[str]) -> None:
    """The table of docs/networks.md, From Keras, Flax and Equinox."""
    cell = trained(LAYERS[kind][1](HIDDEN, **LAYERS[kind][2]))
    network, bias = rj.keras.network(cell), np.asarray(cell.bias).astype(float)
    for k, name in enumerate(columns):
        part = slice(k * HIDDEN, (k + 1) * HIDDEN)
        W = np.asarray(cell.recurrent_kernel)[:, part].T
        np.testing.assert_array_equal(network.recurrent[name], W)
        if kind != "gru reset after":
            np.testing.assert_array_equal(network.bias[name], bias[part])
        elif name == "candidate":
            np.testing.assert_array_equal(network.bias["candidate_input"], bias[0, part])
            np.testing.assert_array_equal(network.bias["candidate"], bias[1, part])
        else:
            np.testing.assert_array_equal(network.bias[name], bias[:, part].sum(0))


@pytest.mark.parametrize("kind", LAYERS)
def test_outputs_of_layers_and_of_both_directions(kind: str) -> None:
    make, _, options = LAYERS[kind]
    layer = make(HIDDEN, return_sequences=True, **{**EXACT, **options})
    both = layers.Bidirectional(layer, dtype="float64")
    both.build((None, None, INPUTS))
    both.set_weights([drawn(each.shape, k) for k, each in enumerate(both.get_weights())])
    x = sequence()
    expected = np.asarray(both(x[None])[0])
    forward = rj.keras.network(both.forward_layer).run(x).state("h")[1:]
    backward = rj.keras.network(both.backward_layer).run(x[::-1]).state("h")[:0:-1]
    np.testing.assert_allclose(np.concatenate([forward, backward], 1), expected, atol=1e-12)


def test_a_stack_is_read_layer_by_layer() -> None:
    first, second = (
        layers.GRU(HIDDEN, return_sequences=True, **EXACT),
        layers.RNN(layers.LSTMCell(20, **EXACT), return_sequences=True, dtype="float64"),
    )
    model = keras.Sequential([keras.Input((None, INPUTS), dtype="float64"), first, second])
    model.set_weights([drawn(each.shape, k) for k, each in enumerate(model.get_weights())])
    x = sequence()
    for layer in (first, second):
        x = rj.keras.network(layer).run(x).state("h")[1:]
    np.testing.assert_allclose(x, np.asarray(model(sequence()[None])[0]), atol=1e-12)


@pytest.mark.parametrize("kind", LAYERS)
def test_activations_of_keras_in_single_precision(kind: str) -> None:
    _, make, options = LAYERS[kind]
    cell = trained(make(HIDDEN, **options))
    states, jacobian = errors_beside(
        rj.keras.network(cell),
        step_of(cell, 2 if kind == "lstm" else 1),
        lambda f, at: jax.jacobian(f)(jax.numpy.asarray(at, "float32")),
    )
    assert states < 3e-6
    assert jacobian < 3e-6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_other_precisions_are_read_and_written(dtype: str) -> None:
    layer = built(layers.LSTM(32, dtype=dtype, recurrent_initializer="glorot_uniform"))
    report = rj.keras.initialize_(layer, seed=0)
    assert layer.cell.recurrent_kernel.dtype == dtype
    rough = {"float16": 5e-3, "bfloat16": 5e-2, "float32": 1e-6}[dtype]
    gates_are_orthogonal(rj.keras.network(layer), report.layers[0].parameters, rough)


@pytest.mark.parametrize("kind", [each for each in LAYERS if each != "relu"])
def test_initialised_gates(kind: str) -> None:
    make, _, options = LAYERS[kind]
    layer = built(make(64, **options), 16)
    report = rj.keras.initialize_(layer, seed=1)
    assert report.scheme == "critical"
    assert "critical-init" in report.origin
    network, parameters = rj.keras.network(layer), report.layers[0].parameters
    gates_are_orthogonal(network, parameters, 1e-6)
    gates_have(network, parameters)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gradients_of_a_wide_gru_keep_their_norm(reset_after: bool) -> None:
    layer = built(layers.GRU(256, reset_after=reset_after), 64)
    report = rj.keras.initialize_(layer, seed=0)
    assert report.layers[0].before < 0.6
    assert 0.97 < report.growth_rate < 1.03


@pytest.mark.parametrize(
    "cell",
    ["vanilla", "gru", "gru-reset-after", "lstm"],
)
def test_initialisers_draw_every_gate_by_itself(cell: str) -> None:
    make = {"vanilla": layers.SimpleRNN, "lstm": layers.LSTM}.get(cell, layers.GRU)
    layer = built(make(64, **rj.keras.initializers(cell, input_variance=4.0, seed=3)), 16)
    assert layer.cell.kernel.dtype == "float32"
    network = rj.keras.network(layer)
    assert network.cell.name == cell
    parameters = known_point(network.cell, input_variance=4.0).parameters
    gates_are_orthogonal(network, parameters, 1e-6)
    gates_have(network, parameters)


def test_initialisers_are_those_of_keras_where_they_are_asked_for() -> None:
    def fitted(scheme: Any, **options: Any) -> Any:
        made = rj.keras.initializers("lstm", scheme, seed=0, **options)
        layer = built(layers.LSTM(128, **made), 16)
        return rj.keras.network(layer), layer

    network, layer = fitted("keras")
    stacked = np.asarray(layer.cell.recurrent_kernel)
    np.testing.assert_allclose(stacked @ stacked.T, np.eye(128), atol=1e-5)
    np.testing.assert_array_equal(network.bias["forget"], 1)
    assert np.abs(np.asarray(layer.cell.kernel)).max() <= math.sqrt(6 / (16 + 512))
    network, _ = fitted("chrono", steps=50)
    assert np.all((network.bias["forget"] >= 0) & (network.bias["forget"] <= math.log(49)))
    np.testing.assert_allclose(network.bias["input"], -network.bias["forget"])
    network, _ = fitted("pytorch")
    assert network.fit().parameters["input"].weight_std == pytest.approx(3**-0.5, rel=0.03)
    point = rj.Parameters.of(rj.lstm, weight_std=0.9, bias_mean=0.2)
    network, _ = fitted(point, weights="gaussian")
    assert network.fit().parameters["output"].weight_std == pytest.approx(0.9, rel=0.02)


def test_the_seed_decides() -> None:
    def kernel(seed: int | None) -> np.ndarray:
        layer = built(layers.GRU(8, **rj.keras.initializers("gru-reset-after", seed=seed)))
        return np.asarray(layer.cell.kernel)

    np.testing.assert_array_equal(kernel(5), kernel(5))
    assert not np.array_equal(kernel(5), kernel(6))
    assert not np.array_equal(kernel(None), kernel(None))
    keras.utils.set_random_seed(2)
    first = kernel(None)
    keras.utils.set_random_seed(2)
    np.testing.assert_array_equal(kernel(None), first)


def test_layers_with_initialisers_are_copied_and_saved(tmp_path) -> None:
    layer = layers.LSTM(16, **rj.keras.initializers("lstm"))
    model = keras.Sequential([keras.Input((None, 5)), layers.Bidirectional(layer)])
    both = model.layers[0]
    forward, backward = (
        rj.keras.network(each).recurrent["forget"]
        for each in (both.forward_layer, both.backward_layer)
    )
    assert not np.allclose(forward, backward)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        rj.keras.network(again.layers[0].forward_layer).recurrent["forget"], forward
    )


def test_a_layer_that_is_refused_is_left_as_it_is() -> None:
    layer = built(layers.GRU(4, use_bias=False))
    before = layer.get_weights()
    with pytest.raises(ParameterError, match="use_bias=True"):
        rj.keras.initialize_(layer)
    for old, new in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


READ = rj.keras.network


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: READ(built(layers.Dense(3))), "LSTM of Keras, .* not Dense"),
        (lambda: READ(np.zeros(3)), "not ndarray"),
        (lambda: READ(layers.GRU(4)), "GRU has no numbers yet: build it, or call it once"),
        (lambda: READ(layers.LSTMCell(4)), "LSTMCell has no numbers yet"),
        (lambda: READ(layers.Bidirectional(layers.GRU(4))), "forward_layer or its backward"),
        (lambda: READ(layers.RNN([layers.GRUCell(4)])), "one of their cells"),
        (lambda: READ(layers.ConvLSTM1D(4, 3)), "not ConvLSTM1D"),
        (
            lambda: READ(built(layers.GRU(4, activation="relu"))),
            "^activation of GRUCell must be tanh, not relu",
        ),
        (
            lambda: READ(built(layers.LSTM(4, recurrent_activation="hard_sigmoid"))),
            "^recurrent_activation of LSTMCell must be sigmoid, not hard_sigmoid",
        ),
        (lambda: READ(built(layers.SimpleRNN(4, activation=None))), "tanh or relu, not linear"),
        (lambda: rj.keras.initialize_(built(layers.GRU(4)), "kaiming"), "unknown scheme"),
        (lambda: rj.keras.initialize_(built(layers.GRU(4)), seed=-1), "seed must be"),
        (lambda: rj.keras.initialize_(built(layers.SimpleRNN(4)), "chrono"), "no gate"),
        (lambda: rj.keras.initializers("leaky"), "Keras has no leaky"),
        (lambda: rj.keras.initializers("vanilla", "chrono"), "no gate"),
        (lambda: rj.keras.initializers("lstm", weights="gaussian"), "known are"),
        (lambda: rj.keras.initializers("gru", seed=1.5), "seed must be"),
        (lambda: rj.keras.initializers("gru", rj.Parameters.of(rj.lstm)), "another"),
    ],
)
def test_what_does_not_fit_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_initialisers_of_another_layer_are_refused() -> None:
    made = rj.keras.initializers("gru")["bias_initializer"]
    with pytest.raises(ParameterError, match="splat all"):
        built(layers.GRU(4, bias_initializer=made))


def test_without_keras_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ParameterError, match=r"KERAS_BACKEND.*rmt-jacobian\[jax\]"):
        rj.keras.network(None)
