from .callbacks import MultilevelLog as MultilevelLog
from .callbacks import MultilevelProgress as MultilevelProgress
from .model import Multilevel as Multilevel
from .schedule import MultilevelSchedule as MultilevelSchedule
from .schedule import MultilevelStage as MultilevelStage
from .stream import MultilevelStream as MultilevelStream
from .variance import (
    GradientVariance as GradientVariance,
)
from .variance import (
    TermVariance as TermVariance,
)
from .variance import (
    gradient_variance as gradient_variance,
)
