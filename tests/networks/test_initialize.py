"""Initialisations of layers of PyTorch in place."""

import math

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.initialization.known import known_point

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

KINDS = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}


def seeded(seed: int = 0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_real_module_keep_their_norm(kind: str) -> None:
    """Carried through the module by autograd, 100 steps, in its own single precision."""
    torch.manual_seed(1)
    hidden, inputs = 256, 16
    module = KINDS[kind](inputs, hidden)
    report = rj.torch.initialize_(module, generator=seeded(2))
    assert report.scheme == "critical"
    assert "critical-init" in report.origin
    # Networks of this width scatter by 0.006 (GRU) to 0.015 (RNN) a step, over these 100 steps.
    assert abs(report.growth_rate - 1) < 0.04
    assert report.layers[0].before < 0.7
    x = torch.randn(200, inputs, generator=seeded(3))
    with torch.no_grad():
        _, state = module(x[:100])
    states = [each.detach().requires_grad_() for each in (state if kind == "lstm" else [state])]
    end = module(x[100:], tuple(states) if kind == "lstm" else states[0])[1]
    ends = end if kind == "lstm" else (end,)
    total, count, rng = 0.0, 24, seeded(4)
    for _ in range(count):
        signs = [torch.sign(torch.randn(each.shape, generator=rng)) for each in ends]
        found = torch.autograd.grad(ends, states, signs, retain_graph=True)
        total += sum(float((each**2).sum()) for each in found)
    growth = (total / count / (len(states) * hidden)) ** (1 / 100)
    assert growth == pytest.approx(report.growth_rate, abs=0.04)  # other inputs


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_every_gate_is_orthogonal_in_single_precision(kind: str) -> None:
    module = KINDS[kind](8, 64, num_layers=2, bidirectional=True)
    report = rj.torch.initialize_(module, generator=seeded())
    assert [(each.layer, each.direction) for each in report.layers] == [
        (0, 0), (0, 1), (1, 0), (1, 1),
    ]  # fmt: skip
    for each in report.layers:
        network = rj.torch.network(module, layer=each.layer, direction=each.direction)
        for name, W in network.recurrent.items():
            std = each.parameters[name].weight_std
            np.testing.assert_allclose(W.T @ W / std**2, np.eye(64), atol=1e-6)
        fitted = network.fit().parameters
        M = network.input_size
        for name, V in network.input.items():
            std = each.parameters[name].input_std
            assert fitted[name].input_std == pytest.approx(std, rel=4 / math.sqrt(2 * 64 * M))
            assert V.shape == (64, M)
        for name, b in network.bias.items():
            np.testing.assert_allclose(b, each.parameters[name].bias_mean, atol=1e-6)


def test_inputs_of_another_size_and_the_states_below_are_allowed_for() -> None:
    module = torch.nn.GRU(8, 64, num_layers=2)
    report = rj.torch.initialize_(module, input_variance=9.0, generator=seeded())
    first, second = (each.parameters for each in report.layers)
    assert first.input_variance == 9.0
    assert first["reset"].input_std == pytest.approx(3**-0.5 / 3)
    assert 0.05 < second.input_variance < 1
    assert second["reset"].input_std ** 2 * second.input_variance == pytest.approx(1 / 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype) -> None:
    module = torch.nn.LSTM(4, 32).to(dtype)
    report = rj.torch.initialize_(module, generator=seeded())
    assert module.weight_hh_l0.dtype == dtype
    rough = {torch.float16: 1e-3, torch.bfloat16: 1e-2, torch.float64: 1e-12}[dtype]
    std = report.layers[0].parameters["forget"].weight_std
    W = rj.torch.network(module).recurrent["forget"]
    np.testing.assert_allclose(W.T @ W / std**2, np.eye(32), atol=5 * rough)


def test_usual_schemes() -> None:
    hidden = 128
    module = torch.nn.LSTM(16, hidden)
    pytorch = rj.torch.initialize_(module, "pytorch", generator=seeded()).layers[0].parameters
    edge = 1 / math.sqrt(hidden)
    assert float(module.weight_hh_l0.detach().abs().max()) <= edge
    assert pytorch["input"].weight_std == pytest.approx(3**-0.5, rel=0.03)
    keras = rj.torch.initialize_(module, "keras", generator=seeded()).layers[0].parameters
    W = module.weight_hh_l0.detach().double().numpy()
    np.testing.assert_allclose(W.T @ W, np.eye(hidden), atol=1e-5)
    assert (keras["forget"].bias_mean, keras["input"].bias_mean) == (1.0, 0.0)
    assert keras["forget"].weight_std == pytest.approx(0.5, rel=0.05)
    rj.torch.initialize_(module, "chrono", steps=50, generator=seeded())
    bias = rj.torch.network(module).bias
    assert np.all((bias["forget"] >= 0) & (bias["forget"] <= math.log(49)))
    np.testing.assert_allclose(bias["input"], -bias["forget"])
    gru = torch.nn.GRU(16, hidden)
    rj.torch.initialize_(gru, "chrono", steps=50, generator=seeded())
    assert np.all(rj.torch.network(gru).bias["update"] >= 0)


def test_hyperparameters_of_ones_own() -> None:
    point = rj.Parameters.of(rj.vanilla, weight_std=0.9, input_std=0.3, bias_mean=0.2, bias_std=0.1)
    module = torch.nn.RNNCell(20, 300)
    report = rj.torch.initialize_(module, point, weights="gaussian", generator=seeded())
    assert report.scheme == "own hyperparameters"
    fit = rj.torch.network(module).fit()
    found = fit.parameters["candidate"]
    assert found.weight_std == pytest.approx(0.9, rel=0.02)
    assert found.input_std == pytest.approx(0.3, rel=0.05)
    assert found.bias_mean == pytest.approx(0.2, abs=4 * 0.1 / math.sqrt(300))
    assert fit.recurrent[0].likeness == "gaussian"
    assert "own hyperparameters, gaussian weights" in str(report)


def test_the_generator_decides() -> None:
    modules = [torch.nn.GRU(4, 16) for _ in range(3)]
    for module, seed in zip(modules, (5, 5, 6), strict=True):
        rj.torch.initialize_(module, generator=seeded(seed))
    one, same, other = (module.weight_hh_l0 for module in modules)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rj.torch.initialize_(torch.nn.Linear(2, 2)), "not Linear"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4), "kaiming"), "unknown scheme"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4), weights="uniform"), "'orthogonal'"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4), weights="gaussian"), "known are"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4), input_variance=0), "above 0"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4, bias=False)), "bias=True"),
        (lambda: rj.torch.initialize_(torch.nn.RNN(2, 4), "chrono"), "no gate"),
        (lambda: rj.torch.initialize_(torch.nn.RNN(2, 4, nonlinearity="relu")), "no critical"),
        (lambda: rj.torch.initialize_(torch.nn.GRU(2, 4), rj.Parameters.of(rj.lstm)), "another"),
        (lambda: known_point(rj.lstm, input_variance=math.nan), "above 0"),
    ],
)
def test_what_cannot_be_initialised_is_refused(make, message) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_a_module_that_is_refused_is_left_as_it_is() -> None:
    module = torch.nn.GRU(2, 4, bias=False)
    before = [each.detach().clone() for each in module.parameters()]
    with pytest.raises(ParameterError, match="bias=True"):
        rj.torch.initialize_(module)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), before, strict=True))


def test_a_broken_module_is_mended() -> None:
    module = torch.nn.GRU(8, 32)
    with torch.no_grad():
        module.weight_hh_l0.fill_(math.nan)
    report = rj.torch.initialize_(module, generator=seeded())
    assert math.isnan(report.layers[0].before)
    assert 0.9 < report.growth_rate < 1.1
