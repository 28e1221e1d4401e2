"""Linear pencils in diagonal and random matrices: their Dyson equation and the laws it gives."""

from rmt_jacobian.pencils.block_chain import BlockChain
from rmt_jacobian.pencils.block_law import block_singular_value_law
from rmt_jacobian.pencils.block_lyapunov import largest_exponent
from rmt_jacobian.pencils.block_sites import BlockHistory, StepDiagonals
from rmt_jacobian.pencils.block_wave import BlockWave, LongBlockChain
from rmt_jacobian.pencils.calibration import Calibration, calibrated
from rmt_jacobian.pencils.chain import ProductChain
from rmt_jacobian.pencils.chain_continuation import solve_chain
from rmt_jacobian.pencils.chain_moments import chain_moments
from rmt_jacobian.pencils.chain_newton import ChainSolution
from rmt_jacobian.pencils.critical_point import CriticalPoint, critical_initialization
from rmt_jacobian.pencils.dyson import PencilSolution, log_potential, solve
from rmt_jacobian.pencils.eigenvalues import EigenvalueLaw, EigenvalueSolution
from rmt_jacobian.pencils.ensembles import (
    BiInvariant,
    GaussianWeights,
    OrthogonalWeights,
    TransformWeights,
    ensemble,
)
from rmt_jacobian.pencils.initialization_report import (
    InitializationReport,
    initialization_report,
)
from rmt_jacobian.pencils.law_of_eigenvalues import eigenvalue_law
from rmt_jacobian.pencils.law_of_exponents import LyapunovLaw, lyapunov_law
from rmt_jacobian.pencils.lyapunov import LongChain, LyapunovExponents, Wave, lyapunov_exponents
from rmt_jacobian.pencils.pencil import Pencil, RandomEntry
from rmt_jacobian.pencils.product_law import exact_moments, singular_value_law
from rmt_jacobian.pencils.product_moments import moments
from rmt_jacobian.pencils.series import pencil_moments
from rmt_jacobian.pencils.singular_values import SingularValueLaw
from rmt_jacobian.pencils.sites import SiteHistory, drawn_sites, low_discrepancy_sites
from rmt_jacobian.pencils.untied_chain import (
    ProductMoments,
    product_moments_of,
    untied_history,
    weight_ensembles,
)
from rmt_jacobian.pencils.usual_initializations import UsualInitialization, usual_initializations

__all__ = [
    "BiInvariant",
    "BlockChain",
    "BlockHistory",
    "BlockWave",
    "Calibration",
    "ChainSolution",
    "CriticalPoint",
    "EigenvalueLaw",
    "EigenvalueSolution",
    "GaussianWeights",
    "InitializationReport",
    "LongBlockChain",
    "LongChain",
    "LyapunovExponents",
    "LyapunovLaw",
    "OrthogonalWeights",
    "Pencil",
    "PencilSolution",
    "ProductChain",
    "ProductMoments",
    "RandomEntry",
    "SingularValueLaw",
    "SiteHistory",
    "StepDiagonals",
    "TransformWeights",
    "UsualInitialization",
    "Wave",
    "block_singular_value_law",
    "calibrated",
    "chain_moments",
    "critical_initialization",
    "drawn_sites",
    "eigenvalue_law",
    "ensemble",
    "exact_moments",
    "initialization_report",
    "largest_exponent",
    "log_potential",
    "low_discrepancy_sites",
    "lyapunov_exponents",
    "lyapunov_law",
    "moments",
    "pencil_moments",
    "product_moments_of",
    "singular_value_law",
    "solve",
    "solve_chain",
    "untied_history",
    "usual_initializations",
    "weight_ensembles",
]
