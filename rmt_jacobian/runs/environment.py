"""The versions and the backend that a result was computed with."""

import platform
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from threadpoolctl import ThreadpoolController

from rmt_jacobian.arrays import Device

__all__ = ["environment"]

_PACKAGES = ("numpy", "scipy", "sympy")


@lru_cache
def environment(device: Device = "cpu") -> dict[str, Any]:
    """Return what decides about the last bits of a result in this process.

    Neither the number of workers nor the name or the time of the machine is among it: results do
    not depend on them.

    Examples
    --------
    >>> environment()["backend"]
    'numpy'
    """
    from rmt_jacobian import __version__

    libraries = {
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in ThreadpoolController().info()
        if library["user_api"] == "blas"
    }
    return {
        **({"backend": "numpy"} if device == "cpu" else _cupy()),
        "blas": sorted(libraries),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "rmt_jacobian": __version__,
        **{package: version(package) for package in _PACKAGES},
    }


def _cupy() -> dict[str, Any]:
    import cupy  # pyright: ignore[reportMissingImports]

    runtime = cupy.cuda.runtime
    return {
        "backend": "cupy",
        "cupy": cupy.__version__,
        "cuda": runtime.runtimeGetVersion(),
        "card": runtime.getDeviceProperties(runtime.getDevice())["name"].decode(),
    }
