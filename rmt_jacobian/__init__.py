"""Free probability and random-matrix spectra of recurrent-network Jacobians.

The spectrum of the state-to-state Jacobian of a random recurrent network, three ways: derived
(:mod:`~rmt_jacobian.derive`), solved (:mod:`~rmt_jacobian.singular_values` and others) and sampled
(:mod:`~rmt_jacobian.sampling`); :mod:`~rmt_jacobian.comparison` puts them side by side.

Names are imported when they are first used, so that importing the package stays fast; the stub
beside this file lists them.
"""

import sys
import warnings
from importlib import import_module
from typing import Any

import lazy_loader

from rmt_jacobian.calls import refuse_calls

__version__ = "0.1.0"

_attached, _listed, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

_FORMER = {  # name: where it is, and what to ask instead
    "SiteLaw": ("mean_field", "stationary(...)"),
    "critical_point": ("initialization", "critical_initialization(...)"),
    "fixed_points": ("mean_field", "stationary(..., dynamics='at_rest').points"),
    "lyapunov_exponents": ("lyapunov", "lyapunov_law(...)"),
    "site_law": ("mean_field", "stationary(...)"),
    "tied_steady_state": ("mean_field", "stationary(..., dynamics='tied')"),
    "untied_state": ("mean_field", "stationary(...)"),
}

_RENAMED = {"critical_point": "critical_initialization"}

refuse_calls(
    sys.modules[__name__],
    {
        "cells": "cell_named(...) or Parameters.of(cell, ...)",
        "comparison": "compare(values, law) or verify(cell, ...)",
        "derive": "derive.second_moment(cell)",
        "freeprob": "freeprob.boxtimes_moments(...), or another of its functions",
        "laws": "laws.parse_law('marchenko-pastur(2)'), or a law such as laws.Semicircle(...)",
        "mean_field": "stationary(...)",
        "eigenvalues": "eigenvalue_law(...)",
        "initialization": "critical_initialization(...)",
        "lyapunov": "lyapunov_law(...)",
        "pencils": "singular_value_law(...), eigenvalue_law(...) or lyapunov_law(...)",
        "plotting": "plot(values, law)",
        "runs": "runs.execute(run, store)",
        "singular_values": "singular_value_law(...)",
        "sampling": "sample_singular_values(...), or another of the sample_ functions",
    },
)


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        home, instead = _FORMER[name]
        elsewhere = "" if name in _RENAMED else f", or import it from rmt_jacobian.{home}"
        warnings.warn(
            f"rmt_jacobian.{name} goes: use rmt_jacobian.{instead}{elsewhere}",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(import_module(f"{__name__}.{home}"), _RENAMED.get(name, name))
    return _attached(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_listed()})
