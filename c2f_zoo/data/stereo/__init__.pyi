from .calibration import Calibration as Calibration, read_calibration as read_calibration
from .consistency import left_right_check as left_right_check
from .datasets import (
    ETH3D as ETH3D,
    STEREO_DATASETS as STEREO_DATASETS,
    KITTI2012Stereo as KITTI2012Stereo,
    KITTI2015Stereo as KITTI2015Stereo,
    MiddleburyStereo as MiddleburyStereo,
    SceneFlow as SceneFlow,
    open_stereo_dataset as open_stereo_dataset,
)
from .folders import (
    StereoDataset as StereoDataset,
    StereoFiles as StereoFiles,
    StereoSample as StereoSample,
)
from .picture import disparity_picture as disparity_picture
from .streams import StereoStream as StereoStream
