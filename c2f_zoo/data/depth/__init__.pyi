from .datasets import (
    DEPTH_DATASETS as DEPTH_DATASETS,
    NYUDepth as NYUDepth,
    RGBDFolder as RGBDFolder,
    TUMDepth as TUMDepth,
    open_depth_dataset as open_depth_dataset,
)
from .folders import (
    DepthDataset as DepthDataset,
    DepthFiles as DepthFiles,
    DepthSample as DepthSample,
)
from .picture import depth_picture as depth_picture
from .streams import DepthStream as DepthStream
