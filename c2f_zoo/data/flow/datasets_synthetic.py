"""Rendered data sets of optical flow, in the layouts of their official releases."""

import re
from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.flow.folders import (
    FlowDataset,
    FlowFiles,
    check_complete,
    either,
    find_folder,
    join_parts,
    numbered_files,
    pair_frames,
    split_folder,
    subfolders,
)


class FlyingChairs(FlowDataset):
    """FlyingChairs: 22,872 synthetic pairs of chairs over photographs, 512x384, dense flow.

    Expected: `data/00001_img1.ppm`, `00001_img2.ppm`, `00001_flow.flo`, ...

    Args:
        root: `FlyingChairs_release`, or its `data` folder, or the folder that holds the release.
        split: "all" (default), or "train" or "val" as the authors' `FlyingChairs_train_val.txt`
            says (one line a sample, 1 = train, 2 = val); it lies in the release folder or in
            `data`.

    Raises:
        FileNotFoundError: If the folder has another layout, pairs are incomplete (named), or the
            split file is missing.
        ValueError: If `split` is unknown, or the split file does not cover a sample.

    Source: Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks",
    ICCV 2015.

    Example:
        ```python
        training = FlyingChairs("FlyingChairs_release", split="train")
        stream = FlowStream(training, batch_size=8, crop_size=(384, 448))
        ```
    """

    def __init__(self, root, split="all"):
        checks.one_of("split", split, ("all", "train", "val"))
        here = ["."] if any(Path(root).expanduser().glob("*_img1.ppm")) else []
        folder = find_folder(root, [*here, "data", "FlyingChairs_release/data"], "FlyingChairs")
        parts = {
            f"*_{part}": numbered_files(folder, rf"(\d{{5}})_{re.escape(part)}")
            for part in ("img1.ppm", "img2.ppm", "flow.flo")
        }
        numbers = sorted(set().union(*parts.values()))
        if split != "all":
            label = {"train": "1", "val": "2"}[split]
            labels = _chairs_labels(folder, numbers)
            numbers = [number for number in numbers if labels[number - 1] == label]
        samples, problems = join_parts(parts, 5, numbers)
        files = [FlowFiles(*sample) for sample in samples]
        check_complete("FlyingChairs", folder, files, problems)
        super().__init__(root, files)


def _chairs_labels(folder, numbers):
    name = "FlyingChairs_train_val.txt"
    path = next((p for p in (folder.parent / name, folder / name) if p.is_file()), None)
    if path is None:
        raise FileNotFoundError(
            f"The splits of FlyingChairs need the authors' {name} in {folder.parent} or {folder} "
            f'(or use split="all"). Received: no such file'
        )
    labels = path.read_text().split()
    if not set(labels) <= {"1", "2"} or (numbers and numbers[-1] > len(labels)):
        raise ValueError(
            f"{path}: expected a 1 or a 2 for each of the samples up to {numbers[-1:]}. "
            f"Received: {len(labels)} entries: {', '.join(sorted(set(labels))[:5])}"
        )
    return labels


class FlyingThings3D(FlowDataset):
    """FlyingThings3D: synthetic sequences of flying objects, 960x540, dense flow both ways.

    Expected: `frames_cleanpass/TRAIN/A/0000/left/0006.png`, ... and
    `optical_flow/TRAIN/A/0000/into_future/left/OpticalFlowIntoFuture_0006_L.pfm`, ...

    Args:
        root: Folder with `frames_cleanpass` or `frames_finalpass`, and `optical_flow`.
        split: "train" (default) or "test".
        pass_name: "clean" (default), "final" (with motion blur and defocus) or "both".
        direction: "into_future", "into_past" or "both" (default).
        camera: "left" (default), "right" or "both".
        max_motion: Pixels that move further, in either direction, than this many pixels are not
            valid; default 1000, as in the training of FlowNet2 and PWC-Net. None: no limit.

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If an option is unknown.

    Source: Mayer et al., "A Large Dataset to Train Convolutional Networks for Disparity, Optical
    Flow, and Scene Flow Estimation", CVPR 2016.

    Example:
        ```python
        dataset = FlyingThings3D("FlyingThings3D", pass_name="final", direction="into_future")
        ```
    """

    def __init__(
        self,
        root,
        split="train",
        pass_name="clean",
        direction="both",
        camera="left",
        max_motion=1000.0,
    ):
        checks.one_of("split", split, ("train", "test"))
        passes = either("pass_name", pass_name, ("clean", "final"))
        directions = either("direction", direction, ("into_future", "into_past"))
        cameras = either("camera", camera, ("left", "right"))
        flows = find_folder(root, [f"optical_flow/{split.upper()}"], "FlyingThings3D")
        files, problems = [], []
        for one_pass in passes:
            where = f"frames_{one_pass}pass/{split.upper()}"
            frames = find_folder(root, [where], "FlyingThings3D")
            scenes = {path.relative_to(frames) for path in frames.glob("*/*") if path.is_dir()}
            scenes |= {path.relative_to(flows) for path in flows.glob("*/*") if path.is_dir()}
            for scene in sorted(scenes):
                for one_camera in cameras:
                    images = numbered_files(frames / scene / one_camera, r"(\d{4})\.png")
                    for one_direction in directions:
                        name = f"{one_pass}/{scene.as_posix()}/{one_camera}/{one_direction}"
                        found = _things_flows(flows / scene, one_direction, one_camera)
                        step = 1 if one_direction == "into_future" else -1
                        pairs, lacking = pair_frames(name, images, found, step, open_end=True)
                        files += [FlowFiles(f"{name}/{n:04d}", *paths) for n, *paths in pairs]
                        problems += lacking
        check_complete("FlyingThings3D", root, files, problems)
        super().__init__(root, files)
        self.max_motion = max_motion

    def _decode(self, files):
        sample = super()._decode(files)
        if self.max_motion is None:
            return sample
        near = (np.abs(sample.flow) <= self.max_motion).all(axis=-1, keepdims=True)
        return sample._replace(valid=sample.valid * near)


def _things_flows(scene, direction, camera):
    word = "Future" if direction == "into_future" else "Past"
    pattern = rf"OpticalFlowInto{word}_(\d{{4}})_{camera[0].upper()}\.pfm"
    return numbered_files(scene / direction / camera, pattern)


class Sintel(FlowDataset):
    """MPI-Sintel: 1,041 training pairs of an animated film, 1024x436, dense flow.

    Expected: `training/clean/alley_1/frame_0001.png`, `training/flow/alley_1/frame_0001.flo`,
    with the masks `training/occlusions` and `training/invalid` where they are; `test/clean`.

    Args:
        root: `MPI-Sintel-complete`, or its `training` or `test` folder.
        split: "train" (default) or "test" (no flow).
        pass_name: "clean" (default), "final" (with blur and fog) or "both".
        exclude_invalid: Whether the pixels of the `invalid` masks (about 0.02%) count as unknown.
            Default False, as in the published figures, which average over all pixels.

    Raises:
        FileNotFoundError: If the folder has another layout, pairs are incomplete (named), or masks
            are missing.
        ValueError: If an option is unknown.

    Source: Butler et al., "A Naturalistic Open Source Movie for Optical Flow Evaluation", ECCV
    2012.

    Example:
        ```python
        dataset = Sintel("MPI-Sintel-complete", pass_name="both")
        ```
    """

    def __init__(self, root, split="train", pass_name="clean", exclude_invalid=False):
        checks.one_of("split", split, ("train", "test"))
        passes = either("pass_name", pass_name, ("clean", "final"))
        folder = split_folder(root, split, passes[0], "Sintel")
        train = split == "train"
        if train:
            find_folder(folder, ["flow"], "Sintel")
        files, problems = [], []
        for one_pass in passes:
            scenes = {path.name for path in subfolders(find_folder(folder, [one_pass], "Sintel"))}
            if train:
                scenes |= {path.name for path in subfolders(folder / "flow")}
            for scene in sorted(scenes):
                name = f"{one_pass}/{scene}"
                frames = numbered_files(folder / one_pass / scene, r"frame_(\d{4})\.png")
                flows = numbered_files(folder / "flow" / scene, r"frame_(\d{4})\.flo")
                pairs, lacking = pair_frames(name, frames, flows if train else None)
                problems += lacking
                for number, *paths in pairs:
                    masks = _sintel_masks(folder, scene, number, exclude_invalid)
                    files.append(FlowFiles(f"{name}/frame_{number:04d}", *paths, *masks))
        check_complete("Sintel", folder, files, problems)
        super().__init__(root, files)


def _sintel_masks(folder, scene, number, exclude_invalid):
    mask = Path(scene, f"frame_{number:04d}.png")
    occlusion, invalid = folder / "occlusions" / mask, folder / "invalid" / mask
    if exclude_invalid and not invalid.is_file():
        raise FileNotFoundError(f"exclude_invalid=True needs Sintel's mask. Received: no {invalid}")
    return occlusion if occlusion.is_file() else None, invalid if exclude_invalid else None
