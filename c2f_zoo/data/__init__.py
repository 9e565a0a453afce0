"""Reading, rendering, augmenting, degrading and showing the data of coarse-to-fine models.

Names are imported when they are first used, so that `import c2f_zoo.data` costs nothing and needs
no optional package.
"""

import importlib

# At once, because the function has the name of its module: imported later, the module would
# take the function's place as an attribute of this package.
from c2f_zoo.data.flow_picture import flow_picture

_MODULES = {
    "atomic": ["atomic_write"],
    "augmentation": ["AugmentedStream", "FlowAugmentation"],
    "degradation": ["Degradation"],
    "degradation_blur": ["GaussianBlur", "KernelBlur", "gaussian_blur"],
    "degradation_jpeg": ["JPEG"],
    "degradation_noise": ["GaussianNoise", "RandomBoxes", "box_mask"],
    "degradation_resize": ["Downsampling", "downsample", "upsample_bicubic"],
    "degradation_time": ["TimedNoise"],
    "flow_datasets": [
        "FLOW_DATASETS",
        "HD1K",
        "KITTI2012",
        "KITTI2015",
        "FlowDataset",
        "FlowFiles",
        "FlowSample",
        "FlyingChairs",
        "FlyingThings3D",
        "Middlebury",
        "Sintel",
        "open_flow_dataset",
    ],
    "flow_files": [
        "KITTI_FLOW_RANGE",
        "UNKNOWN_FLOW",
        "UNKNOWN_FLOW_THRESHOLD",
        "read_flo",
        "read_flow",
        "read_kitti_flow",
        "read_pfm",
        "write_flo",
        "write_flow",
        "write_kitti_flow",
        "write_pfm",
    ],
    "flow_picture": ["color_wheel_legend", "flow_to_color"],
    "image_archives": ["ImageZip", "read_cifar10", "read_stl10"],
    "image_cache": ["ImageCache"],
    "image_cache_build": ["box_pyramid"],
    "image_dataset": ["ImageDataset"],
    "image_datasets": ["IMAGE_DATASETS", "open_image_dataset"],
    "image_folder": ["ImageFolder", "UnfitImageError", "fit_image"],
    "image_sources": ["ImageArray", "TensorFlowDataset"],
    "image_stream": ["ImageStream", "fade_images"],
    "images": ["as_numpy", "check_same_size", "load_image", "save_image"],
    "tiles": ["apply_in_tiles"],
    "picture_grid": ["enlarge_pixels", "image_grid", "save_film"],
    "pictures": ["Picture", "read_mask", "read_picture", "write_picture"],
    "png16": ["decode_png16", "encode_png16"],
    "scenes": ["SceneStream", "Scenes"],
    "streams": ["FlowStream", "FollowEpoch"],
    "video": ["VideoWriter", "read_frames"],
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = sorted([flow_picture.__name__, *_HOMES])


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
