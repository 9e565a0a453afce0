from .callback import ProgressiveGrowth as ProgressiveGrowth
from .parts import GrowthPhase as GrowthPhase
from .parts import GrowthState as GrowthState
from .schedule import GrowthSchedule as GrowthSchedule
