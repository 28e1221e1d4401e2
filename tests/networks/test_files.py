"""Files of weights: layers known by names and shapes, and nothing executed."""

import json
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rmt_jacobian as rj
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.networks import networks_in, read_weights

N, M = 6, 4
RNG = np.random.default_rng(0)


def pytorch(
    gates: int, suffix: str = "_l0", prefix: str = "rnn.", inputs: int = M, bias: bool = True
) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (gates * N, inputs),
                                          "weight_hh": (gates * N, N)}  # fmt: skip
    if bias:
        shapes |= {"bias_ih": (gates * N,), "bias_hh": (gates * N,)}
    return {f"{prefix}{k}{suffix}": RNG.standard_normal(s) for k, s in shapes.items()}


def keras(
    gates: int, bias: tuple[int, ...] | None, before: str = "m/gru/cell/", after: str = ""
) -> dict[str, np.ndarray]:
    shapes: dict[str, tuple[int, ...]] = {"kernel": (M, gates * N),
                                          "recurrent_kernel": (N, gates * N)}  # fmt: skip
    if bias:
        shapes["bias"] = bias
    return {f"{before}{k}{after}": RNG.standard_normal(s) for k, s in shapes.items()}


def npz(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    with path.open("wb") as stream:
        np.savez(stream, **arrays)  # pyright: ignore[reportArgumentType]
    return path


def safetensors(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    numpy = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    numpy.save_file(arrays, path)
    return path


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("save", [npz, safetensors])
@pytest.mark.parametrize(
    ("gates", "cell"), [(1, "vanilla"), (3, "gru-reset-after"), (4, "lstm")]
)  # fmt: skip
def test_layers_of_pytorch(tmp_path: Path, save: Any, gates: int, cell: str) -> None:
    arrays = pytorch(gates) | pytorch(gates, "_l1", inputs=N) | pytorch(gates, "_l0_reverse")
    arrays |= {"head.weight": np.ones((2, N)), "conv.weight": np.ones((2, 3, 4))}
    found = read_weights(save(tmp_path / "w", arrays).rename(tmp_path / f"w.{save.__name__}"))
    assert list(found.layers) == ["rnn.l0", "rnn.l0_reverse", "rnn.l1"]
    assert sorted(found.others) == ["conv.weight", "head.weight"]
    assert not found.refused
    assert [each.backwards for each in found.layers.values()] == [False, True, False]
    assert [each.network.input_size for each in found.layers.values()] == [M, M, N]
    layer = found.layers["rnn.l0"]
    assert (layer.library, layer.network.cell.name) == ("PyTorch", cell)
    assert set(layer.arrays) < set(arrays)
    order = {1: ["candidate"], 3: ["reset", "update", "candidate"],
             4: ["input", "forget", "candidate", "output"]}[gates]  # fmt: skip
    for k, name in enumerate(order):
        rows = slice(k * N, (k + 1) * N)
        np.testing.assert_array_equal(
            layer.network.recurrent[name], arrays["rnn.weight_hh_l0"][rows]
        )
    if cell == "gru-reset-after":
        bias, rows = layer.network.bias, slice(2 * N, None)
        np.testing.assert_array_equal(bias["candidate"], arrays["rnn.bias_hh_l0"][rows])
        np.testing.assert_array_equal(bias["candidate_input"], arrays["rnn.bias_ih_l0"][rows])


def test_cells_of_pytorch_and_many_layers_in_their_order(tmp_path: Path) -> None:
    arrays = {k: v for i in (10, 2) for k, v in pytorch(1, f"_l{i}", "").items()}
    arrays |= pytorch(4, "", "lstm_cell.", bias=False)
    assert list(networks_in(npz(tmp_path / "x.npz", arrays))) == ["l2", "l10", "lstm_cell"]
    assert list(networks_in(npz(tmp_path / "y.npz", pytorch(4, "", "")))) == ["layer"]


@pytest.mark.parametrize("after", ["", ":0"])
@pytest.mark.parametrize("before", ["m/gru/cell/", "m.gru.cell."])
def test_a_gru_of_keras_takes_the_steps_of_its_equations(
    tmp_path: Path, before: str, after: str
) -> None:
    x, steps = RNG.standard_normal((5, M)), 5
    for reset_after in (False, True):
        arrays = keras(3, (2, 3 * N) if reset_after else (3 * N,), before, after)
        (network,) = networks_in(npz(tmp_path / "x.npz", arrays)).values()
        V, U, b = (arrays[f"{before}{k}{after}"] for k in ("kernel", "recurrent_kernel", "bias"))
        outer, inner = b if reset_after else (b, np.zeros(3 * N))
        h, found = np.zeros(N), network.run(x).state("h")
        for t in range(steps):  # Keras: update, reset, candidate
            xz, xr, xh = np.split(x[t] @ V + outer, 3)
            hz, hr, hh = np.split(h @ U + inner, 3)
            z, r = sigmoid(xz + hz), sigmoid(xr + hr)
            candidate = np.tanh(xh + (r * hh if reset_after else (r * h) @ U[:, 2 * N :]))
            h = z * h + (1 - z) * candidate
            np.testing.assert_allclose(found[t + 1], h, atol=1e-12)


def test_an_lstm_of_keras_takes_the_steps_of_its_equations(tmp_path: Path) -> None:
    arrays = keras(4, (4 * N,), "bidirectional/backward_lstm/lstm_cell/")
    (layer,) = read_weights(npz(tmp_path / "x.npz", arrays)).layers.values()
    assert layer.backwards
    V, U, b = (arrays[f"{layer.name}/{k}"] for k in ("kernel", "recurrent_kernel", "bias"))
    x, h, c = RNG.standard_normal((5, M)), np.zeros(N), np.zeros(N)
    found = layer.network.run(x).state("h")
    for t in range(5):
        i, f, g, o = np.split(x[t] @ V + h @ U + b, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        np.testing.assert_allclose(found[t + 1], h, atol=1e-12)


def test_the_cell_decides_where_names_do_not(tmp_path: Path) -> None:
    path = npz(tmp_path / "x.npz", keras(3, None))
    with pytest.raises(ParameterError, match=r"without biases.*gru-reset-after.*or gru"):
        networks_in(path)
    for cell in ("gru", "gru-reset-after", "gru:relu"):
        (network,) = networks_in(path, cell).values()
        assert network.cell.name == cell
    (network,) = networks_in(npz(tmp_path / "r.npz", pytorch(1)), "vanilla:relu").values()
    assert network.cell.name == "vanilla:relu"
    (network,) = networks_in(npz(tmp_path / "g.npz", pytorch(3)), "gru").values()
    assert network.cell.name == "gru-reset-after"
    (network,) = networks_in(npz(tmp_path / "g.npz", pytorch(3)), rj.gru_reset_after).values()
    assert network.cell.name == "gru-reset-after"
    (network,) = networks_in(npz(tmp_path / "a.npz", pytorch(3)), "gru-reset-after:relu").values()
    assert "candidate_input" in network.input


@pytest.mark.parametrize(
    ("arrays", "cell", "words"),
    [
        (pytorch(3), "lstm", "lstm has 4 gates, and fits no layer"),
        (pytorch(4), "leaky", "leaky is the cell of no layer"),
        (pytorch(4), "lstn", "did you mean lstm"),
        (keras(3, (3 * N,)), "gru-reset-after", "does not fit"),
        (keras(3, (2, 3 * N)), "gru", "does not fit"),
        (keras(3, (6 * N,)), None, "bias"),
        (pytorch(2), None, "neither RNN, GRU nor LSTM"),
        ({"a.weight_hh_l0": np.ones((4 * N, N))}, None, "no a.weight_ih_l0"),
        ({"x/recurrent_kernel": np.ones((3, 3, N, N)), "x/kernel": np.ones((3, 3, N, N))}, None,
         "no matrices"),
        ({"a.weight": np.ones(3), "b.weight": np.ones(3)}, None, "it holds a.weight, b.weight"),
        ({f"a{k}": np.ones(1) for k in range(30)}, None, "and 18 more"),
        ({}, None, "it holds nothing"),
        ({k: v.astype(np.int8) for k, v in pytorch(4).items()}, None, "int8"),
        (pytorch(4) | {"rnn.weight_hh_l0": np.full((4 * N, N), np.nan)}, None, "not finite"),
        (pytorch(4) | {"rnn.bias_hh_l0": np.ones(3)}, None, "inner bias"),
        (pytorch(4) | {"rnn.weight_ih_l0": np.ones((3 * N, M))}, None, "rows like W"),
    ],
    ids=lambda each: "" if isinstance(each, dict) else str(each)[:20],
)  # fmt: skip
def test_arrays_that_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], cell: str | None, words: str
) -> None:
    with pytest.raises(ParameterError, match=words):
        networks_in(npz(tmp_path / "x.npz", arrays), cell)


def test_one_layer_that_is_refused_leaves_the_others(tmp_path: Path) -> None:
    arrays = pytorch(4) | pytorch(2, prefix="odd.")
    path = npz(tmp_path / "x.npz", arrays)
    found = read_weights(path)
    assert (list(found.layers), list(found.refused)) == (["rnn.l0"], ["odd.l0"])
    with pytest.raises(ParameterError, match=r"odd\.l0: .*gates"):
        networks_in(path)


def test_numbers_of_16_bits(tmp_path: Path) -> None:
    arrays = {k: v.astype(np.float16) for k, v in pytorch(4).items()}
    (network,) = networks_in(safetensors(tmp_path / "h.safetensors", arrays)).values()
    np.testing.assert_array_equal(network.recurrent["input"], arrays["rnn.weight_hh_l0"][:N])
    # bfloat16, written by hand: the upper halves of numbers of 32 bits
    header, data, kept = {}, b"", {}
    for name, array in pytorch(4).items():
        halves = (array.astype("<f4").view("<u4") >> 16).astype("<u2")
        kept[name] = (halves.astype("<u4") << 16).view("<f4")
        header[name] = {"dtype": "BF16", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + halves.nbytes]}  # fmt: skip
        data += halves.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "b.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (network,) = networks_in(tmp_path / "b.safetensors").values()
    np.testing.assert_array_equal(network.recurrent["output"], kept["rnn.weight_hh_l0"][3 * N :])
    np.testing.assert_array_equal(network.input["input"], kept["rnn.weight_ih_l0"][:N])


class _Bomb:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("it was unpickled",))


def _zip(path: Path, *members: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for each in members:
            archive.writestr(each, pickle.dumps(_Bomb()))


FILES = {
    "a.pt": (lambda p: _zip(p, "a/data.pkl"),
             "safetensors.torch.save_file(torch.load('{}', weights_only=True), "),
    "old.pth": (lambda p: p.write_bytes(pickle.dumps(_Bomb())), "weights_only=True"),
    "pytorch_model.bin": (lambda p: p.write_bytes(b"anything"), "weights_only=True"),
    "hidden.npz": (lambda p: _zip(p, "a/data.pkl"), "weights_only=True"),
    "hidden.safetensors": (lambda p: p.write_bytes(pickle.dumps(_Bomb())), "weights_only=True"),
    "x.pkl": (lambda p: p.write_bytes(pickle.dumps(_Bomb())), "numpy.savez"),
    "m.h5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "for v in model.weights}})"),
    "m.keras": (lambda p: _zip(p, "config.json", "model.weights.h5"), "load_model('{}')"),
    "m.weights.h5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n"), "model.load_weights('{}')"),
    "o.npz": (lambda p: np.savez(p, **{"weight_hh": np.array([_Bomb()], dtype=object)}),
              "pickled"),
    "torn.npz": (lambda p: p.write_bytes(b"PK\x03\x04 and no more"), "not a whole .npz"),
    "text.npz": (lambda p: p.write_text("hello"), "not a whole .npz"),
    "empty.npz": (lambda p: p.write_bytes(b""), "not a whole .npz"),
    "torn.safetensors": (lambda p: p.write_bytes(b"\x40" + 7 * b"\0" + b"{"), "not a whole"),
    "empty.safetensors": (lambda p: p.write_bytes(b""), "not a whole"),
    "net.onnx": (lambda p: p.write_bytes(b"\x08\x07\x12\x07pytorch"), "give .safetensors or .npz"),
    "folder.npz": (lambda p: p.mkdir(), "cannot read"),
    "missing.npz": (lambda p: None, "No such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_refused_and_not_executed(tmp_path: Path, name: str) -> None:
    if name.endswith(".safetensors"):
        pytest.importorskip("safetensors", reason="safetensors is not installed")
    make, words = FILES[name]
    make(tmp_path / name)
    with pytest.raises(ParameterError) as raised:
        networks_in(tmp_path / name)
    assert words.replace("{}", str(tmp_path / name)).replace("}})", "})") in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_line_for_a_checkpoint_converts_it(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    module = torch.nn.GRU(M, N, num_layers=2, bidirectional=True)
    torch.save(module.state_dict(), tmp_path / "x.pt")
    with pytest.raises(ParameterError) as raised:
        networks_in(tmp_path / "x.pt")
    line = str(raised.value).split("  ")[1]
    exec(line)
    networks = networks_in(tmp_path / "x.safetensors")
    x = np.random.default_rng(1).standard_normal((7, M))
    expected = module(torch.from_numpy(x).float())[0].detach().numpy()
    both = [
        networks["l0"].run(x).state("h")[1:],
        networks["l0_reverse"].run(x[::-1]).state("h")[:0:-1],
    ]
    inner = np.concatenate(both, axis=1)
    both = [
        networks["l1"].run(inner).state("h")[1:],
        networks["l1_reverse"].run(inner[::-1]).state("h")[:0:-1],
    ]
    np.testing.assert_allclose(np.concatenate(both, axis=1), expected, atol=1e-6)
