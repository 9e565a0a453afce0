from .adversarial import (
    AdversarialModel as AdversarialModel,
    AdversarialTraining as AdversarialTraining,
    BestPreset as BestPreset,
    ImageProgress as ImageProgress,
    OptimizerPair as OptimizerPair,
    SampleGrids as SampleGrids,
)
from .batch_statistics import update_batch_statistics as update_batch_statistics
from .callbacks import (
    EpochLog as EpochLog,
    FlowPictures as FlowPictures,
    StopOnNaN as StopOnNaN,
    StopOnSignal as StopOnSignal,
    TensorBoardLog as TensorBoardLog,
)
from .curricula import (
    LayerwiseCurriculum as LayerwiseCurriculum,
    ResolutionCurriculum as ResolutionCurriculum,
    ResolutionSchedule as ResolutionSchedule,
    ResolutionStage as ResolutionStage,
    ResolutionState as ResolutionState,
    ResolutionStream as ResolutionStream,
    only_head_trainable as only_head_trainable,
    resize_batch as resize_batch,
)
from .deep_supervision import DeeplySupervised as DeeplySupervised
from .devices import on_devices as on_devices
from .ema import OnAverage as OnAverage, averaged_weights as averaged_weights
from .growth import (
    GrowthPhase as GrowthPhase,
    GrowthSchedule as GrowthSchedule,
    GrowthState as GrowthState,
    ProgressiveGrowth as ProgressiveGrowth,
)
from .hosts import join_hosts as join_hosts, on_first_host as on_first_host
from .micro_batches import MicroBatched as MicroBatched, in_micro_batches as in_micro_batches
from .multilevel import (
    GradientVariance as GradientVariance,
    Multilevel as Multilevel,
    MultilevelLog as MultilevelLog,
    MultilevelProgress as MultilevelProgress,
    MultilevelSchedule as MultilevelSchedule,
    MultilevelStage as MultilevelStage,
    MultilevelStream as MultilevelStream,
    TermVariance as TermVariance,
    gradient_variance as gradient_variance,
)
from .optimizers import ClippedAdamW as ClippedAdamW
from .schedules import (
    Halving as Halving,
    OneCycle as OneCycle,
    PiecewiseCosine as PiecewiseCosine,
    WarmupPlateauCosine as WarmupPlateauCosine,
)
from .state import TrainingState as TrainingState
