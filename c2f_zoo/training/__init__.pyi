from .adversarial import (
    AdversarialModel as AdversarialModel,
)
from .adversarial import (
    AdversarialTraining as AdversarialTraining,
)
from .adversarial import (
    BestPreset as BestPreset,
)
from .adversarial import (
    ImageProgress as ImageProgress,
)
from .adversarial import (
    OptimizerPair as OptimizerPair,
)
from .adversarial import (
    SampleGrids as SampleGrids,
)
from .callbacks import (
    FlowPictures as FlowPictures,
)
from .callbacks import (
    StopOnNaN as StopOnNaN,
)
from .callbacks import (
    StopOnSignal as StopOnSignal,
)
from .callbacks import (
    TensorBoardLog as TensorBoardLog,
)
from .callbacks import (
    TrainingState as TrainingState,
)
from .deep_supervision import DeeplySupervised as DeeplySupervised
from .ema import OnAverage as OnAverage
from .ema import averaged_weights as averaged_weights
from .growth import (
    GrowthPhase as GrowthPhase,
)
from .growth import (
    GrowthSchedule as GrowthSchedule,
)
from .growth import (
    GrowthState as GrowthState,
)
from .growth import (
    ProgressiveGrowth as ProgressiveGrowth,
)
from .multilevel import (
    GradientVariance as GradientVariance,
)
from .multilevel import (
    Multilevel as Multilevel,
)
from .multilevel import (
    MultilevelLog as MultilevelLog,
)
from .multilevel import (
    MultilevelProgress as MultilevelProgress,
)
from .multilevel import (
    MultilevelSchedule as MultilevelSchedule,
)
from .multilevel import (
    MultilevelStage as MultilevelStage,
)
from .multilevel import (
    MultilevelStream as MultilevelStream,
)
from .multilevel import (
    TermVariance as TermVariance,
)
from .multilevel import (
    gradient_variance as gradient_variance,
)
from .schedules import Halving as Halving
from .schedules import PiecewiseCosine as PiecewiseCosine
from .schedules import WarmupPlateauCosine as WarmupPlateauCosine
