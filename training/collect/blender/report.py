"""What the project's readers find in rendered scenes: figures of their truth, a contact sheet."""

import json
from pathlib import Path

import numpy as np

from c2f_zoo.data import (
    KITTI2015,
    FlyingThings3D,
    KITTI2015Stereo,
    RGBDFolder,
    SceneFlow,
    depth_picture,
    disparity_picture,
    flow_to_color,
    load_image,
)
from c2f_zoo.data.files.disparity import read_disparity
from c2f_zoo.data.files.images import write_pixels
from c2f_zoo.data.flow import forward_backward_check
from c2f_zoo.data.stereo import left_right_check
from training.collect.blender.files import KINDS


def open_scenes(root: Path):
    """The data sets of flow, stereo and depth in a folder of scenes, and their records."""
    records = [json.loads(path.read_text()) for path in sorted(root.glob("scenes/*.json"))]
    depth = RGBDFolder(root / "rgbd")
    if (root / "training").is_dir():
        return KITTI2015(root), KITTI2015Stereo(root), depth, records
    if not (root / "frames_cleanpass").is_dir():
        raise FileNotFoundError(
            "Scenes are checked and shown with their flow and disparity, which --layout rgbd "
            f"leaves out. Received: {root}"
        )
    split = "train" if (root / "frames_cleanpass" / "TRAIN").is_dir() else "test"
    flow = FlyingThings3D(root, split=split, direction="into_future")
    # There the scenes are sorted by kind before their numbers.
    order = sorted(range(len(records)), key=lambda place: (KINDS[records[place]["kind"]], place))
    depth, records = [depth[place] for place in order], [records[place] for place in order]
    return flow, SceneFlow(root, split=split), depth, records


def follow(image: np.ndarray, displacement: np.ndarray) -> np.ndarray:
    """An image (H, W, C) sampled bilinearly where the pixels go, by (H, W, 2) pixels.

    Places outside are moved to the border.
    """
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width]
    x = np.clip(x + displacement[..., 0], 0, width - 1)
    y = np.clip(y + displacement[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    x, y = (x - left)[..., None], (y - top)[..., None]
    above = image[top, left] * (1 - x) + image[top, left + 1] * x
    below = image[top + 1, left] * (1 - x) + image[top + 1, left + 1] * x
    return above * (1 - y) + below * y


def photometric(first, second, displacement, valid, occlusion) -> dict[str, float]:
    """By how much colours differ along a motion, levels of 255: means over three sets of pixels."""
    known = valid[..., 0] > 0
    hidden = np.zeros_like(known) if occlusion is None else occlusion[..., 0] > 0
    along = 255 * np.abs(follow(second, displacement) - first).mean(-1)
    rest = 255 * np.abs(second - first).mean(-1)
    return {
        "visible": _mean(along[known & ~hidden]),
        "hidden": _mean(along[known & hidden]),
        "visible, without motion": _mean(rest[known & ~hidden]),
    }


def check(root: Path) -> dict:
    """Figures of all scenes in a folder: colours along the motion, geometry, and what is in them.

    Colours are compared along flow and disparity, on pixels that are seen and that are hidden in
    the other image. Depth times disparity must be focal length times baseline, but for the steps
    of the files. In FlyingThings3D's layout the masks are also compared with what forward and
    backward flow, and left and right disparity, say by themselves.
    """
    flow, stereo, depth, records = open_scenes(root)
    rows = {name: [] for name in ("flow", "stereo", "geometry", "amounts", "masks")}
    for sample in flow:
        mask = sample.occlusion
        rows["flow"].append(
            photometric(sample.image1, sample.image2, sample.flow, sample.valid, mask)
        )
    firsts = list(stereo)[:: len(stereo) // len(records)]
    for sample, seen, record in zip(firsts, depth, records, strict=True):
        shift = np.concatenate([-sample.disparity, np.zeros_like(sample.disparity)], -1)
        rows["stereo"].append(
            photometric(sample.left, sample.right, shift, sample.valid, sample.occlusion)
        )
        known = (sample.valid * seen.valid) > 0
        disparity, far = sample.disparity[known], seen.depth[known]
        off = np.abs(far * disparity / (record["focal"] * record["baseline"]) - 1)
        steps = 0.5 / 256 / disparity + 0.5e-3 / far  # half a step of either file
        rows["geometry"].append(
            {"mean": float(off.mean()), "beyond 0.001 and half a step": _mean(off > 1e-3 + steps)}
        )
    for sample, seen, other in zip(firsts, depth, flow, strict=True):
        length = np.linalg.norm(other.flow, axis=-1)
        rows["amounts"].append(
            {
                "known flow": _mean(other.valid),
                "median flow": float(np.median(length)),
                "99 % flow": float(np.percentile(length, 99)),
                "hidden by motion": _mean(other.occlusion),
                "median disparity": float(np.median(sample.disparity)),
                "99 % disparity": float(np.percentile(sample.disparity, 99)),
                "hidden from the right": _mean(sample.occlusion),
                "median depth": float(np.median(seen.depth)),
                "brightness": 255 * _mean(seen.image),
            }
        )
    if not (root / "training").is_dir():
        rows["masks"] = _masks(root)
    vectors = [value for record in records for value in record["vector_difference"]]
    return {
        "scenes": len(records),
        "rooms": sum(record["kind"] == "room" for record in records),
        "largest difference from Blender's vectors": max(vectors, default=None),
        **{name: _averages(found) for name, found in rows.items() if found},
    }


def _masks(root):
    """How the masks of FlyingThings3D's layout agree with two-way checks."""
    found = []
    for path in sorted(root.glob("optical_flow/*/*/*/into_future/left/*.pfm")):
        split, letter, scene = path.parts[-6:-3]
        place = Path(split, letter, scene)
        both = FlyingThings3D(root, split=split.lower(), max_motion=None)
        names = [f"clean/{letter}/{scene}/left/{one}" for one in _ENDS]
        there, back = (both[both.names.index(name)].flow for name in names)
        mask = root / "optical_flow_occlusions" / place / "into_future" / "left"
        hidden = load_image(mask / "OcclusionIntoFuture_0006_L.png")[..., 0] > 0.5
        returns = forward_backward_check(there, back)[..., 0] > 0
        left, right = (
            read_disparity(root / "disparity" / place / side / "0006.pfm")[0]
            for side in ("left", "right")
        )
        mask = load_image(root / "disparity_occlusions" / place / "left" / "0006.png")[..., 0]
        agrees = left_right_check(left, right)[..., 0] > 0
        found.append(
            {
                "flow: seen pixels that return": _mean(returns[~hidden]),
                "flow: hidden pixels that return": _mean(returns[hidden]),
                "disparity: seen pixels that agree": _mean(agrees[mask < 0.5]),
                "disparity: hidden pixels that agree": _mean(agrees[mask > 0.5]),
            }
        )
    return found


_ENDS = ("into_future/0006", "into_past/0007")


def _mean(values):
    return float(np.mean(values)) if values is not None and np.size(values) else float("nan")


def _averages(rows):
    found = {key: [row[key] for row in rows if np.isfinite(row[key])] for key in rows[0]}
    return {key: round(_mean(values), 6) for key, values in found.items() if values}


def sheet(path: Path, root: Path, scenes: int = 12, height: int = 112) -> None:
    """Write a contact sheet: left, right, flow, disparity and depth of each scene, two a row."""
    flow, stereo, depth, _ = open_scenes(root)
    step = len(stereo) // len(flow)
    rows = []
    for place in range(min(scenes, len(flow))):
        pair, seen, motion = stereo[place * step], depth[place], flow[place]
        pictures = [
            pair.left,
            pair.right,
            flow_to_color(motion.flow),
            disparity_picture(pair.disparity),
            depth_picture(seen.depth),
        ]
        rows.append(np.concatenate([_shrunk(one, height) for one in pictures], 1))
    if len(rows) % 2:
        rows.append(np.full_like(rows[0], 255))
    half = len(rows) // 2
    pairs = [np.concatenate(two, 1) for two in zip(rows[:half], rows[half:], strict=True)]
    write_pixels(path, np.concatenate(pairs), quality=88)


def _shrunk(image, height):
    from PIL import Image

    image = Image.fromarray(np.rint(255 * image).astype(np.uint8))
    width = round(image.width * height / image.height)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
