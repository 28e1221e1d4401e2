"""Long runs: ensembles and sweeps over grids, on any executor, into stores that survive."""

from rmt_jacobian.runs.ensemble import Ensemble
from rmt_jacobian.runs.errors import StoreError, UnfinishedRunError
from rmt_jacobian.runs.execution import execute
from rmt_jacobian.runs.grid import Axis, Grid
from rmt_jacobian.runs.layout import Layout
from rmt_jacobian.runs.quantities import QUANTITIES, Point
from rmt_jacobian.runs.run import Run, read_run
from rmt_jacobian.runs.store import RunStore, open_store
from rmt_jacobian.runs.summary import (
    SpectrumMoments,
    Summary,
    maps,
    spectrum_moments,
    summary,
)
from rmt_jacobian.runs.sweep import Sweep

__all__ = [
    "QUANTITIES",
    "Axis",
    "Ensemble",
    "Grid",
    "Layout",
    "Point",
    "Run",
    "RunStore",
    "SpectrumMoments",
    "StoreError",
    "Summary",
    "Sweep",
    "UnfinishedRunError",
    "execute",
    "maps",
    "open_store",
    "read_run",
    "spectrum_moments",
    "summary",
]
