"""What is logged while a network is trained, against what is measured at length."""

import math
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks.monitor import LogSpectrum, SpectrumMonitor, log_spectrum_of


def path_of(width: int, steps: int, **point: float) -> Any:
    network = rj.Network.sample("gru", point, width=width, input_size=3, seed=1)
    x = np.random.default_rng(2).standard_normal((steps + 20, 3))
    return network.run(x)


@pytest.mark.parametrize("steps", [5, 40])
def test_small_spectra_are_exact(steps: int) -> None:
    path = path_of(24, steps)
    expected = path.log_singular_values(steps)[::-1]
    found = log_spectrum_of(path, steps)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    assert found.quantile(0.5) == pytest.approx(np.median(expected), abs=1e-6)
    assert found.largest == pytest.approx(expected[-1], abs=1e-9)
    condition = (expected[-1] - expected[0]) / math.log(10)
    assert found.log_condition / math.log(10) == pytest.approx(condition, abs=1e-6)


def test_wide_networks_are_seen_through_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    path, steps = path_of(300, 20), 20
    expected = path.log_singular_values(steps)[::-1]
    monkeypatch.setattr("rmt_jacobian.networks.monitor._DENSE", 100)
    found = log_spectrum_of(path, steps)
    assert found.largest == pytest.approx(expected[-1], abs=1e-3)
    seen = [p for p in (0.5, 0.9, 0.95) if math.isfinite(found.quantile(p))]
    assert seen == [0.9, 0.95]
    for p in seen:  # bounds for 8 random vectors, whose distribution has its own noise
        assert found.quantile(p) == pytest.approx(np.quantile(expected, p), abs=0.02 * steps + 0.1)
    assert math.isnan(found.log_condition)


def test_numbers_of_a_network_of_no_noise() -> None:
    """W = 2 times a rotation, and a linear network: all singular values of T steps are 2^T."""
    N, T = 16, 10
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((N, N)))
    network = rj.Network("leaky", {"candidate": 2 * q}, {"candidate": np.zeros((N, 2))})
    monitor = SpectrumMonitor(lambda: network, T, prefix="rnn/")
    found = monitor()
    # At rest leak 1/2: J = (1 + 2 W) / 2, whose singular values are those of 1/2 + a rotation.
    values = np.linalg.svd(np.linalg.matrix_power(np.eye(N) / 2 + q, T), compute_uv=False)
    assert found["rnn/growth_rate"] == pytest.approx(np.mean(values**2) ** (1 / T), rel=1e-9)
    assert found["rnn/largest_log_singular_value"] == pytest.approx(np.log(values[0]), rel=1e-9)
    assert found["rnn/distance_from_start"] == 0
    top = np.log(np.max(np.abs(np.linalg.eigvals(np.eye(N) / 2 + q))))
    assert found["rnn/largest_lyapunov_exponent"] == pytest.approx(top, abs=0.02)
    assert set(found) == {f"rnn/{name}" for name in monitor.names}


def test_what_is_not_resolved_is_below_and_no_difference() -> None:
    one = LogSpectrum(np.array([np.nan, 0.0, 1.0, 2.0]))
    other = LogSpectrum(np.array([-1.0, 0.0, 1.0, 2.0]))
    assert one.distance(other) == 0
    assert one.distance(LogSpectrum(other.values + 0.5)) == 0.25
    assert math.isnan(one.quantile(0.1))
    assert one.quantile(0.875) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"quantiles": (2,)}, "between 0 and 1"),
        ({"quantiles": ()}, "quantiles"),
        ({"transient": -1}, "transient"),
        ({"quantiles": 0.5}, "quantiles must be finite and between"),
        ({"input_variance": -1}, "input_variance"),
        ({"input_variance": "a"}, "input_variance must be finite and >= 0"),
        ({"inputs": np.zeros((5, 3))}, "n >= 50"),
        ({"inputs": np.zeros((60, 4))}, r"shape \(n, 3\)"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], message: str) -> None:
    network = rj.Network.sample("vanilla", width=8, input_size=3, seed=0)
    with pytest.raises(ParameterError, match=message):
        SpectrumMonitor(lambda: network, **options)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("scale", [0.05, 30.0])
def test_products_beyond_the_range_of_numbers(
    scale: float, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Singular values of 500 steps are 0.05^500 and 30^500 here: no double is."""
    q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 40)))
    network = rj.Network("vanilla:linear", {"candidate": scale * q})
    path = network.run(520)  # at rest, in 0
    if wide:
        monkeypatch.setattr("rmt_jacobian.networks.monitor._DENSE", 8)
    found = log_spectrum_of(path, 500)
    assert found.largest == pytest.approx(500 * math.log(scale), rel=1e-9)
    # Bounds are taken on a grid of quantiles that is 0.04 wide.
    assert found.quantile(0.5) == pytest.approx(500 * math.log(scale), abs=0.05 * wide + 1e-9)
    np.testing.assert_allclose(
        path.quick_log_singular_values(500), 500 * math.log(scale), rtol=1e-12
    )


def test_a_network_that_explodes_is_nothing() -> None:
    network = rj.Network("vanilla:relu", {"candidate": 1e200 * np.ones((4, 4))},
                         {"candidate": np.ones((4, 2))})  # fmt: skip
    with np.errstate(all="ignore"):
        found = SpectrumMonitor(lambda: network, 10)()
    assert all(math.isnan(value) for value in found.values())


def test_a_layer_in_training() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from matplotlib.figure import Figure

    torch.manual_seed(0)
    module = torch.nn.GRU(4, 32)
    inputs = torch.randn(80, 4)
    monitor = rj.torch.Monitor(module, 30, inputs=inputs)
    with pytest.raises(ParameterError, match="not called yet"):
        monitor.plot(Figure().subplots())
    first = monitor()
    path = rj.torch.network(module).run(inputs.numpy())
    assert first["growth_rate"] == pytest.approx(path.growth_rate(30), rel=1e-9)
    before = [p.clone() for p in module.parameters()]
    second = monitor(10)
    assert second == first  # it draws nothing, and changes nothing
    assert all(torch.equal(p, q) for p, q in zip(before, module.parameters(), strict=True))
    with torch.no_grad():
        module.weight_hh_l0.mul_(3)
    third = monitor(20)
    assert third["distance_from_start"] > 0.1
    assert third["growth_rate"] > first["growth_rate"]
    ax = monitor.plot(Figure().subplots())
    assert ax.get_xlabel() == "training step"
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["median"].get_xdata(), [0, 10, 20])
    growth = np.exp(2 * np.asarray(lines["root mean square (gradients)"].get_ydata()))
    assert growth[-1] == pytest.approx(third["growth_rate"])
    with torch.no_grad():
        module.weight_hh_l0[0, 0] = np.nan
    assert all(math.isnan(value) for value in monitor(30).values())


def test_a_layer_of_our_own_is_watched_too() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    found = rj.torch.Monitor(rj.torch.Recurrent("lstm", 4, 16), 20, quantiles=(0.5,))()
    assert math.isfinite(found["log_singular_value_50%"])
