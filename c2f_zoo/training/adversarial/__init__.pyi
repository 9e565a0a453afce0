from .callbacks import (
    BestPreset as BestPreset,
    ImageProgress as ImageProgress,
    SampleGrids as SampleGrids,
)
from .config import AdversarialTraining as AdversarialTraining
from .model import AdversarialModel as AdversarialModel
from .optimizer_pair import OptimizerPair as OptimizerPair
