from .callback import ProgressiveGrowth as ProgressiveGrowth
from .parts import GrowthPhase as GrowthPhase, GrowthState as GrowthState
from .schedule import GrowthSchedule as GrowthSchedule
