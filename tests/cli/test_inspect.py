"""``rmt-jacobian inspect`` from a file of weights to what it says of gradients."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import rmt_jacobian as rj

N, M = 12, 3


def lstm(prefix: str, scale: float = 1.0, seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of an LSTM cell of PyTorch."""
    rng = np.random.default_rng(seed)
    return {
        f"{prefix}weight_hh": scale * rng.standard_normal((4 * N, N)) / N**0.5,
        f"{prefix}weight_ih": rng.standard_normal((4 * N, M)),
        f"{prefix}bias_hh": rng.standard_normal(4 * N),
        f"{prefix}bias_ih": rng.standard_normal(4 * N),
    }


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The names of a voice activity detector, and a GRU of Keras."""
    arrays = {f"conv{k}.{each}": np.ones((2, 2)) for k in (1, 2) for each in ("weight", "bias")}
    rng = np.random.default_rng(1)
    arrays |= lstm("lstm_cell.")
    arrays["lstm_cell.weight_hh"][: 2 * N] += 1.0  # an outlier of two gates
    arrays |= {
        "m/gru/kernel": rng.standard_normal((M, 3 * N)),
        "m/gru/recurrent_kernel": rng.standard_normal((N, 3 * N)) / N**0.5,
        "m/gru/bias": np.zeros((2, 3 * N)),
    }
    np.savez(tmp_path / "w.npz", **arrays)  # pyright: ignore[reportArgumentType]
    return tmp_path / "w.npz"


def test_what_is_found_fitted_and_measured(run, weights: Path) -> None:
    status, out, err = run("inspect", weights, "--steps", 20, "--json", "o.json", "--figure",
                           "o.png")  # fmt: skip
    assert status == 0, err
    assert "2 recurrent layers, 4 other arrays passed over" in out
    assert f"0  lstm_cell: lstm, {N} units, {M} inputs, with the names of PyTorch" in out
    assert f"1  m/gru: gru-reset-after, {N} units, {M} inputs, with the names of Keras" in out
    assert "lstm_cell over 20 steps, after 200 others, under Gaussian inputs of variance 1" in out
    assert "Gradients" in out
    assert Path("o.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads(Path("o.json").read_text())
    assert sorted(found["passed_over"]) == ["conv1.bias", "conv1.weight", "conv2.bias",
                                            "conv2.weight"]  # fmt: skip
    gates = found["layers"]["lstm_cell"]["gates"]
    network = rj.networks.networks_in(weights)["lstm_cell"]
    for name, W in network.recurrent.items():
        assert gates[name]["weight_std"] == pytest.approx(np.linalg.norm(W) / N**0.5)
        assert gates[name]["largest"] == pytest.approx(np.linalg.norm(W, 2))
        assert (gates[name]["beyond"] > 0) == (name in ("input", "forget"))
    assert found["layers"]["m/gru"]["gates"]["candidate_input"]["weight_std"] is None
    x = np.random.default_rng(0).standard_normal((220, M))
    path = network.run(x)
    assert found["run"]["growth_rate"] == pytest.approx(path.growth_rate(20))
    np.testing.assert_allclose(
        found["run"]["log_singular_values"], path.log_singular_values(20), rtol=1e-6, atol=1e-6
    )
    assert found["run"]["largest_lyapunov_exponent"] == pytest.approx(
        path.lyapunov_exponents(1, transient=200)[0]
    )
    assert found["law"] is None


def test_inputs_of_ones_own_and_another_layer(run, weights: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(5).standard_normal((30, M))
    np.save(tmp_path / "x.npy", x)
    for layer in ("1", "m/gru"):
        status, out, err = run(
            "inspect", weights, "--layer", layer, "--inputs", "x.npy", "--json", "-"
        )
        assert status == 0, err
        assert "m/gru over 30 steps, after 0 others, under the inputs of x.npy" in err
        found = json.loads(out)["run"]
        network = rj.networks.networks_in(weights)["m/gru"]
        assert found["growth_rate"] == pytest.approx(network.run(x).growth_rate())


def test_gradients_that_vanish_explode_or_stay(run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((N, N)))[0]
    for scale, words in ((0.5, "vanish"), (1.0, "keep their size"), (1.5, "explode")):
        np.savez("x.npz", weight_hh_l0=scale * Q, weight_ih_l0=np.full((N, 1), 1e-9))
        np.save("zero.npy", np.zeros((20, 1)))
        status, out, err = run(
            "inspect", "x.npz", "--cell", "vanilla:identity", "--inputs", "zero.npy"
        )
        assert status == 0, err
        assert f"Gradients {words}: over 20 steps" in out
        assert f"changes by a factor of {scale**20:.3g}" in out
        assert "orthogonal" in out
    status, out, _ = run("inspect", "x.npz", "--steps", 5)
    assert status == 0
    assert "tanh is assumed; for relu: --cell vanilla:relu" in out


@pytest.mark.slow
def test_theory_beside_a_random_network(run, tmp_path: Path) -> None:
    network = rj.Network.sample("vanilla", {"weight_std": 1.2, "input_std": 0.5}, width=200)
    np.savez("x.npz", weight_hh_l0=network.recurrent["candidate"],
             weight_ih_l0=network.input["candidate"])  # fmt: skip
    status, out, err = run("inspect", "x.npz", "--steps", 20, "--theory", "--theory-steps", 3,
                           "--json", "o.json", "--figure", "o.png")  # fmt: skip
    assert status == 0, err
    found = json.loads(Path("o.json").read_text())
    assert found["law"]["growth_rate"] == pytest.approx(found["run"]["growth_rate"], rel=0.05)
    assert found["law"]["verdict"] == "agrees"
    assert "of such random networks" in out


def test_theory_that_is_refused_is_one_line(run, weights: Path, monkeypatch) -> None:
    def refuse(*_, **__):
        raise rj.ConvergenceError("it does not settle")

    monkeypatch.setattr("rmt_jacobian.mean_field.stationary", refuse)
    status, out, err = run("inspect", weights, "--steps", 2, "--theory", "--json", "o.json")
    assert status == 0, err
    assert "Theory of shared weights is refused here: it does not settle\n" in out
    assert json.loads(Path("o.json").read_text())["law"]["refused"] == "it does not settle"


BAD = [
    (["missing.npz"], "missing.npz: No such file"),
    (["w.npz", "--layer", "lstm"], "give 0 or lstm_cell, 1 or m/gru"),
    (["w.npz", "--layer", "2"], "'2' is not in"),
    (["w.npz", "--layer", "m/gru", "--cell", "lstm"], "--cell lstm does not fit the layer m/gru"),
    (["w.npz", "--cell", "vanilla"], "vanilla has 1 gates, and fits no layer"),
    (["w.npz", "--cell", "lstn"], "did you mean lstm"),
    (["w.npz", "--inputs", "w.npz"], "same file"),
    (["w.npz", "--inputs", "other.npz"], "no .npy file"),
    (["w.npz", "--inputs", "wide.npy"], "(steps, 3) of the layer's inputs, not (5, 4)"),
    (["w.npz", "--inputs", "nan.npy"], "--inputs: nan.npy has entries that are not finite"),
    (["w.npz", "--inputs", "short.npy", "--steps", "6"], "has 5 steps: give --steps up to 5"),
    (["w.npz", "--inputs", "none.npy"], "none.npy: No such file"),
    (["w.npz", "--theory-steps", "3"], "--theory-steps is for --theory"),
    (["w.npz", "--json", "w.npz"], "same file"),
    (["x.pt"], "safetensors.torch.save_file(torch.load('x.pt', weights_only=True)"),
    (["grows.npz", "--cell", "vanilla:relu", "--steps", "1000"], "overflow"),
    (["nan.npz"], "not finite"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD, ids=lambda each: " ".join(each)[:40])
def test_wrong_lines(run, weights: Path, arguments: list[str], words: str) -> None:
    np.savez("other.npz", a=np.ones(3))
    np.save("wide.npy", np.ones((5, M + 1)))
    np.save("nan.npy", np.full((5, M), np.nan))
    np.save("short.npy", np.ones((5, M)))
    Path("x.pt").write_bytes(b"\x80\x02}q\x00.")
    np.savez("grows.npz", weight_hh_l0=2 * np.eye(N), weight_ih_l0=np.ones((N, 1)))
    np.savez("nan.npz", weight_hh_l0=np.full((N, N), np.nan), weight_ih_l0=np.ones((N, 1)))
    before = sorted(path.name for path in Path().iterdir())
    status, out, err = run("inspect", *arguments)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == before


def test_a_detector_of_voices_that_was_trained(run, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        pytest.skip("silero-vad is not installed")
    file = Path(package.origin).parent / "data" / "silero_vad_16k.safetensors"
    if not file.exists():
        pytest.skip("this silero-vad has no such weights")
    status, _, err = run("inspect", file, "--steps", 5, "--json", "o.json")
    assert status == 0, err
    found = json.loads(Path("o.json").read_text())
    assert len(found["passed_over"]) == 11
    gates = found["layers"]["lstm_cell"]["gates"]
    largest = {"input": 16.74, "forget": 16.49, "candidate": 14.52, "output": 16.52}
    assert {name: round(gates[name]["largest"], 2) for name in largest} == largest
    assert not found["layers"]["lstm_cell"]["looks_random"]
