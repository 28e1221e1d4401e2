"""Where numbers come from: seed, generator, device, versions and linear algebra."""

import platform
from importlib import metadata
from types import ModuleType
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from rmt_jacobian.arrays import (
    GPU_GENERATOR,
    Device,
    Precision,
    Seed,
    checked_precision,
    generator,
    is_cupy,
    namespace,
)

__all__ = ["run_metadata"]


def run_metadata(
    seed: Seed, *, device: Device | ModuleType = "cpu", dtype: Precision = "float64"
) -> dict[str, Any]:
    """Return what is needed to draw the same networks again, as plain data.

    The k-th sample is drawn from the k-th generator that :func:`.spawn` derives from the seed.  The
    same bits also need the same versions and, as linear algebra adds up in another order elsewhere,
    the same processor architecture.

    Returns
    -------
    dict
        ``seed`` (entropy, spawn key and how many children were taken before), ``bit_generator``,
        ``device``, ``hardware``, ``dtype``, ``versions`` and ``linear_algebra``.

    Raises
    ------
    ParameterError
        If the device or the type is unknown, or there is no GPU.

    Examples
    --------
    >>> found = run_metadata(7, dtype="float32")
    >>> found["seed"]["entropy"], found["bit_generator"], found["device"], found["dtype"]
    (7, 'PCG64', 'cpu', 'float32')
    """
    xp, source = namespace(device), generator(seed).bit_generator
    sequence: Any = source.seed_seq
    on_gpu = is_cupy(xp)
    return {
        "seed": {
            "entropy": _listed(sequence.entropy),
            "spawn_key": _listed(sequence.spawn_key),
            "children_before": 0 if isinstance(seed, np.random.SeedSequence)
            else sequence.n_children_spawned,
        },
        "bit_generator": type(source).__name__ + (f", then {GPU_GENERATOR}" if on_gpu else ""),
        "device": "gpu" if on_gpu else device if isinstance(device, str) else device.__name__,
        "hardware": _card() if on_gpu else platform.processor() or platform.machine(),
        "dtype": checked_precision(dtype),
        "versions": _versions(on_gpu),
        "linear_algebra": _linear_algebra(),
    }  # fmt: skip


def _listed(entropy: Any) -> Any:
    """Return integers of any kind as plain ones."""
    return int(entropy) if np.ndim(entropy) == 0 else [int(word) for word in entropy]


def _card() -> str:
    import cupy  # pyright: ignore[reportMissingImports]

    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"]
    return name.decode() if isinstance(name, bytes) else str(name)


def _versions(on_gpu: bool) -> dict[str, str]:
    names = ("rmt-jacobian", "numpy", "scipy", "array-api-compat")
    found = {name: _version(name) for name in names}
    found["python"] = platform.python_version()
    if on_gpu:
        import cupy  # pyright: ignore[reportMissingImports]

        found["cupy"] = cupy.__version__
        found["cuda"] = str(cupy.cuda.runtime.runtimeGetVersion())
    return found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # run from a folder of sources
        return "not installed"


def _linear_algebra() -> list[dict[str, str]]:
    keys = ("internal_api", "version", "architecture")
    libraries = (each for each in threadpool_info() if each.get("user_api") == "blas")
    found = [{key: str(each.get(key)) for key in keys} for each in libraries]
    return [each for k, each in enumerate(found) if each not in found[:k]]
