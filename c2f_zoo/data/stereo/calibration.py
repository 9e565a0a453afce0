"""Calibration of a rectified stereo pair: from disparity to depth and points in space."""

import re
from typing import NamedTuple

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.files.checks import regular_file

_LARGEST = 2**16  # bytes of a calib.txt


class Calibration(NamedTuple):
    """What a rectified pair of cameras needs for depth.

    Attributes:
        focal_length: In pixels.
        baseline: Distance of the cameras; depth has its unit (Middlebury: millimetres).
        center: Principal point (x, y) of the left image, pixels; None: the image's centre.
        offset: Difference of the principal points, pixels (`doffs`).
        max_disparity: A bound on the disparities (`ndisp`), or None.

    Example:
        >>> Calibration(1000.0, 0.2).depth(np.array([[50.0, 0.0]])).tolist()
        [[4.0, inf]]
    """

    focal_length: float
    baseline: float
    center: tuple[float, float] | None = None
    offset: float = 0.0
    max_disparity: int | None = None

    def depth(self, disparity):
        """Turn disparity into depth, `Z = f * b / (d + doffs)`.

        Args:
            disparity: Array of any shape, pixels.

        Returns:
            float32 array of the same shape, in the unit of the baseline; infinite where the
            disparity is unknown (not above 0) or that of infinity.
        """
        disparity = np.asarray(disparity, np.float32)
        known = np.isfinite(disparity) & (disparity > 0) & (disparity + self.offset > 0)
        total = np.where(known, disparity + self.offset, 1)
        return np.where(known, self.focal_length * self.baseline / total, np.inf).astype(np.float32)

    def points(self, disparity):
        """Turn disparity into points in space: x right, y down, z away from the left camera.

        Args:
            disparity: Array (H, W) or (H, W, 1), pixels.

        Returns:
            float32 array (H, W, 3), in the unit of the baseline; infinite or NaN where unknown.
        """
        depth = self.depth(np.asarray(disparity, np.float32).reshape(np.shape(disparity)[:2]))
        height, width = depth.shape
        x, y = self.center or ((width - 1) / 2, (height - 1) / 2)
        rows, columns = np.mgrid[:height, :width]
        with np.errstate(invalid="ignore"):
            sideways = [
                (place - middle) * depth / self.focal_length
                for place, middle in ((columns, x), (rows, y))
            ]
        return np.stack([*sideways, depth], axis=-1).astype(np.float32)


def read_calibration(path):
    r"""Read the `calib.txt` of Middlebury (2014, version 3) or ETH3D.

    Args:
        path: The file: lines `cam0=[f 0 cx; 0 f cy; 0 0 1]`, `baseline=193.001`, `doffs=32.778`,
            `ndisp=70`, in any order, blanks anywhere.

    Returns:
        `Calibration`.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the file is another one, or lacks `cam0` or `baseline`.

    Source: vision.middlebury.edu/stereo/data/scenes2014.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "calib.txt"
        >>> _ = path.write_text("baseline=193.0 \n cam0=[9 0 2.5; 0 9 1.5; 0 0 1]")
        >>> read_calibration(path).center
        (2.5, 1.5)
    """
    path = regular_file(path, "a calib.txt")
    with path.open("rb") as file:
        text = file.read(_LARGEST).decode("ascii", "replace")
    entries = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        numbers = re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", value)
        if sign and numbers:
            entries[key.strip()] = [float(number) for number in numbers]
    camera, baseline = entries.get("cam0", []), entries.get("baseline", [])
    if len(camera) != 9 or len(baseline) != 1 or camera[0] <= 0 or baseline[0] <= 0:
        raise ValueError(
            "A calib.txt must hold a line cam0=[f 0 cx; 0 f cy; 0 0 1] and a line baseline=b, "
            f"f and b above 0. Received: {path} with {', '.join(entries) or 'neither'}"
        )
    bound = entries.get("ndisp")
    return Calibration(
        focal_length=camera[0],
        baseline=baseline[0],
        center=(camera[2], camera[5]),
        offset=entries.get("doffs", [0.0])[0],
        max_disparity=checks.whole("ndisp", bound[0], least=1) if bound else None,
    )
