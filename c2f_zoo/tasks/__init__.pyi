from .restoration import (
    RestorationProtocol as RestorationProtocol,
)
from .restoration import (
    figures_of as figures_of,
)
from .restoration import (
    measure_restoration as measure_restoration,
)
