"""How to train coarse to fine: deep supervision, schedules, callbacks."""

from c2f_zoo.training.adversarial import AdversarialModel
from c2f_zoo.training.adversarial_config import AdversarialTraining
from c2f_zoo.training.callbacks import (
    FlowPictures,
    StopOnNaN,
    StopOnSignal,
    TensorBoardLog,
    TrainingState,
)
from c2f_zoo.training.deep_supervision import DeeplySupervised
from c2f_zoo.training.ema import OnAverage, averaged_weights
from c2f_zoo.training.generative_callbacks import BestPreset, ImageProgress, SampleGrids
from c2f_zoo.training.growth import GrowthSchedule
from c2f_zoo.training.growth_parts import GrowthPhase, GrowthState
from c2f_zoo.training.multilevel import Multilevel
from c2f_zoo.training.multilevel_callbacks import MultilevelLog, MultilevelProgress
from c2f_zoo.training.multilevel_schedule import MultilevelSchedule, MultilevelStage
from c2f_zoo.training.multilevel_stream import MultilevelStream
from c2f_zoo.training.multilevel_variance import (
    GradientVariance,
    TermVariance,
    gradient_variance,
)
from c2f_zoo.training.optimizer_pair import OptimizerPair
from c2f_zoo.training.progressive import ProgressiveGrowth
from c2f_zoo.training.schedules import Halving, PiecewiseCosine, WarmupPlateauCosine

__all__ = [
    "AdversarialModel",
    "AdversarialTraining",
    "BestPreset",
    "DeeplySupervised",
    "FlowPictures",
    "GradientVariance",
    "GrowthPhase",
    "GrowthSchedule",
    "GrowthState",
    "Halving",
    "ImageProgress",
    "Multilevel",
    "MultilevelLog",
    "MultilevelProgress",
    "MultilevelSchedule",
    "MultilevelStage",
    "MultilevelStream",
    "OnAverage",
    "OptimizerPair",
    "PiecewiseCosine",
    "ProgressiveGrowth",
    "SampleGrids",
    "StopOnNaN",
    "StopOnSignal",
    "TensorBoardLog",
    "TermVariance",
    "TrainingState",
    "WarmupPlateauCosine",
    "averaged_weights",
    "gradient_variance",
]
