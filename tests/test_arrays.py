import json
import sys
from types import SimpleNamespace
from typing import Any

import array_api_strict
import numpy as np
import pytest
import scipy
from scipy import stats

from rmt_jacobian.arrays import (
    _cupy_generator,
    array_generator,
    array_namespace,
    generator,
    namespace,
    on_device,
    spawn,
    to_numpy,
)
from rmt_jacobian.errors import ParameterError
from rmt_jacobian.provenance import run_metadata


def test_namespace_of_an_array(xp: Any) -> None:
    assert array_namespace(xp.ones(3), 2.0, xp.zeros(1)) is array_namespace(xp.ones(1))
    doubled = array_namespace(xp.ones(3)).sum(xp.ones(3))
    assert float(doubled) == 3.0


def test_arrays_of_two_namespaces_do_not_mix(xp: Any) -> None:
    if isinstance(xp.ones(1), np.ndarray):
        pytest.skip("NumPy with NumPy does mix")
    with pytest.raises(TypeError):
        array_namespace(xp.ones(1), np.ones(1))


def test_to_numpy_copies_values_and_type(xp: Any) -> None:
    array = xp.reshape(xp.arange(6, dtype=xp.float32), (2, 3))
    found = to_numpy(array)
    assert type(found) is np.ndarray
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]


def test_namespace_of_the_host_is_numpy() -> None:
    assert isinstance(namespace("cpu").ones(1), np.ndarray)


def test_a_namespace_stands_for_itself(xp: Any) -> None:
    assert namespace(xp) is xp


def test_unknown_device() -> None:
    with pytest.raises(ParameterError, match="'cpu', 'gpu' or 'torch'"):
        namespace("tpu")  # pyright: ignore[reportArgumentType]


def test_missing_cupy_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # None makes the import fail
    with pytest.raises(ParameterError, match="pip install"):
        namespace("gpu")


@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_a_seed_fixes_the_bits(seed: int) -> None:
    assert generator(seed).random(5).tolist() == generator(seed).random(5).tolist()


def test_a_generator_is_returned_as_it_is() -> None:
    rng = np.random.default_rng(3)
    assert generator(rng) is rng


def test_negative_seeds() -> None:
    with pytest.raises(ParameterError, match="non-negative"):
        generator(-1)


@pytest.mark.parametrize("seed", [5, np.random.SeedSequence(5)], ids=["int", "sequence"])
def test_the_kth_generator_depends_on_seed_and_k_alone(seed: Any) -> None:
    long = [rng.random() for rng in spawn(seed, 4)]
    short = [rng.random() for rng in spawn(seed, 2)]
    assert long[:2] == short
    assert len(set(long)) == 4


def test_spawned_generators_are_uncorrelated() -> None:
    size = 20_000
    draws = np.stack([rng.standard_normal(size) for rng in spawn(0, 8)])
    correlations = np.corrcoef(draws)[np.triu_indices(8, 1)]
    assert abs(correlations).max() < 4.5 / np.sqrt(size)  # 28 of them, each N(0, 1 / size)


@pytest.mark.parametrize("count", [1, 7])
def test_generators_of_arrays_draw_the_numbers_of_numpy(xp: Any, count: int) -> None:
    if "cupy" in xp.__name__:
        pytest.skip("a GPU draws numbers of its own")
    rng, plain = array_generator(np.random.default_rng(4), xp), np.random.default_rng(4)
    for drawn, expected, dtype in (
        (rng.standard_normal((count, 2)), plain.standard_normal((count, 2)), xp.float64),
        (rng.standard_normal(count), plain.standard_normal(count), xp.float64),
        (rng.integers(5, size=count), plain.integers(5, size=count), xp.int64),
        (rng.signs(count), 2 * plain.integers(0, 2, size=count) - 1, xp.int8),
        (rng.permutation(count), plain.permutation(count), xp.int32),
    ):
        assert array_namespace(drawn) is array_namespace(xp.ones(1))
        assert drawn.dtype == dtype
        assert np.array_equal(to_numpy(drawn), expected)


def test_single_precision_rounds_the_numbers_of_double_precision(
    xp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmt_jacobian.arrays._AT_ONCE", 4)  # several parts
    single = array_generator(np.random.default_rng(1), xp, "float32").standard_normal((3, 5))
    double = array_generator(np.random.default_rng(1), xp).standard_normal((3, 5))
    assert single.dtype == xp.float32
    assert np.array_equal(to_numpy(single), to_numpy(double).astype(np.float32))


def test_numbers_of_a_generator_in_every_namespace(xp: Any) -> None:
    rng, size = array_generator(np.random.default_rng(2), xp), 20_000
    assert array_generator(rng) is rng
    normal = to_numpy(rng.standard_normal(size))
    assert stats.kstest(normal, "norm").pvalue > 1e-4
    assert set(to_numpy(rng.signs(size)).tolist()) == {-1, 1}
    assert abs(to_numpy(rng.signs(size)).mean(dtype=float)) < 4.5 / np.sqrt(size)
    assert sorted(to_numpy(rng.permutation(size)).tolist()) == list(range(size))
    # The correlation of a random permutation with the identity is N(0, 1 / size).
    correlation = np.corrcoef(to_numpy(rng.permutation(size)), np.arange(size))[0, 1]
    assert abs(correlation) < 4.5 / np.sqrt(size)
    counts = np.bincount(to_numpy(rng.integers(7, size=size)), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_generators_of_a_gpu_are_seeded_from_those_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # CuPy's classes with their documented signatures, on the host.
    class Philox4x3210:
        def __init__(self, seed: np.random.SeedSequence, *, size: int) -> None:
            assert isinstance(seed, np.random.SeedSequence)
            self.seed, self.size = seed, size

    random = SimpleNamespace(Philox4x3210=Philox4x3210, Generator=lambda bits: bits)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(random=random))
    rng = np.random.default_rng(5)
    first, second, again = map(_cupy_generator, (rng, rng, np.random.default_rng(5)))
    states = [each.seed.generate_state(4).tolist() for each in (first, second, again)]
    assert states[0] == states[2] != states[1]
    assert first.size == again.size > 0


@pytest.mark.gpu
def test_numbers_of_a_gpu_repeat() -> None:
    pytest.importorskip("cupy", exc_type=ImportError)
    first, again, other = (
        to_numpy(array_generator(np.random.default_rng(seed), "gpu").standard_normal((9, 9)))
        for seed in (5, 5, 6)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_unknown_precision() -> None:
    with pytest.raises(ParameterError, match="'float64' or 'float32'"):
        array_generator(np.random.default_rng(0), dtype="float16")  # pyright: ignore
    with pytest.raises(ParameterError, match="float16"):
        run_metadata(0, dtype="float16")  # pyright: ignore[reportArgumentType]


def test_metadata_are_plain_and_draw_the_same_numbers() -> None:
    parent = np.random.default_rng(np.random.SeedSequence(11, spawn_key=(2,)))
    parent.spawn(3)
    for seed in (7, np.random.SeedSequence([1, 2], spawn_key=(4,)), parent):
        found = json.loads(json.dumps(run_metadata(seed)))
        given = found["seed"]
        sequence = np.random.SeedSequence(given["entropy"], spawn_key=given["spawn_key"])
        sequence.spawn(given["children_before"])
        bits = getattr(np.random, found["bit_generator"])
        again = np.random.Generator(bits(sequence.spawn(1)[0]))
        assert spawn(seed, 1)[0].random(4).tolist() == again.random(4).tolist()


def test_metadata_name_what_a_run_depends_on() -> None:
    found = run_metadata(0, device=array_api_strict, dtype="float32")
    assert found["device"] == "array_api_strict"
    assert found["dtype"] == "float32"
    assert found["versions"]["numpy"] == np.__version__
    assert found["versions"]["scipy"] == scipy.__version__
    assert {library["internal_api"] for library in found["linear_algebra"]}
    assert found["hardware"]


def test_metadata_of_a_missing_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ParameterError, match="pip install"):
        run_metadata(0, device="gpu")


def test_pytorch_by_name() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    xp = namespace("torch")
    moved = on_device(np.arange(3.0), "torch")
    assert array_namespace(moved) is xp
    assert type(to_numpy(moved)) is np.ndarray
    with pytest.raises(ParameterError, match=r"with torch.device\('cuda'\)"):
        namespace("torch:cuda")  # pyright: ignore[reportArgumentType]
