"""The public names: the one place that lists them."""

from . import (
    cells as cells,
)
from . import (
    comparison as comparison,
)
from . import (
    derive as derive,
)
from . import (
    errors as errors,
)
from . import (
    freeprob as freeprob,
)
from . import (
    laws as laws,
)
from . import (
    mean_field as mean_field,
)
from . import (
    pencils as pencils,
)
from . import (
    plotting as plotting,
)
from . import (
    runs as runs,
)
from . import (
    sampling as sampling,
)
from .cells import (
    Cell as Cell,
)
from .cells import (
    Parameters as Parameters,
)
from .cells import (
    Preactivation as Preactivation,
)
from .cells import (
    activation_named as activation_named,
)
from .cells import (
    cell_named as cell_named,
)
from .cells import (
    gru as gru,
)
from .cells import (
    gru_reset_after as gru_reset_after,
)
from .cells import (
    lstm as lstm,
)
from .cells import (
    lstm_peephole as lstm_peephole,
)
from .cells import (
    minimalrnn as minimalrnn,
)
from .cells import (
    vanilla as vanilla,
)
from .comparison import (
    SpectrumComparison as SpectrumComparison,
)
from .comparison import (
    Verification as Verification,
)
from .comparison import (
    compare as compare,
)
from .comparison import (
    freeness_of_cell as freeness_of_cell,
)
from .comparison import (
    freeness_test as freeness_test,
)
from .comparison import (
    verify as verify,
)
from .derive import (
    Derivation as Derivation,
)
from .derive import (
    exact_mean as exact_mean,
)
from .derive import (
    exact_second_moment as exact_second_moment,
)
from .derive import (
    exact_variance as exact_variance,
)
from .derive import (
    one_step_moment as one_step_moment,
)
from .derive import (
    one_step_variance as one_step_variance,
)
from .derive import (
    s_transform_moment as s_transform_moment,
)
from .derive import (
    s_transform_variance as s_transform_variance,
)
from .errors import (
    ConvergenceError as ConvergenceError,
)
from .errors import (
    HypothesisError as HypothesisError,
)
from .errors import (
    InfeasibleError as InfeasibleError,
)
from .errors import (
    ParameterError as ParameterError,
)
from .errors import (
    RmtJacobianError as RmtJacobianError,
)
from .errors import (
    SpecificationError as SpecificationError,
)
from .errors import (
    UndefinedTransformError as UndefinedTransformError,
)
from .mean_field import (
    LawAtRest as LawAtRest,
)
from .mean_field import (
    StationaryLaw as StationaryLaw,
)
from .mean_field import (
    TiedLaw as TiedLaw,
)
from .mean_field import (
    UntiedLaw as UntiedLaw,
)
from .mean_field import (
    critical_initialization as critical_initialization,
)
from .mean_field import (
    feasible_preactivation_variances as feasible_preactivation_variances,
)
from .mean_field import (
    order_chaos_line as order_chaos_line,
)
from .mean_field import (
    stationary as stationary,
)
from .mean_field import (
    trajectory as trajectory,
)
from .pencils import (
    EigenvalueLaw as EigenvalueLaw,
)
from .pencils import (
    LyapunovLaw as LyapunovLaw,
)
from .pencils import (
    SingularValueLaw as SingularValueLaw,
)
from .pencils import (
    critical_point as critical_point,
)
from .pencils import (
    eigenvalue_law as eigenvalue_law,
)
from .pencils import (
    lyapunov_law as lyapunov_law,
)
from .pencils import (
    moments as moments,
)
from .pencils import (
    singular_value_law as singular_value_law,
)
from .plotting import (
    plot as plot,
)
from .sampling import (
    run_network as run_network,
)
from .sampling import (
    sample_eigenvalues as sample_eigenvalues,
)
from .sampling import (
    sample_lyapunov as sample_lyapunov,
)
from .sampling import (
    sample_moments as sample_moments,
)
from .sampling import (
    sample_singular_values as sample_singular_values,
)

__version__: str
