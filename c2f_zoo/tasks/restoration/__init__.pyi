from .measure import (
    RestorationProtocol as RestorationProtocol,
)
from .measure import (
    figures_of as figures_of,
)
from .measure import (
    measure_restoration as measure_restoration,
)
