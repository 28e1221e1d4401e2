"""Array namespaces, seeded generators, and the only crossing between host and device.

Array code elsewhere takes its namespace from its arguments (array API standard), so that the
same lines run on NumPy, CuPy and array-api-strict.
"""

from typing import Any, Literal

import array_api_compat
import numpy as np

from rmt_jacobian.errors import ParameterError

__all__ = ["Device", "Seed", "array_namespace", "generator", "namespace", "spawn", "to_numpy"]

Device = Literal["cpu", "gpu"]
Seed = int | np.random.SeedSequence | np.random.Generator


def array_namespace(*arrays: Any) -> Any:
    """Return the array-API namespace that all the given arrays share.

    Python scalars are ignored.

    Examples
    --------
    >>> import numpy as np
    >>> array_namespace(np.ones(2), 1.0).__name__
    'array_api_compat.numpy'
    """
    return array_api_compat.array_namespace(*arrays)


def namespace(device: Device = "cpu") -> Any:
    """Return the array namespace of a device: NumPy for ``"cpu"``, CuPy for ``"gpu"``.

    Raises
    ------
    ParameterError
        If the device is unknown, or a GPU is asked for where CuPy or the card is missing.

    Examples
    --------
    >>> namespace("cpu").__name__
    'array_api_compat.numpy'
    """
    if device == "cpu":
        import array_api_compat.numpy as xp

        return xp
    if device == "gpu":
        return _cupy_namespace()
    raise ParameterError(f"unknown device {device!r}: use 'cpu' or 'gpu'")


def _cupy_namespace() -> Any:
    try:
        import array_api_compat.cupy as xp  # pyright: ignore[reportMissingImports]
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ParameterError(
            "device 'gpu' needs CuPy: pip install 'rmt-jacobian[gpu]', or use device 'cpu'"
        ) from error
    try:
        available = cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        available = False
    if not available:
        raise ParameterError("device 'gpu' needs a CUDA card and none was found: use device 'cpu'")
    return xp


def to_numpy(array: Any) -> np.ndarray:
    """Copy an array of any namespace to a NumPy array on the host.

    Examples
    --------
    >>> to_numpy(np.arange(3))
    array([0, 1, 2])
    """
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "get"):  # CuPy refuses the implicit copy that np.asarray would make
        return array.get()
    return np.asarray(array)


def generator(seed: Seed) -> np.random.Generator:
    """Return the random generator that a seed stands for; a generator is returned as it is.

    Raises
    ------
    ParameterError
        If the seed is a negative integer.

    Examples
    --------
    >>> bool(generator(7).random() == generator(7).random())
    True
    """
    if isinstance(seed, int) and seed < 0:
        raise ParameterError(f"seed must be a non-negative integer, not {seed}")
    return np.random.default_rng(seed)


def spawn(seed: Seed, count: int) -> list[np.random.Generator]:
    """Return ``count`` independent generators derived from one seed.

    The k-th one depends on the seed and on k alone, so that samples can be drawn in any order.  A
    generator given as seed is advanced: spawning from it again gives other children.

    Examples
    --------
    >>> [rng.integers(100) for rng in spawn(0, 2)] == [rng.integers(100) for rng in spawn(0, 3)[:2]]
    True
    """
    if isinstance(seed, np.random.SeedSequence):
        # Spawning counts up inside the sequence; a copy starts from the same count every time.
        seed = np.random.SeedSequence(seed.entropy, spawn_key=seed.spawn_key)
    return generator(seed).spawn(count)
