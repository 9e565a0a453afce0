from .augmentation import AugmentedStream as AugmentedStream
from .augmentation import FlowAugmentation as FlowAugmentation
from .datasets import (
    FLOW_DATASETS as FLOW_DATASETS,
)
from .datasets import (
    HD1K as HD1K,
)
from .datasets import (
    KITTI2012 as KITTI2012,
)
from .datasets import (
    KITTI2015 as KITTI2015,
)
from .datasets import (
    FlowDataset as FlowDataset,
)
from .datasets import (
    FlowFiles as FlowFiles,
)
from .datasets import (
    FlowSample as FlowSample,
)
from .datasets import (
    FlyingChairs as FlyingChairs,
)
from .datasets import (
    FlyingThings3D as FlyingThings3D,
)
from .datasets import (
    Middlebury as Middlebury,
)
from .datasets import (
    Sintel as Sintel,
)
from .datasets import (
    open_flow_dataset as open_flow_dataset,
)
from .picture import (
    color_wheel_legend as color_wheel_legend,
)
from .picture import (
    flow_picture as flow_picture,
)
from .picture import (
    flow_to_color as flow_to_color,
)
from .streams import FlowStream as FlowStream
from .streams import FollowEpoch as FollowEpoch
