"""Folders of stereo pairs with ground truth, by name.

Each class reads what its authors publish, unpacked and not renamed. Nothing is downloaded: the
data sets have their own terms.
"""

from pathlib import Path

from c2f_zoo import checks
from c2f_zoo.data.file_dataset import class_named
from c2f_zoo.data.flow.folders import (
    check_complete,
    either,
    find_folder,
    join_parts,
    numbered_files,
    split_folder,
    subfolders,
)
from c2f_zoo.data.stereo.folders import StereoDataset, StereoFiles

# Of each edition of Middlebury the names of left and right image and of their disparity maps, in
# the order in which they are looked for, and the scale of the maps.
MIDDLEBURY_EDITIONS = {
    "2001": ([("im2.ppm", "im6.ppm", "disp2.pgm", "disp6.pgm")], 8),
    "2003": (
        [
            ("im2.png", "im6.png", "disp2.png", "disp6.png"),
            ("imL.png", "imR.png", "disp2.png", "disp6.png"),
            ("im2.ppm", "im6.ppm", "disp2.pgm", "disp6.pgm"),
        ],
        4,
    ),
    "2005": ([("view1.png", "view5.png", "disp1.png", "disp5.png")], 3),
    "2006": ([("view1.png", "view5.png", "disp1.png", "disp5.png")], 3),
    "2014": (
        [
            ("im0.png", "im1.png", "disp0.pfm", "disp1.pfm"),
            ("im0.png", "im1.png", "disp0GT.pfm", "disp1GT.pfm"),
        ],
        None,
    ),
}


def _of_scene(scene, names, has_truth):
    """The files of one scene by their names, and the names of those that are missing."""
    left, right, disparity, other = (scene / name for name in names)
    wanted = [left, right, disparity] if has_truth else [left, right]
    lacking = [path.name for path in wanted if not path.is_file()]
    calibration, visible = scene / "calib.txt", scene / "mask0nocc.png"
    files = StereoFiles(
        scene.name,
        left,
        right,
        disparity if has_truth else None,
        other if has_truth and other.is_file() else None,
        visible if has_truth and visible.is_file() else None,
        calibration if calibration.is_file() else None,
    )
    return files, lacking


class MiddleburyStereo(StereoDataset):
    """Middlebury's stereo scenes of 2001 to 2014, and version 3 of the benchmark.

    Expected, in a folder per scene: 2001 `im2.ppm`, `im6.ppm`, `disp2.pgm`, `disp6.pgm`; 2003 the
    same as png, or `imL.png`, `imR.png`; 2005 and 2006 `view1.png`, `view5.png`, `disp1.png`,
    `disp5.png`; 2014 `im0.png`, `im1.png`, `disp0.pfm`, `disp1.pfm`, `calib.txt`; in version 3
    `disp0GT.pfm` and `mask0nocc.png`. Where both disparity maps are there, and no mask, pixels on
    which they disagree by more than 1 px are occluded.

    Args:
        root: Folder with a folder per scene, such as `MiddEval3/trainingQ`; or one scene's folder.
        edition: "2001", "2003", "2005", "2006" or "2014" (default; version 3 as well).
        split: "train" (default) or "test" (no disparity).
        scale: By what the 8-bit disparities are divided. Default: 8 for 2001, 4 for 2003 (quarter
            size), 3 for 2005 and 2006 (third of the size; half size needs 2, full size 1).

    Raises:
        FileNotFoundError: If the folder has another layout, or scenes are incomplete (named).
        ValueError: If an option is unknown.

    Source: Scharstein and Szeliski, IJCV 2002 and CVPR 2003; Scharstein and Pal, CVPR 2007;
    Hirschmüller and Scharstein, CVPR 2007; Scharstein et al., GCPR 2014.

    Example:
        ```python
        scenes = MiddleburyStereo("MiddEval3/trainingQ")
        ```
    """

    def __init__(self, root, edition="2014", split="train", scale=None):
        checks.one_of("edition", edition, MIDDLEBURY_EDITIONS)
        checks.one_of("split", split, ("train", "test"))
        layouts, default = MIDDLEBURY_EDITIONS[edition]
        title = f"Middlebury {edition}"
        folder = find_folder(root, ["."], title)
        is_scene = any((folder / names[0]).is_file() for names in layouts)
        files, problems = [], []
        for scene in [folder] if is_scene else subfolders(folder):
            found = [_of_scene(scene, names, split == "train") for names in layouts]
            sample, lacking = min(found, key=lambda pair: len(pair[1]))
            if not (sample.left.is_file() or sample.right.is_file()):
                continue  # another folder
            if lacking:
                problems.append(f"{scene.name} lacks {' and '.join(lacking)}")
            else:
                files.append(sample)
        check_complete(title, folder, files, problems)
        super().__init__(root, files, default if scale is None else scale, visible_is_mask=True)


class _KITTIStereo(StereoDataset):
    """Both KITTI benchmarks."""

    def __init__(self, root, split, images, suffix, title):
        checks.one_of("split", split, ("train", "test"))
        folder = split_folder(root, split, images[0], title)
        wanted = {f"{name}/*_10.png": folder / name for name in images}
        if split == "train":
            disparity = f"disp_occ{suffix}"
            wanted[f"{disparity}/*_10.png"] = find_folder(folder, [disparity], title)
        wanted = {what: numbered_files(place, r"(\d{6})_10\.png") for what, place in wanted.items()}
        visible = numbered_files(folder / f"disp_noc{suffix}", r"(\d{6})_10\.png")
        samples, problems = join_parts(wanted, 6)
        files = [
            StereoFiles(f"{number}_10", *paths, visible=visible.get(int(number)))
            for number, *paths in samples
        ]
        check_complete(title, folder, files, problems)
        super().__init__(root, files)


class KITTI2012Stereo(_KITTIStereo):
    """KITTI 2012: 194 training pairs from a car, about 1242x375, sparse disparity.

    Expected: `training/colored_0/000000_10.png` (left), `colored_1` (right), `disp_occ`,
    `disp_noc`; `testing/colored_0`, `colored_1`.

    Args:
        root: Folder of the release, or its `training` or `testing` folder.
        split: "train" (default) or "test" (no disparity).
        colored: Whether to read `colored_0` and `colored_1` (default) rather than the grey
            `image_0` and `image_1`.

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If an option is unknown.

    Source: Geiger, Lenz, Urtasun, "Are we ready for autonomous driving?", CVPR 2012.

    Example:
        ```python
        dataset = KITTI2012Stereo("KITTI-2012", colored=False)
        ```
    """

    def __init__(self, root, split="train", colored=True):
        images = ("colored_0", "colored_1") if colored else ("image_0", "image_1")
        super().__init__(root, split, images, "", "KITTI 2012")


class KITTI2015Stereo(_KITTIStereo):
    """KITTI 2015: 200 training pairs from a car among moving cars, about 1242x375, sparse.

    Expected: `training/image_2/000000_10.png` (left), `image_3` (right), `disp_occ_0`,
    `disp_noc_0`; `testing/image_2`, `image_3`.

    Args:
        root: Folder of the release, or its `training` or `testing` folder.
        split: "train" (default) or "test" (no disparity).

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If `split` is unknown.

    Source: Menze, Geiger, "Object Scene Flow for Autonomous Vehicles", CVPR 2015.

    Example:
        ```python
        sample = KITTI2015Stereo("KITTI-2015")[0]
        visible = sample.valid * (1 - sample.occlusion)  # for the figures called "noc"
        ```
    """

    def __init__(self, root, split="train"):
        super().__init__(root, split, ("image_2", "image_3"), "_0", "KITTI 2015")


class SceneFlow(StereoDataset):
    """Scene Flow: FlyingThings3D, Driving and Monkaa, 39,824 rendered pairs, 960x540, dense.

    Expected, in `root` or in its folders `FlyingThings3D`, `Driving` and `Monkaa`:
    `frames_cleanpass/TRAIN/A/0000/left/0006.png`, the same under `right`, and
    `disparity/TRAIN/A/0000/left/0006.pfm`; Driving and Monkaa have other folders above `left`.

    Args:
        root: Folder of one or all of the three.
        split: "train" (default): what stands under `TRAIN`, and all of Driving and Monkaa; or
            "test": what stands under `TEST`.
        pass_name: "clean" (default), "final" (with motion blur and defocus) or "both".

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If an option is unknown.

    Source: Mayer et al., "A Large Dataset to Train Convolutional Networks for Disparity, Optical
    Flow, and Scene Flow Estimation", CVPR 2016.

    Example:
        ```python
        dataset = SceneFlow("SceneFlow", split="test")
        ```
    """

    def __init__(self, root, split="train", pass_name="clean"):
        checks.one_of("split", split, ("train", "test"))
        passes = either("pass_name", pass_name, ("clean", "final"))
        folder = find_folder(root, ["."], "Scene Flow")
        parts = [folder / name for name in ("FlyingThings3D", "Driving", "Monkaa")]
        parts = [part for part in parts if part.is_dir()] or [folder]
        files, problems = [], []
        for part in parts:
            for one_pass in passes:
                frames = find_folder(part, [f"frames_{one_pass}pass"], "Scene Flow")
                found, lacking = _scene_flow_files(part, frames, split)
                prefix = "" if part == folder else f"{part.name}/"
                for sample in found:
                    files.append(sample._replace(name=f"{prefix}{one_pass}/{sample.name}"))
                problems += lacking
        check_complete("Scene Flow", folder, files, problems)
        super().__init__(root, files)


def _scene_flow_files(part, frames, split):
    """Samples below one folder of frames, and a sentence for each incomplete one."""
    files, problems = [], []
    other = {"train": "TEST", "test": "TRAIN"}[split]
    for left in sorted(frames.glob("**/left/*.png")):
        place = left.relative_to(frames)
        is_tested = place.parts[0] in ("TRAIN", "TEST")  # Driving and Monkaa are training data
        if place.parts[0] == other or (split == "test" and not is_tested):
            continue
        right = left.parents[1] / "right" / left.name
        disparity = part / "disparity" / place.with_suffix(".pfm")
        lacking = [str(path.relative_to(part)) for path in (right, disparity) if not path.is_file()]
        if lacking:
            problems.append(f"{place.as_posix()} lacks {' and '.join(lacking)}")
        else:
            name = (place.parents[1] / place.stem).as_posix()
            files.append(StereoFiles(name, left, right, disparity))
    return files, problems


class ETH3D(StereoDataset):
    """ETH3D's two-view benchmark: 27 training pairs of grey images, about 940x490, semi-dense.

    Expected: `two_view_training/delivery_area_1l/im0.png`, `im1.png`, `calib.txt`, and in the same
    folder or in `two_view_training_gt/delivery_area_1l` `disp0GT.pfm` and `mask0nocc.png`;
    `two_view_test` for the test split.

    Args:
        root: Folder with `two_view_training` (or `two_view_test`).
        split: "train" (default) or "test" (no disparity).

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If `split` is unknown.

    Source: Schöps et al., "A Multi-View Stereo Benchmark with High-Resolution Images and
    Multi-Camera Videos", CVPR 2017.

    Example:
        ```python
        dataset = ETH3D("eth3d")
        ```
    """

    def __init__(self, root, split="train"):
        checks.one_of("split", split, ("train", "test"))
        name = "two_view_training" if split == "train" else "two_view_test"
        images = find_folder(root, [name], "ETH3D")
        truths = images.with_name(f"{name}_gt")
        files, problems = [], []
        for scene in subfolders(images):
            names = ("im0.png", "im1.png", "disp0GT.pfm", "disp1GT.pfm")
            sample, lacking = _of_scene(scene, names, split == "train")
            truth = truths / scene.name
            if "disp0GT.pfm" in lacking and (truth / "disp0GT.pfm").is_file():
                lacking.remove("disp0GT.pfm")
                mask = truth / "mask0nocc.png"
                sample = sample._replace(
                    disparity=truth / "disp0GT.pfm", visible=mask if mask.is_file() else None
                )
            if lacking:
                problems.append(f"{scene.name} lacks {' and '.join(lacking)}")
            else:
                files.append(sample)
        check_complete("ETH3D", Path(root), files, problems)
        super().__init__(root, files, visible_is_mask=True)


STEREO_DATASETS = {
    "middlebury": MiddleburyStereo,
    "kitti2012": KITTI2012Stereo,
    "kitti2015": KITTI2015Stereo,
    "scene_flow": SceneFlow,
    "eth3d": ETH3D,
}


def open_stereo_dataset(name, root, **options):
    """Open a folder of stereo pairs by the name of its data set.

    Args:
        name: A key of `STEREO_DATASETS`; case, `-`, `_` and spaces do not matter.
        root: Folder of the release.
        **options: Options of the data set's class, such as `split="test"`.

    Returns:
        A `StereoDataset`, a sequence of `StereoSample` (images (H, W, 3), disparity (H, W, 1)).

    Raises:
        ValueError: If there is no data set of this name; the message lists all.
        FileNotFoundError: If the folder does not exist or has another layout.

    Example:
        ```python
        dataset = open_stereo_dataset("middlebury", "2006", edition="2006")
        ```
    """
    return class_named(name, STEREO_DATASETS)(root, **options)
