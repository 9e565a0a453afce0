from .clips import restore_stream as restore_stream
from .measure import (
    RestorationProtocol as RestorationProtocol,
    figures_of as figures_of,
    measure_restoration as measure_restoration,
)
