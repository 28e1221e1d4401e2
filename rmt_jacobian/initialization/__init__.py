"""Critical points of gated cells, and the usual initialisations beside them."""

from rmt_jacobian.initialization.critical_point import CriticalPoint, critical_initialization
from rmt_jacobian.initialization.report import InitializationReport, initialization_report
from rmt_jacobian.initialization.usual import UsualInitialization, usual_initializations

__all__ = [
    "CriticalPoint",
    "InitializationReport",
    "UsualInitialization",
    "critical_initialization",
    "initialization_report",
    "usual_initializations",
]
