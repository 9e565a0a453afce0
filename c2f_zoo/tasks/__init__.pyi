from .confidence import (
    DisparityWithConfidence as DisparityWithConfidence,
    FlowWithConfidence as FlowWithConfidence,
    FlowWithUncertainty as FlowWithUncertainty,
    checked_disparity as checked_disparity,
    checked_flow as checked_flow,
)
from .features import FeatureExtractor as FeatureExtractor
from .interpolation import (
    interpolate as interpolate,
    interpolate_stream as interpolate_stream,
)
from .restoration import (
    RestorationProtocol as RestorationProtocol,
    figures_of as figures_of,
    measure_restoration as measure_restoration,
    restore_stream as restore_stream,
)
