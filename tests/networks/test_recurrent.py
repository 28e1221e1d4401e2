"""Layers of PyTorch made of any cell, against the networks that they are."""

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

HIDDEN, BATCH, STEPS = 12, 3, 9
CELLS = ("vanilla", "minimalrnn", "gru", "gru-reset-after", "lstm", "lstm-peephole", "leaky")


def own_cell() -> rj.Cell:
    """Functions that PyTorch spells in its own way, a number as source, and two states."""
    h, m, x, a, b = sp.symbols("h m x a b")
    relu, hard, sigmoid = (rj.activation_named(n) for n in ("relu", "hard_tanh", "sigmoid"))
    gates = (
        rj.Preactivation("slow", a, hard(h) + sp.erf(m), reads_input=False),
        rj.Preactivation("quick", b, relu(h - 1) * sp.exp(-(m**2))),
    )
    new = (sigmoid(a) * h + sp.tanh(sp.sqrt(2) * b) / 2, sp.sin(m) / 2 + sp.Abs(a) / 3)
    return rj.Cell("own", (h, m), x, gates, new)


def layer_of(cell: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    inputs = HIDDEN if cell == "minimalrnn" else 5
    return rj.torch.Recurrent(cell, inputs, HIDDEN, dtype=torch.float64, **options)


def sequence(layer: Any) -> Any:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(STEPS, BATCH, layer.input_size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("cell", [*CELLS, "own"])
def test_steps_and_derivatives_are_those_of_the_network(cell: str) -> None:
    layer = layer_of(own_cell() if cell == "own" else cell)
    x, d = sequence(layer), len(layer.cell.states)
    outputs, end = layer(x)
    paths = rj.torch.network(layer).run(x.transpose(0, 1).numpy())
    ends = end if d > 1 else (end,)
    for b, path in enumerate(paths):
        found = outputs[:, b].detach().numpy()
        np.testing.assert_allclose(found, path.states[1:, 0], atol=1e-12)
        for i, each in enumerate(ends):
            np.testing.assert_allclose(each[b].detach().numpy(), path.states[-1, i], atol=1e-12)
    t = 4

    def step(flat: Any) -> Any:
        states = flat.split(HIDDEN)
        _, new = layer(x[t : t + 1, 0], states if d > 1 else states[0])
        return torch.cat(new if d > 1 else (new,))

    start = torch.from_numpy(paths[0].states[t].ravel())
    expected = torch.autograd.functional.jacobian(step, start).numpy()
    np.testing.assert_allclose(paths[0].jacobian(t), expected, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "own"])
def test_compiled_pickled_and_stacked_layers_are_the_same(cell: str) -> None:
    layer = layer_of(own_cell() if cell == "own" else cell)
    x = sequence(layer)
    expected = layer(x)[0]
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x)[0], expected)
    assert rj.torch.network(compiled).width == HIDDEN
    # Our own file, written a line ago.
    torch.testing.assert_close(pickle.loads(pickle.dumps(layer))(x)[0], expected)
    torch.testing.assert_close(copy.deepcopy(layer)(x)[0], expected)
    stacked, _ = torch.func.stack_module_state([layer, copy.deepcopy(layer)])
    both = torch.func.vmap(lambda p: torch.func.functional_call(layer, p, (x,))[0])(stacked)
    torch.testing.assert_close(both[1], expected)


def test_batch_first_and_a_state_of_ones_own() -> None:
    layer, swapped = layer_of("lstm"), layer_of("lstm", batch_first=True)
    x = sequence(layer)
    outputs, state = layer(x)
    again, _ = swapped(x.transpose(0, 1))
    torch.testing.assert_close(again.transpose(0, 1), outputs)
    first, between = layer(x[:4])
    second, end = layer(x[4:], between)
    torch.testing.assert_close(torch.cat([first, second]), outputs)
    torch.testing.assert_close(end, state)
    alone, _ = layer(x[:, 0])
    torch.testing.assert_close(alone, outputs[:, 0])


def test_it_trains_and_stays_what_is_analysed() -> None:
    layer = layer_of("minimalrnn")
    before = rj.torch.network(layer).recurrent["update"]
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    x = sequence(layer)
    losses = []
    for _ in range(40):
        loss = (layer(x)[0][-1] - 0.5).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    assert np.max(np.abs(rj.torch.network(layer).recurrent["update"] - before)) > 1e-3


def test_arrays_are_drawn_with_the_hyperparameters() -> None:
    point = rj.Parameters.of(rj.leaky, weight_std=2.0, input_std=0.5, bias_mean=0.3, leak=0.2)
    layer = rj.torch.Recurrent("leaky", 64, 256, parameters=point)
    fit = rj.torch.network(layer).fit().parameters
    assert fit["candidate"].weight_std == pytest.approx(2, rel=1e-6)
    assert fit["candidate"].input_std == pytest.approx(0.5, rel=0.03)
    assert fit["candidate"].bias_mean == pytest.approx(0.3, rel=1e-6)
    assert dict(fit.constants) == {"leak": 0.2}
    W = layer.weight_hh_candidate.detach()
    torch.testing.assert_close(W @ W.T / 4, torch.eye(256), atol=1e-6, rtol=0)
    one, two = (
        rj.torch.Recurrent("gru", 5, 8, generator=torch.Generator().manual_seed(s)) for s in (3, 3)
    )
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rj.torch.Recurrent("minimalrnn", 3, 5), "input_size must be hidden_size, 5"),
        (lambda: rj.torch.Recurrent("gru", 3, 0), "hidden_size"),
        (lambda: rj.torch.Recurrent("grru", 3, 5), "gru"),
        (lambda: rj.torch.Recurrent(3, 3, 5), "cell"),
        (lambda: layer_of("gru", weights="fast"), "weights"),
        (lambda: layer_of("gru")(torch.zeros(4, 2, 9)), "5 columns"),
        (lambda: layer_of("gru")(torch.zeros(0, 2, 5)), "5 columns"),
        (lambda: layer_of("lstm")(torch.zeros(4, 2, 5), torch.zeros(2, 12)), "2 arrays of shape"),
        (lambda: rj.torch.network(layer_of("gru"), layer=1), "one layer"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_critical_points_of_a_layer_of_a_cell() -> None:
    layer = rj.torch.Recurrent("gru-reset-after", 32, 256)
    report = rj.torch.initialize_(layer, generator=torch.Generator().manual_seed(0))
    assert report.growth_rate == pytest.approx(1, abs=0.02)
    W = layer.weight_hh_candidate.detach()
    std = report.layers[0].parameters["candidate"].weight_std
    torch.testing.assert_close(W @ W.T / std**2, torch.eye(256), atol=1e-5, rtol=0)
    own = rj.Parameters.of(rj.leaky, weight_std=0.5)
    leaky = rj.torch.Recurrent("leaky", 4, 64)
    assert rj.torch.initialize_(leaky, own).growth_rate < 0.9
    with pytest.raises(ParameterError, match="for layers of PyTorch"):
        rj.torch.initialize_(leaky, "keras")
    with pytest.raises(ParameterError, match="no critical point of leaky"):
        rj.torch.initialize_(leaky)
