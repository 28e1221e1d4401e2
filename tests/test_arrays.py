import sys
from typing import Any

import numpy as np
import pytest

from rmt_jacobian.arrays import array_namespace, generator, namespace, spawn, to_numpy
from rmt_jacobian.errors import ParameterError


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


def test_unknown_device() -> None:
    with pytest.raises(ParameterError, match="'cpu' or 'gpu'"):
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
