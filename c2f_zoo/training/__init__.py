"""How to train coarse to fine: deep supervision, schedules, callbacks."""

from c2f_zoo.training.callbacks import (
    FlowPictures,
    StopOnNaN,
    StopOnSignal,
    TensorBoardLog,
    TrainingState,
)
from c2f_zoo.training.deep_supervision import DeeplySupervised
from c2f_zoo.training.schedules import Halving, WarmupPlateauCosine

__all__ = [
    "DeeplySupervised",
    "FlowPictures",
    "Halving",
    "StopOnNaN",
    "StopOnSignal",
    "TensorBoardLog",
    "TrainingState",
    "WarmupPlateauCosine",
]
