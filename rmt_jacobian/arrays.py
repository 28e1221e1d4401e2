"""Array namespaces, seeded generators, and the only crossing between host and device.

Array code elsewhere takes its namespace from its arguments (array API standard), so that the
same lines run on NumPy, CuPy and array-api-strict.
"""

from types import ModuleType
from typing import Any, Literal, get_args

import array_api_compat
import array_api_compat.numpy
import numpy as np

from rmt_jacobian.counts import check_seed
from rmt_jacobian.errors import ParameterError

__all__ = [
    "GPU_GENERATOR",
    "ArrayGenerator",
    "Device",
    "Precision",
    "Random",
    "Seed",
    "array_generator",
    "array_namespace",
    "checked_precision",
    "generator",
    "is_cupy",
    "namespace",
    "on_device",
    "spawn",
    "taken",
    "to_numpy",
]

Device = Literal["cpu", "gpu", "torch"]
Precision = Literal["float64", "float32"]
Seed = int | np.random.SeedSequence | np.random.Generator

_AT_ONCE = 1 << 22  # numbers that are drawn in double precision before they are rounded
GPU_GENERATOR = "Philox4x3210"
"""The generator of CuPy that is drawn from on a card: Philox 4x32 with 10 rounds."""

_STREAMS = 1 << 16  # of a generator on a GPU: its numbers depend on it, so it is fixed


def array_namespace(*arrays: Any) -> Any:
    """Return the array-API namespace that all the given arrays share.

    Python scalars are ignored.

    Examples
    --------
    >>> import numpy as np
    >>> array_namespace(np.ones(2), 1.0).__name__
    'array_api_compat.numpy'
    """
    if all(type(each) is np.ndarray for each in arrays) and arrays:  # a loop asks it often
        return array_api_compat.numpy
    return array_api_compat.array_namespace(*arrays)


def namespace(device: Device | ModuleType = "cpu") -> Any:
    """Return the array namespace of a device: NumPy for ``"cpu"``, CuPy for ``"gpu"``.

    ``"torch"`` is PyTorch, on the device that it makes its arrays on: the host, unless another was
    chosen by ``torch.set_default_device`` or ``with torch.device("cuda"):``.

    A namespace that is given as such is returned as it is: any that follows the array API standard
    will do.

    Raises
    ------
    ParameterError
        If the device is unknown, or what it needs is missing: CuPy, a card, PyTorch.

    Examples
    --------
    >>> namespace("cpu").__name__
    'array_api_compat.numpy'
    """
    if isinstance(device, ModuleType):
        return device
    if device == "cpu":
        import array_api_compat.numpy as xp

        return xp
    if device == "gpu":
        return _cupy_namespace()
    if device == "torch":
        return _torch_namespace()
    if isinstance(device, str) and device.startswith("torch:"):
        raise ParameterError(
            f"{device!r} is chosen in PyTorch: give device='torch' inside "
            f"with torch.device({device[6:]!r})"
        )
    raise ParameterError(f"unknown device {device!r}: use 'cpu', 'gpu' or 'torch'")


def _torch_namespace() -> Any:
    try:
        import array_api_compat.torch as xp
    except ImportError as error:
        raise ParameterError(
            "device 'torch' needs PyTorch: pip install 'rmt-jacobian[frameworks]', or use device "
            "'cpu'"
        ) from error
    return xp


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


def checked_precision(dtype: str) -> Precision:
    """Return the name of a floating-point type, or raise :class:`ParameterError`.

    Examples
    --------
    >>> checked_precision("float32")
    'float32'
    """
    if dtype not in get_args(Precision):
        raise ParameterError(f"unknown dtype {dtype!r}: use 'float64' or 'float32'")
    return dtype  # pyright: ignore[reportReturnType]


def taken(array: Any, index: Any) -> Any:
    """Return some rows of an array."""
    return array_namespace(array).take(array, index, axis=0)


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
    if hasattr(array, "detach"):  # PyTorch refuses it for what is on a card
        return array.detach().cpu().numpy()
    return np.asarray(array)


def on_device(array: Any, device: Device | ModuleType) -> Any:
    """Return an array on a device, copied if it is elsewhere; numbers and None stay as they are.

    Raises
    ------
    ParameterError
        If the device is unknown, or there is no GPU.

    Examples
    --------
    >>> on_device(np.arange(3), "cpu"), on_device(1.5, "cpu")
    (array([0, 1, 2]), 1.5)
    """
    xp = namespace(device)
    if not hasattr(array, "shape") or array_namespace(array) is xp:
        return array
    return xp.asarray(to_numpy(array))


def generator(seed: Seed) -> np.random.Generator:
    """Return the random generator that a seed stands for; a generator is returned as it is.

    Raises
    ------
    ParameterError
        If the seed is none, as a negative integer.

    Examples
    --------
    >>> bool(generator(7).random() == generator(7).random())
    True
    """
    check_seed(seed)
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


class ArrayGenerator:
    """Random numbers that come as arrays of one namespace and one floating-point type.

    On the CPU they are those of a NumPy generator; a GPU draws its own.  In single precision they
    are the numbers of double precision, rounded, so that one seed means one network in both.

    Parameters
    ----------
    source
        A NumPy generator, or a CuPy generator for CuPy arrays.
    xp
        The namespace of the arrays.
    dtype
        The floating-point type, of that namespace.

    Examples
    --------
    >>> rng = array_generator(np.random.default_rng(0), dtype="float32")
    >>> rng.standard_normal((2,)).dtype
    dtype('float32')
    """

    def __init__(self, source: Any, xp: Any, dtype: Any) -> None:
        self._source, self.xp, self.dtype = source, xp, dtype
        self._on_host = isinstance(source, np.random.Generator)

    def standard_normal(self, shape: int | tuple[int, ...]) -> Any:
        """Draw independent N(0, 1)."""
        shape = (shape,) if isinstance(shape, int) else shape
        if self.dtype == self.xp.float64 or not self._on_host:
            return self._moved(self._source.standard_normal(shape), self.dtype)
        rounded = np.empty(shape, dtype=np.float32)
        flat = rounded.reshape(-1)
        for start in range(0, flat.size, _AT_ONCE):
            part = flat[start : start + _AT_ONCE]
            part[:] = self._source.standard_normal(part.size)
        return self._moved(rounded, self.dtype)

    def integers(self, bound: int, *, size: int) -> Any:
        """Draw independent integers from 0 to bound - 1."""
        return self._moved(self._source.integers(0, bound, size=size), self.xp.int64)

    def signs(self, count: int) -> Any:
        """Draw independent fair signs, as 8-bit integers."""
        return self._moved(2 * self._source.integers(0, 2, size=count) - 1, self.xp.int8)

    def permutation(self, count: int) -> Any:
        """Draw a permutation of 0, ..., count - 1, as 32-bit integers."""
        if self._on_host:
            return self._moved(self._source.permutation(count), self.xp.int32)
        # CuPy's generators have none in all versions; two equal keys among 2^53 do no harm.
        order = self.xp.argsort(self._source.random(count))
        return self._moved(order, self.xp.int32)

    def _moved(self, drawn: Any, dtype: Any) -> Any:
        if isinstance(drawn, np.ndarray) and not isinstance(self.xp.empty(0), np.ndarray):
            drawn = self.xp.asarray(drawn)
        return self.xp.astype(drawn, dtype, copy=False)


Random = np.random.Generator | ArrayGenerator


def array_generator(
    rng: Random, device: Device | ModuleType = "cpu", dtype: Precision = "float64"
) -> ArrayGenerator:
    """Return a generator of arrays on a device; one that is given is returned as it is.

    Parameters
    ----------
    rng
        The generator that all is drawn from.  A GPU draws by a generator of its own, Philox 4x32
        with 10 rounds, whose seed is taken from this one.
    device
        ``"cpu"``, ``"gpu"``, or an array namespace that is filled from the host.
    dtype
        ``"float64"`` or ``"float32"``.

    Raises
    ------
    ParameterError
        If the device or the type is unknown, or there is no GPU.

    Examples
    --------
    >>> rng = array_generator(np.random.default_rng(0))
    >>> bool(rng.standard_normal(3)[0] == np.random.default_rng(0).standard_normal(3)[0])
    True
    """
    if isinstance(rng, ArrayGenerator):
        return rng
    if not isinstance(rng, np.random.Generator):
        raise ParameterError(f"rng must be one such as numpy.random.default_rng(0), not {rng!r}")
    xp = namespace(device)
    number = getattr(xp, checked_precision(dtype))
    return ArrayGenerator(_cupy_generator(rng) if is_cupy(xp) else rng, xp, number)


def is_cupy(xp: Any) -> bool:
    """Return whether a namespace is that of CuPy.

    Examples
    --------
    >>> is_cupy(namespace("cpu"))
    False
    """
    return "cupy" in xp.__name__


def _cupy_generator(rng: np.random.Generator) -> Any:
    """Return a generator on the GPU whose seed is drawn from one on the host."""
    import cupy  # pyright: ignore[reportMissingImports]

    seed = np.random.SeedSequence([int(word) for word in rng.integers(0, 1 << 32, size=4)])
    source = getattr(cupy.random, GPU_GENERATOR)
    return cupy.random.Generator(source(seed, size=_STREAMS))
