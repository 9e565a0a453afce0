from .degradations import (
    JPEG as JPEG,
)
from .degradations import (
    Degradation as Degradation,
)
from .degradations import (
    Downsampling as Downsampling,
)
from .degradations import (
    GaussianBlur as GaussianBlur,
)
from .degradations import (
    GaussianNoise as GaussianNoise,
)
from .degradations import (
    KernelBlur as KernelBlur,
)
from .degradations import (
    RandomBoxes as RandomBoxes,
)
from .degradations import (
    TimedNoise as TimedNoise,
)
from .degradations import (
    box_mask as box_mask,
)
from .degradations import (
    downsample as downsample,
)
from .degradations import (
    gaussian_blur as gaussian_blur,
)
from .degradations import (
    upsample_bicubic as upsample_bicubic,
)
from .files import (
    KITTI_FLOW_RANGE as KITTI_FLOW_RANGE,
)
from .files import (
    UNKNOWN_FLOW as UNKNOWN_FLOW,
)
from .files import (
    UNKNOWN_FLOW_THRESHOLD as UNKNOWN_FLOW_THRESHOLD,
)
from .files import (
    Picture as Picture,
)
from .files import (
    VideoWriter as VideoWriter,
)
from .files import (
    as_numpy as as_numpy,
)
from .files import (
    atomic_write as atomic_write,
)
from .files import (
    check_same_size as check_same_size,
)
from .files import (
    decode_png16 as decode_png16,
)
from .files import (
    encode_png16 as encode_png16,
)
from .files import (
    enlarge_pixels as enlarge_pixels,
)
from .files import (
    image_grid as image_grid,
)
from .files import (
    load_image as load_image,
)
from .files import (
    read_flo as read_flo,
)
from .files import (
    read_flow as read_flow,
)
from .files import (
    read_frames as read_frames,
)
from .files import (
    read_kitti_flow as read_kitti_flow,
)
from .files import (
    read_mask as read_mask,
)
from .files import (
    read_pfm as read_pfm,
)
from .files import (
    read_picture as read_picture,
)
from .files import (
    save_film as save_film,
)
from .files import (
    save_image as save_image,
)
from .files import (
    write_flo as write_flo,
)
from .files import (
    write_flow as write_flow,
)
from .files import (
    write_kitti_flow as write_kitti_flow,
)
from .files import (
    write_pfm as write_pfm,
)
from .files import (
    write_picture as write_picture,
)
from .flow import (
    FLOW_DATASETS as FLOW_DATASETS,
)
from .flow import (
    HD1K as HD1K,
)
from .flow import (
    KITTI2012 as KITTI2012,
)
from .flow import (
    KITTI2015 as KITTI2015,
)
from .flow import (
    AugmentedStream as AugmentedStream,
)
from .flow import (
    FlowAugmentation as FlowAugmentation,
)
from .flow import (
    FlowDataset as FlowDataset,
)
from .flow import (
    FlowFiles as FlowFiles,
)
from .flow import (
    FlowSample as FlowSample,
)
from .flow import (
    FlowStream as FlowStream,
)
from .flow import (
    FlyingChairs as FlyingChairs,
)
from .flow import (
    FlyingThings3D as FlyingThings3D,
)
from .flow import (
    FollowEpoch as FollowEpoch,
)
from .flow import (
    Middlebury as Middlebury,
)
from .flow import (
    Sintel as Sintel,
)
from .flow import (
    color_wheel_legend as color_wheel_legend,
)
from .flow import (
    flow_picture as flow_picture,
)
from .flow import (
    flow_to_color as flow_to_color,
)
from .flow import (
    open_flow_dataset as open_flow_dataset,
)
from .images import (
    IMAGE_DATASETS as IMAGE_DATASETS,
)
from .images import (
    ImageArray as ImageArray,
)
from .images import (
    ImageCache as ImageCache,
)
from .images import (
    ImageDataset as ImageDataset,
)
from .images import (
    ImageFolder as ImageFolder,
)
from .images import (
    ImageStream as ImageStream,
)
from .images import (
    ImageZip as ImageZip,
)
from .images import (
    TensorFlowDataset as TensorFlowDataset,
)
from .images import (
    UnfitImageError as UnfitImageError,
)
from .images import (
    box_pyramid as box_pyramid,
)
from .images import (
    fade_images as fade_images,
)
from .images import (
    fit_image as fit_image,
)
from .images import (
    open_image_dataset as open_image_dataset,
)
from .images import (
    read_cifar10 as read_cifar10,
)
from .images import (
    read_stl10 as read_stl10,
)
from .scenes import Effects as Effects
from .scenes import Motion as Motion
from .scenes import MotionMixture as MotionMixture
from .scenes import Scenes as Scenes
from .scenes import SceneStream as SceneStream
from .tiles import apply_in_tiles as apply_in_tiles
