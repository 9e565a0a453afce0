"""The folders into which rendered scenes are written.

`kitti` is KITTI 2015's layout, compact: motions in steps of 1/64 pixel, disparities of 1/256.
`things` is FlyingThings3D's, exact and four times as large. Both come with an RGB-D folder of the
left images. `c2f_zoo`'s readers open all of them.
"""

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2f_zoo.data.files.atomic import atomic_write
from c2f_zoo.data.files.depth import write_depth
from c2f_zoo.data.files.disparity import write_disparity
from c2f_zoo.data.files.flow import write_flow
from c2f_zoo.data.files.images import write_pixels
from c2f_zoo.data.files.kitti_png import write_kitti_flow

LAYOUTS = ("kitti", "things", "rgbd")
TRAIN, HELD_OUT = "train", "held_out"
KINDS = {"room": "A", "scattered": "B"}
MOST_MOTION, MOST_DISPARITY = 511.0, 255.9  # pixels that KITTI's files hold


class Truth(NamedTuple):
    """Images and ground truth of a scene, arrays of uint8, float or bool, (H, W, C) or (H, W).

    The keys are (time, side): time 0 or 1, side "left" or "right".

    Attributes:
        images: uint8 (H, W, 3) by (time, side).
        depth: (H, W), metres, by (time, side).
        index: (H, W), object of each pixel, by (time, side).
        disparity: (H, W), pixels, by (time, side).
        unseen: bool (H, W), hidden from the camera of the other side, by (time, side).
        flow: (H, W, 2), pixels, of the left images by time: to the other time.
        hidden: bool (H, W), hidden at the other time, of the left images by time.
    """

    images: dict
    depth: dict
    index: dict
    disparity: dict
    unseen: dict
    flow: dict
    hidden: dict


def views(layout: str) -> list[tuple[int, str]]:
    """The views that a layout needs: one for depth alone; KITTI has no second right image."""
    count = {"rgbd": 1, "kitti": 3, "things": 4}[layout]
    return [(0, "left"), (0, "right"), (1, "left"), (1, "right")][:count]


def record_of(root: Path, number: int) -> Path:
    """The file that is written last: a scene that has it is finished."""
    return root / "scenes" / f"{number:06d}.json"


class Target:
    """Writes the files of one scene below a folder, and counts their bytes."""

    def __init__(self, root: Path, number: int, layout: str):
        self.root, self.number, self.layout, self.bytes = root, number, layout, 0

    def _at(self, *parts: str) -> Path:
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _put(self, write, path: Path, *arrays) -> None:
        write(path, *arrays)
        self.bytes += path.stat().st_size

    def write(self, truth: Truth, record: dict) -> int:
        """Write a scene; returns the bytes that it takes.

        Args:
            truth: What was rendered.
            record: What else to remember, in `scenes/NUMBER.json`; `record["kind"]` chooses the
                folder in FlyingThings3D's layout.
        """
        name = f"{self.number:06d}.png"
        if self.layout == "rgbd":
            self._put(write_pixels, self._at("rgbd", "rgb", name), truth.images[0, "left"])
        else:
            image = self._kitti(truth) if self.layout == "kitti" else self._things(truth, record)
            _link(image, self._at("rgbd", "rgb", name))
        depth = np.where(truth.depth[0, "left"] < 65, truth.depth[0, "left"], 0)
        self._put(write_depth, self._at("rgbd", "depth", name), depth)
        path = record_of(self.root, self.number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write((json.dumps(record) + "\n").encode())
        return self.bytes

    def _kitti(self, truth):
        first, second = f"{self.number:06d}_10.png", f"{self.number:06d}_11.png"
        view = (0, "left")

        def at(folder, name=first):
            return self._at("training", folder, name)

        self._put(write_pixels, at("image_2"), truth.images[view])
        self._put(write_pixels, at("image_2", second), truth.images[1, "left"])
        self._put(write_pixels, at("image_3"), truth.images[0, "right"])
        known = truth.index[view] > 0
        flow = np.where(known[..., None], truth.flow[0], 0)
        held = known & (np.abs(flow) < MOST_MOTION).all(-1)
        self._put(write_kitti_flow, at("flow_occ"), flow, held)
        self._put(write_kitti_flow, at("flow_noc"), flow, held & ~truth.hidden[0])
        disparity = truth.disparity[view]
        held = known & (disparity < MOST_DISPARITY)
        self._put(write_disparity, at("disp_occ_0"), disparity, held)
        self._put(write_disparity, at("disp_noc_0"), disparity, held & ~truth.unseen[view])
        self._put(write_pixels, at("obj_map"), truth.index[view].astype(np.uint8))
        return at("image_2")

    def _things(self, truth, record):
        split = "TEST" if self.root.name == HELD_OUT else "TRAIN"
        letter, scene = KINDS[record["kind"]], f"{self.number:04d}"

        def at(folder, *parts):
            return self._at(folder, split, letter, scene, *parts)

        for (time, side), image in truth.images.items():
            name, view = f"{6 + time:04d}", (time, side)
            self._put(write_pixels, at("frames_cleanpass", side, f"{name}.png"), image)
            known = truth.index[view] > 0
            disparity = at("disparity", side, f"{name}.pfm")
            self._put(write_disparity, disparity, truth.disparity[view], known)
            mask = at("disparity_occlusions", side, f"{name}.png")
            self._put(write_pixels, mask, np.uint8(255) * truth.unseen[view])
            index = at("object_index", side, f"{name}.png")
            self._put(write_pixels, index, truth.index[view].astype(np.uint8))
        for time, word in ((0, "Future"), (1, "Past")):
            known = truth.index[time, "left"] > 0
            flow = np.where(known[..., None], truth.flow[time], 0)
            where, name = (f"into_{word.lower()}", "left"), f"Into{word}_{6 + time:04d}_L"
            path = at("optical_flow", *where, f"OpticalFlow{name}.pfm")
            self._put(write_flow, path, flow, known)
            mask = at("optical_flow_occlusions", *where, f"Occlusion{name}.png")
            self._put(write_pixels, mask, np.uint8(255) * truth.hidden[time])
        return at("frames_cleanpass", "left", "0006.png")


def _link(source: Path, path: Path) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)
