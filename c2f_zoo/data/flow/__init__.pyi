from .augmentation import AugmentedStream as AugmentedStream, FlowAugmentation as FlowAugmentation
from .datasets import (
    FLOW_DATASETS as FLOW_DATASETS,
    HD1K as HD1K,
    KITTI2012 as KITTI2012,
    KITTI2015 as KITTI2015,
    FlowDataset as FlowDataset,
    FlowFiles as FlowFiles,
    FlowSample as FlowSample,
    FlyingChairs as FlyingChairs,
    FlyingThings3D as FlyingThings3D,
    Middlebury as Middlebury,
    Sintel as Sintel,
    open_flow_dataset as open_flow_dataset,
)
from .picture import (
    color_wheel_legend as color_wheel_legend,
    flow_picture as flow_picture,
    flow_to_color as flow_to_color,
)
from .streams import FlowStream as FlowStream, FollowEpoch as FollowEpoch
