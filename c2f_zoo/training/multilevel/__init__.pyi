from .callbacks import MultilevelLog as MultilevelLog, MultilevelProgress as MultilevelProgress
from .model import Multilevel as Multilevel
from .schedule import MultilevelSchedule as MultilevelSchedule, MultilevelStage as MultilevelStage
from .stream import MultilevelStream as MultilevelStream
from .variance import (
    GradientVariance as GradientVariance,
    TermVariance as TermVariance,
    gradient_variance as gradient_variance,
)
