"""Layers of PyTorch against their own steps and derivatives."""

import sys
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

HIDDEN, INPUTS, STEPS = 48, 7, 9
MODULES = {
    "tanh": lambda **options: torch.nn.RNN(INPUTS, HIDDEN, **options),
    "relu": lambda **options: torch.nn.RNN(INPUTS, HIDDEN, nonlinearity="relu", **options),
    "gru": lambda **options: torch.nn.GRU(INPUTS, HIDDEN, **options),
    "lstm": lambda **options: torch.nn.LSTM(INPUTS, HIDDEN, **options),
}
CELLS = {
    "tanh": lambda: torch.nn.RNNCell(INPUTS, HIDDEN),
    "relu": lambda: torch.nn.RNNCell(INPUTS, HIDDEN, nonlinearity="relu"),
    "gru": lambda: torch.nn.GRUCell(INPUTS, HIDDEN),
    "lstm": lambda: torch.nn.LSTMCell(INPUTS, HIDDEN),
}


def trained(module: Any, seed: int = 0) -> Any:
    """Return a module with weights that are not those of its initialisation, in 64 bits."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double()
    with torch.no_grad():
        for each in module.parameters():
            each.normal_(0, 1.5 / HIDDEN**0.5, generator=generator)
    return module


def sequence(size: int = INPUTS) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((STEPS, size))


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no bias"])
@pytest.mark.parametrize("kind", MODULES)
def test_every_layer_and_direction_has_the_outputs_of_the_module(kind: str, bias: bool) -> None:
    module = trained(MODULES[kind](num_layers=2, bidirectional=True, bias=bias))
    x = sequence()
    expected = module(torch.from_numpy(x))[0].detach().numpy()
    for layer in range(2):
        outputs = []
        for direction in range(2):
            found = rj.torch.network(module, layer=layer, direction=direction)
            assert (found.width, found.input_size) == (HIDDEN, x.shape[1])
            path = found.run(x[::-1] if direction else x)
            states = path.state("h")[1:]
            outputs.append(states[::-1] if direction else states)
        x = np.concatenate(outputs, axis=1)
    np.testing.assert_allclose(x, expected, atol=1e-12)


@pytest.mark.parametrize("kind", CELLS)
def test_jacobians_are_those_of_autograd(kind: str) -> None:
    cell = trained(CELLS[kind]())
    path = rj.torch.network(cell).run(sequence())
    t, x = 5, torch.from_numpy(sequence()[5])

    def step(state: Any) -> Any:
        if kind != "lstm":
            return cell(x, state)
        return torch.cat(cell(x, (state[:HIDDEN], state[HIDDEN:])))

    start = torch.from_numpy(path.states[t].ravel())
    expected = torch.autograd.functional.jacobian(step, start).numpy()
    np.testing.assert_allclose(path.jacobian(t), expected, atol=1e-12)
    np.testing.assert_allclose(path.states[t + 1].ravel(), step(start).detach().numpy(), atol=1e-12)


def test_a_default_gru_over_300_steps_keeps_its_digits() -> None:
    torch.manual_seed(0)
    path = rj.torch.network(torch.nn.GRU(INPUTS, HIDDEN)).run(
        np.random.default_rng(2).standard_normal((300, INPUTS))
    )
    found = path.log_singular_values_with_errors()
    assert np.all(found.resolved)
    assert np.all(np.isfinite(found.values))
    assert found.values[0] < -100
    assert found.values[-1] < -250
    largest = path.lyapunov_exponents(1)[0]
    assert found.values[0] / 300 == pytest.approx(largest, abs=0.02)


def test_fitted_parameters_are_those_of_the_conventions() -> None:
    """The table of docs/conventions.md, Coming from PyTorch."""
    torch.manual_seed(3)
    H, inputs = 256, 64
    fit = rj.torch.network(torch.nn.GRU(inputs, H)).fit()
    p = fit.parameters
    for name in ("update", "reset"):
        assert p[name].weight_std == pytest.approx(3**-0.5, rel=0.02)
        assert p[name].bias_std == pytest.approx((2 / (3 * H)) ** 0.5, rel=0.2)
        # Here V x has the variance input_std^2 times that of an input, whatever their number.
        assert p[name].input_std == pytest.approx((inputs / H / 3) ** 0.5, rel=0.02)
    for name in ("candidate", "candidate_input"):
        assert p[name].bias_std == pytest.approx((3 * H) ** -0.5, rel=0.2)
    assert fit.looks_random


def test_single_precision_is_read_as_it_is() -> None:
    torch.manual_seed(4)
    module = torch.nn.LSTM(INPUTS, HIDDEN)
    W = rj.torch.network(module).recurrent["forget"]
    assert W.dtype == float
    np.testing.assert_array_equal(W, module.weight_hh_l0[HIDDEN : 2 * HIDDEN].detach().numpy())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rj.torch.network(torch.nn.Linear(2, 2)), "nn.GRU, .* not Linear"),
        (lambda: rj.torch.network(np.zeros(3)), "not ndarray"),
        (lambda: rj.torch.network(torch.nn.LSTM(4, 8, proj_size=2)), "projections"),
        (lambda: rj.torch.network(torch.nn.GRU(4, 8), layer=1), "1 layers"),
        (lambda: rj.torch.network(torch.nn.GRU(4, 8), layer=-1), "counted from 0"),
        (lambda: rj.torch.network(torch.nn.GRU(4, 8), direction=1), "1 directions each"),
        (lambda: rj.torch.network(torch.nn.GRUCell(4, 8), layer=1), "leave both out"),
        (lambda: rj.torch.network(torch.nn.GRU(4, 8, device="meta")), "meta device"),
    ],
)
def test_what_cannot_be_read_is_refused(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_weights_that_are_broken_are_named() -> None:
    module = torch.nn.GRU(4, 8)
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = float("nan")
    with pytest.raises(ParameterError, match=r"recurrent\['reset'\] .* not finite"):
        rj.torch.network(module)


def test_without_pytorch_it_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ParameterError, match=r"rmt-jacobian\[frameworks\]"):
        rj.torch.network(None)
