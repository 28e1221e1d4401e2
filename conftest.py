"""What holds for tests and doctests alike: libraries that may be missing, and how they run."""

import os
from importlib.util import find_spec

# Before anything imports them.
os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

_NEEDED = {"torch": ("torch",), "keras": ("keras", "jax"), "jax": ("jax", "flax", "equinox")}
# Their doctests need them; their tests say themselves that they are skipped.
collect_ignore = [
    f"rmt_jacobian/{package}"
    for package, libraries in _NEEDED.items()
    if not all(map(find_spec, libraries))
]
