"""Folders of optical flow with ground truth, by name.

Each class reads what its authors publish, unpacked and not renamed. Nothing is downloaded: the
data sets have their own terms.
"""

from c2f_zoo.data.file_dataset import class_named
from c2f_zoo.data.flow.datasets_real import HD1K, KITTI2012, KITTI2015, Middlebury
from c2f_zoo.data.flow.datasets_synthetic import FlyingChairs, FlyingThings3D, Sintel

FLOW_DATASETS = {
    "flying_chairs": FlyingChairs,
    "flying_things3d": FlyingThings3D,
    "sintel": Sintel,
    "kitti2012": KITTI2012,
    "kitti2015": KITTI2015,
    "middlebury": Middlebury,
    "hd1k": HD1K,
}


def open_flow_dataset(name, root, **options):
    """Open a folder of optical flow by the name of its data set.

    Args:
        name: A key of `FLOW_DATASETS`; case, `-`, `_` and spaces do not matter
            ("FlyingChairs" is "flying_chairs").
        root: Folder of the release.
        **options: Options of the data set's class, such as `split="train"`.

    Returns:
        A `FlowDataset`, a sequence of `FlowSample` (images (H, W, 3), flow (H, W, 2)).

    Raises:
        ValueError: If there is no data set of this name; the message lists all.
        FileNotFoundError: If the folder does not exist or has another layout.

    Example:
        ```python
        dataset = open_flow_dataset("sintel", "MPI-Sintel-complete", pass_name="final")
        ```
    """
    return class_named(name, FLOW_DATASETS)(root, **options)
