"""Cells of Flax and Equinox against their own steps and derivatives, and initialised."""

import os
import sys
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from tests.networks.frameworks import (
    HIDDEN,
    INPUTS,
    drawn,
    errors_beside,
    gates_are_orthogonal,
    gates_have,
)

os.environ.setdefault("JAX_ENABLE_X64", "1")
jax = pytest.importorskip("jax", reason="JAX is not installed")
linen = pytest.importorskip("flax.linen", reason="Flax is not installed")
nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed")
eqx = pytest.importorskip("equinox", reason="Equinox is not installed")
jnp = jax.numpy

LINEN = {
    "gru": linen.GRUCell, "lstm": linen.LSTMCell, "fused lstm": linen.OptimizedLSTMCell,
    "simple": linen.SimpleCell,
}  # fmt: skip
NNX = {
    "gru": nnx.GRUCell, "lstm": nnx.LSTMCell, "fused lstm": nnx.OptimizedLSTMCell,
    "simple": nnx.SimpleCell,
}  # fmt: skip
EQUINOX = {"gru": eqx.nn.GRUCell, "lstm": eqx.nn.LSTMCell}


def retrained(tree: Any) -> Any:
    """Return arrays that are not those of an initialisation, in 64 bits."""
    leaves, structure = jax.tree.flatten(tree)
    new = [jnp.asarray(drawn(each.shape, k)) for k, each in enumerate(leaves)]
    return jax.tree.unflatten(structure, new)


def carry_of(kind: str, state: Any) -> Any:
    """Return the state as Flax has it, c before h."""
    if "lstm" not in kind:
        return jnp.asarray(state)
    h, c = jnp.split(jnp.asarray(state), 2)
    return c, h


def flat(carry: Any) -> Any:
    return jnp.concatenate([carry[1], carry[0]]) if isinstance(carry, tuple) else carry


def linen_params(kind: str, inputs: int = INPUTS, hidden: int = HIDDEN) -> Any:
    carry = carry_of(kind, np.zeros(hidden * (1 + ("lstm" in kind)), np.float32))
    return LINEN[kind](hidden).init(jax.random.key(0), carry, jnp.zeros(inputs, jnp.float32))


def nnx_cell(kind: str, inputs: int = INPUTS, hidden: int = HIDDEN, **options: Any) -> Any:
    return NNX[kind](inputs, hidden, rngs=nnx.Rngs(0), **options)


def exact(network: rj.Network, step: Any) -> None:
    states, jacobian = errors_beside(network, step, lambda f, at: jax.jacobian(f)(at))
    assert (network.width, network.input_size) == (HIDDEN, INPUTS)
    assert states < 1e-12
    assert jacobian < 1e-12


@pytest.mark.parametrize("kind", LINEN)
def test_steps_and_jacobians_of_linen(kind: str) -> None:
    cell, params = LINEN[kind](HIDDEN), retrained(linen_params(kind))
    exact(
        rj.jax.network(params),
        lambda x, state: flat(cell.apply(params, carry_of(kind, state), jnp.asarray(x))[0]),
    )
    bare = rj.jax.network(params["params"]).recurrent
    for name, W in rj.jax.network({"params": {"cell": params["params"]}}).recurrent.items():
        np.testing.assert_array_equal(W, bare[name])


@pytest.mark.parametrize("kind", NNX)
def test_steps_and_jacobians_of_nnx(kind: str) -> None:
    cell = nnx_cell(kind, dtype=jnp.float64, param_dtype=jnp.float64)
    nnx.update(cell, retrained(nnx.state(cell, nnx.Param)))
    exact(
        rj.jax.network(cell),
        lambda x, state: flat(cell(carry_of(kind, state), jnp.asarray(x))[0]),
    )


@pytest.mark.parametrize("use_bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("kind", EQUINOX)
def test_steps_and_jacobians_of_equinox(kind: str, use_bias: bool) -> None:
    cell = EQUINOX[kind](INPUTS, HIDDEN, use_bias, jnp.float64, key=jax.random.key(0))
    cell = retrained(cell)

    def step(x: Any, state: Any) -> Any:
        state = jnp.asarray(state)
        if kind == "gru":
            return cell(jnp.asarray(x), state)
        return jnp.concatenate(cell(jnp.asarray(x), tuple(jnp.split(state, 2))))

    exact(rj.jax.network(cell), step)


def test_the_tables_of_conventions() -> None:
    """The tables of docs/networks.md, From Keras, Flax and Equinox."""
    params = retrained(linen_params("gru"))["params"]
    network = rj.jax.network(params)
    for name, gate in {"reset": "r", "update": "z", "candidate": "n"}.items():
        np.testing.assert_array_equal(network.recurrent[name], params[f"h{gate}"]["kernel"].T)
    np.testing.assert_array_equal(network.bias["candidate"], params["hn"]["bias"])
    np.testing.assert_array_equal(network.bias["candidate_input"], params["in"]["bias"])
    cell = nnx_cell("gru", param_dtype=jnp.float64)
    nnx.update(cell, retrained(nnx.state(cell, nnx.Param)))
    network = rj.jax.network(cell)
    np.testing.assert_array_equal(network.recurrent["update"].T,
                                  cell.dense_h.kernel[...][:, HIDDEN : 2 * HIDDEN])  # fmt: skip
    np.testing.assert_array_equal(network.bias["candidate"], 0)
    cell = retrained(eqx.nn.GRUCell(INPUTS, HIDDEN, key=jax.random.key(0)))
    network = rj.jax.network(cell)
    np.testing.assert_array_equal(network.recurrent["update"], cell.weight_hh[HIDDEN : 2 * HIDDEN])
    np.testing.assert_array_equal(network.bias["candidate"], cell.bias_n)
    np.testing.assert_array_equal(network.bias["candidate_input"], cell.bias[2 * HIDDEN :])
    for tree in (
        retrained(linen_params("lstm")),
        retrained(eqx.nn.LSTMCell(INPUTS, HIDDEN, key=jax.random.key(0))),
    ):
        network = rj.jax.network(tree)
        W = (
            tree.weight_hh
            if isinstance(tree, eqx.Module)
            else np.concatenate(
                [np.asarray(tree["params"][f"h{gate}"]["kernel"]).T for gate in "ifgo"]
            )
        )
        for k, name in enumerate(["input", "forget", "candidate", "output"]):
            part = slice(k * HIDDEN, (k + 1) * HIDDEN)
            np.testing.assert_array_equal(network.recurrent[name], W[part])


def test_layers_and_directions_of_linen() -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, x: Any) -> Any:
            double = {"param_dtype": jnp.float64}
            forward, backward = (linen.RNN(linen.GRUCell(HIDDEN, **double)) for _ in range(2))
            x = linen.Bidirectional(forward, backward)(x)
            return linen.RNN(linen.OptimizedLSTMCell(20, **double))(x)

    x, model = np.random.default_rng(0).standard_normal((9, INPUTS)), Model()
    params = retrained(model.init(jax.random.key(0), jnp.zeros((9, INPUTS), jnp.float32)))
    cells = params["params"]
    assert set(cells) == {"GRUCell_0", "GRUCell_1", "OptimizedLSTMCell_0"}
    forward = rj.jax.network(cells["GRUCell_0"]).run(x).state("h")[1:]
    backward = rj.jax.network(cells["GRUCell_1"]).run(x[::-1]).state("h")[:0:-1]
    both = np.concatenate([forward, backward], 1)
    found = rj.jax.network(cells["OptimizedLSTMCell_0"]).run(both).state("h")[1:]
    np.testing.assert_allclose(found, np.asarray(model.apply(params, jnp.asarray(x))), atol=1e-12)


def test_a_simple_cell_of_nnx_with_relu() -> None:
    found = rj.jax.network(nnx_cell("simple", activation_fn=jax.nn.relu))
    assert found.cell.name == "vanilla:relu"


GIVEN = {
    **{f"linen {kind}": lambda n, m, kind=kind: linen_params(kind, m, n) for kind in LINEN},
    **{f"nnx {kind}": lambda n, m, kind=kind: nnx_cell(kind, m, n) for kind in NNX},
    **{
        f"equinox {kind}": lambda n, m, kind=kind: EQUINOX[kind](
            m, n, dtype=jnp.float32, key=jax.random.key(0)
        )
        for kind in EQUINOX
    },
}


def arrays_of(given: Any) -> list[Any]:
    if isinstance(given, nnx.Module):
        given = nnx.to_pure_dict(nnx.state(given, nnx.Param))
    return jax.tree.leaves(given)


@pytest.mark.parametrize("kind", GIVEN)
def test_initialised_gates(kind: str) -> None:
    given = GIVEN[kind](64, 16)
    before = [np.asarray(each).copy() for each in arrays_of(given)]
    new, report = rj.jax.initialize(given, jax.random.key(1))
    assert type(new) is type(given)
    assert jax.tree.structure(new) == jax.tree.structure(given) or kind.startswith("nnx")
    for old, now, kept in zip(arrays_of(given), arrays_of(new), before, strict=True):
        assert (now.shape, now.dtype) == (old.shape, old.dtype)
        assert now.dtype == np.float32
        np.testing.assert_array_equal(old, kept)
    network, parameters = rj.jax.network(new), report.layers[0].parameters
    gates_are_orthogonal(network, parameters, 1e-6)
    gates_have(network, parameters)
    assert abs(report.growth_rate - 1) < 0.08


@pytest.mark.parametrize("kind", ["linen gru", "nnx gru", "equinox gru"])
def test_gradients_of_a_wide_gru_keep_their_norm(kind: str) -> None:
    _, report = rj.jax.initialize(GIVEN[kind](256, 64), jax.random.key(0))
    assert report.layers[0].before < 0.6
    assert 0.97 < report.growth_rate < 1.03


def test_a_new_module_works() -> None:
    new, _ = rj.jax.initialize(nnx_cell("gru"), jax.random.key(1))
    out, _ = nnx.jit(lambda cell, h, x: cell(h, x))(new, jnp.zeros(HIDDEN), jnp.ones(INPUTS))
    assert np.all(np.isfinite(np.asarray(out)))


def test_the_key_decides_of_either_kind() -> None:
    given = linen_params("gru")

    def kernel(key: Any) -> np.ndarray:
        return rj.jax.network(rj.jax.initialize(given, key)[0]).recurrent["reset"]

    first = kernel(jax.random.key(3))
    np.testing.assert_array_equal(first, kernel(jax.random.key(3)))
    np.testing.assert_array_equal(first, kernel(jax.random.PRNGKey(3)))
    assert not np.array_equal(first, kernel(jax.random.key(4)))


def test_usual_schemes_and_biases_that_have_no_place() -> None:
    key = jax.random.key(0)
    new, report = rj.jax.initialize(linen_params("lstm"), key, "chrono", steps=50)
    assert report.scheme == "chrono"
    bias = rj.jax.network(new).bias
    np.testing.assert_allclose(bias["input"], -bias["forget"])
    new, _ = rj.jax.initialize(linen_params("gru"), key, "pytorch")
    bias = rj.jax.network(new).bias
    assert np.abs(bias["candidate"]).max() > 0
    rj.jax.initialize(nnx_cell("gru"), key, "keras")
    point = rj.Parameters.of(rj.vanilla, weight_std=0.9, bias_std=0.1)
    new, _ = rj.jax.initialize(linen_params("simple"), key, point, weights="gaussian")
    assert rj.jax.network(new).fit().parameters["candidate"].weight_std == pytest.approx(
        0.9, rel=0.05
    )


def test_numpy_arrays_and_other_precisions_stay_what_they_are() -> None:
    params = jax.tree.map(np.asarray, linen_params("gru"))
    new, _ = rj.jax.initialize(params, jax.random.key(0))
    assert all(type(each) is np.ndarray for each in jax.tree.leaves(new))
    low = jax.tree.map(lambda each: each.astype(jnp.bfloat16), linen_params("gru"))
    new, _ = rj.jax.initialize(low, jax.random.key(0))
    assert all(each.dtype == jnp.bfloat16 for each in jax.tree.leaves(new))


def with_gru(change: Any) -> Any:
    params = dict(linen_params("gru")["params"])
    return change(params) or params


READ = rj.jax.network
KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: READ(np.zeros(3)), "GRUCell, .* not ndarray"),
        (lambda: READ(linen.GRUCell(4)), "GRUCell of linen holds no numbers: give its param"),
        (lambda: READ({}), "not those of nothing"),
        (lambda: READ(with_gru(lambda p: p.pop("hn") and None)), "not those of .*give the branch"),
        (lambda: READ({"if": 1, "in": 1, "hf": 1, "hn": 1}), "not those of if, in, hf, hn"),
        (
            lambda: READ(jax.tree.map(lambda each: jnp.stack([each] * 2), linen_params("gru"))),
            "not of several that are stacked",
        ),
        (lambda: jax.jit(lambda p: READ(p).width)(linen_params("gru")), "outside of jax.jit"),
        (lambda: READ(jax.eval_shape(lambda: linen_params("gru"))), "needs arrays with numbers"),
        (lambda: READ(nnx.RNN(nnx_cell("gru"))), r"not RNN: give the cell .*\(its cell\)"),
        (
            lambda: READ(nnx_cell("gru", gate_fn=jax.nn.hard_sigmoid)),
            "^gate_fn of GRUCell must be sigmoid, not hard_sigmoid",
        ),
        (
            lambda: READ(nnx_cell("fused lstm", activation_fn=jax.nn.relu)),
            "^activation_fn of OptimizedLSTMCell must be tanh, not relu",
        ),
        (lambda: READ(nnx_cell("simple", residual=True)), "residual=True"),
        (lambda: READ(eqx.nn.Linear(2, 2, key=KEY)), "not Linear"),
        (lambda: rj.jax.initialize(nnx_cell("gru"), 0), "jax.random.key"),
        (lambda: rj.jax.initialize(nnx_cell("gru"), jax.random.split(KEY)), "one key"),
        (lambda: rj.jax.initialize(nnx_cell("gru"), KEY, "kaiming"), "unknown scheme"),
        (lambda: rj.jax.initialize(nnx_cell("gru"), KEY, "pytorch"), "has no place for them"),
        (lambda: rj.jax.initialize(nnx_cell("simple"), KEY, "chrono"), "no gate"),
        (
            lambda: rj.jax.initialize(
                eqx.nn.GRUCell(4, 8, use_bias=False, key=jax.random.key(0)), KEY
            ),
            "use_bias=True",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)


def test_without_jax_it_says_what_to_install(monkeypatch) -> None:
    params = jax.tree.map(np.asarray, linen_params("gru"))
    key = jax.random.key(0)
    monkeypatch.setitem(sys.modules, "jax", None)
    assert rj.jax.network(params).width == HIDDEN  # which arrays of NumPy need not
    with pytest.raises(ParameterError, match=r"JAX is not installed.*rmt-jacobian\[jax\]"):
        rj.jax.initialize(params, key)
