from .augmentation import FlowAugmentation as FlowAugmentation
from .augmented_stream import AugmentedStream as AugmentedStream
from .between import frames_between as frames_between
from .consistency import forward_backward_check as forward_backward_check
from .datasets import FLOW_DATASETS as FLOW_DATASETS, open_flow_dataset as open_flow_dataset
from .datasets_real import (
    HD1K as HD1K,
    KITTI2012 as KITTI2012,
    KITTI2015 as KITTI2015,
    Middlebury as Middlebury,
)
from .datasets_synthetic import (
    FlyingChairs as FlyingChairs,
    FlyingThings3D as FlyingThings3D,
    Sintel as Sintel,
)
from .folders import FlowDataset as FlowDataset, FlowFiles as FlowFiles, FlowSample as FlowSample
from .picture import (
    color_wheel_legend as color_wheel_legend,
    flow_picture as flow_picture,
    flow_to_color as flow_to_color,
)
from .splatting import splat as splat
from .streams import FlowStream as FlowStream
