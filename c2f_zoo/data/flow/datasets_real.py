"""Filmed data sets of optical flow, in the layouts of their official releases."""

from c2f_zoo import checks
from c2f_zoo.data.files.flow import read_flow
from c2f_zoo.data.files.images import check_same_size
from c2f_zoo.data.flow.folders import (
    FlowDataset,
    FlowFiles,
    check_complete,
    find_folder,
    join_parts,
    numbered_files,
    pair_frames,
    split_folder,
    subfolders,
)


class _KITTI(FlowDataset):
    """Both KITTI benchmarks."""

    def __init__(self, root, split, image_folder, flow, title):
        checks.one_of("split", split, ("train", "test"))
        checks.one_of("flow", flow, ("occ", "noc"))
        folder = split_folder(root, split, image_folder, title)
        images = folder / image_folder
        first = numbered_files(images, r"(\d{6})_10\.png")
        second = numbered_files(images, r"(\d{6})_11\.png")
        wanted = {f"{image_folder}/*_10.png": first, f"{image_folder}/*_11.png": second}
        if split == "train":
            flows = find_folder(folder, [f"flow_{flow}"], title)
            wanted[f"flow_{flow}/*_10.png"] = numbered_files(flows, r"(\d{6})_10\.png")
        visible = numbered_files(folder / "flow_noc", r"(\d{6})_10\.png") if flow == "occ" else {}
        samples, problems = join_parts(wanted, 6)
        files = [
            FlowFiles(f"{number}_10", *paths, occlusion=visible.get(int(number)))
            for number, *paths in samples
        ]
        check_complete(title, folder, files, problems)
        super().__init__(root, files)

    def _read_occlusion(self, files, flow, valid):
        if files.occlusion is None:
            return None
        # flow_noc knows the motion of just those pixels that stay in view.
        _, visible = read_flow(files.occlusion)
        check_same_size(visible, flow, (str(files.occlusion), str(files.flow)))
        return valid * (1 - visible)


class KITTI2012(_KITTI):
    """KITTI 2012: 194 training pairs from a car, about 1242x375, sparse flow of a static world.

    Expected: `training/colored_0/000000_10.png`, `000000_11.png` and
    `training/flow_occ/000000_10.png`; `testing/colored_0`.

    Args:
        root: Folder of the release, or its `training` or `testing` folder.
        split: "train" (default) or "test" (no flow).
        flow: "occ" (default), all pixels that have ground truth, or "noc", without those that
            leave the image. With "occ", samples that have a `flow_noc` file too say which
            pixels are occluded (among those with ground truth).
        colored: Whether to read `colored_0` (default) rather than the grey `image_0`.

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If an option is unknown.

    Source: Geiger, Lenz, Urtasun, "Are we ready for autonomous driving?", CVPR 2012.

    Example:
        ```python
        dataset = KITTI2012("KITTI-2012", flow="noc")
        ```
    """

    def __init__(self, root, split="train", flow="occ", colored=True):
        super().__init__(root, split, "colored_0" if colored else "image_0", flow, "KITTI 2012")


class KITTI2015(_KITTI):
    """KITTI 2015: 200 training pairs from a car among moving cars, about 1242x375, sparse flow.

    Expected: `training/image_2/000000_10.png`, `000000_11.png` and
    `training/flow_occ/000000_10.png`; `testing/image_2`.

    Args:
        root: Folder of the release, or its `training` or `testing` folder.
        split: "train" (default) or "test" (no flow).
        flow: "occ" (default): all known pixels, and which are occluded where there is a `flow_noc`
            file too; or "noc": those that stay in the image.

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If an option is unknown.

    Source: Menze, Geiger, "Object Scene Flow for Autonomous Vehicles", CVPR 2015.

    Example:
        ```python
        sample = KITTI2015("KITTI-2015")[0]
        visible = sample.valid * (1 - sample.occlusion)  # for the figures called "noc"
        ```
    """

    def __init__(self, root, split="train", flow="occ"):
        super().__init__(root, split, "image_2", flow, "KITTI 2015")


class Middlebury(FlowDataset):
    """Middlebury: 8 real and rendered pairs with public ground truth, up to 640x480.

    Expected: `other-data/RubberWhale/frame10.png`, `frame11.png` and
    `other-gt-flow/RubberWhale/flow10.flo`; `eval-data/Army` for the test split.

    Args:
        root: Folder with `other-data` and `other-gt-flow` (or `eval-data`).
        split: "train" (default), the scenes with public ground truth (those of `other-data` without
            a folder in `other-gt-flow` are passed over), or "test", those of `eval-data` (no flow).

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If `split` is unknown.

    Source: Baker et al., "A Database and Evaluation Methodology for Optical Flow", IJCV 2011.

    Example:
        ```python
        frames = [sample.image1 for sample in Middlebury("middlebury", split="test")]
        ```
    """

    def __init__(self, root, split="train"):
        checks.one_of("split", split, ("train", "test"))
        train = split == "train"
        images = find_folder(root, ["other-data" if train else "eval-data"], "Middlebury")
        scenes = find_folder(root, ["other-gt-flow"], "Middlebury") if train else images
        files, problems = [], []
        for scene in (path.name for path in subfolders(scenes)):
            paths = [images / scene / "frame10.png", images / scene / "frame11.png"]
            if train:
                paths.append(scenes / scene / "flow10.flo")
            lacking = [str(path.relative_to(images.parent)) for path in paths if not path.is_file()]
            if lacking:
                problems.append(f"{scene} lacks {' and '.join(lacking)}")
            else:
                files.append(FlowFiles(scene, *paths))
        check_complete("Middlebury", root, files, problems)
        super().__init__(root, files)


class HD1K(FlowDataset):
    """HD1K: about 1,000 pairs from a car, 2560x1080, semi-dense flow.

    Expected: `hd1k_input/image_2/000000_0000.png`, ... and
    `hd1k_flow_gt/flow_occ/000000_0000.png`, ...; `hd1k_challenge/image_2` for the test split.

    Args:
        root: Folder with `hd1k_input` and `hd1k_flow_gt` (or `hd1k_challenge`).
        split: "train" (default), every frame that has both a flow and a successor, or "test"
            (`000000_10.png`, `000000_11.png`; no flow).

    Raises:
        FileNotFoundError: If the folder has another layout, or pairs are incomplete (named).
        ValueError: If `split` is unknown.

    Source: Kondermann et al., "The HCI Benchmark Suite: Stereo and Flow Ground Truth with
    Uncertainties for Urban Autonomous Driving", CVPR workshops 2016.

    Example:
        ```python
        stream = FlowStream(HD1K("HD1K"), batch_size=4, crop_size=(512, 960))
        ```
    """

    def __init__(self, root, split="train"):
        checks.one_of("split", split, ("train", "test"))
        train = split == "train"
        images = find_folder(root, [f"hd1k_{'input' if train else 'challenge'}/image_2"], "HD1K")
        flow_folder = find_folder(root, ["hd1k_flow_gt/flow_occ"], "HD1K") if train else None
        sequences = {path.name.split("_")[0] for path in (flow_folder or images).glob("*_*.png")}
        files, problems = [], []
        for sequence in sorted(sequences):
            pattern = rf"{sequence}_(\d+)\.png"
            frames = numbered_files(images, pattern)
            flows = numbered_files(flow_folder, pattern) if train else None
            pairs, lacking = pair_frames(sequence, frames, flows, open_end=True, dense=False)
            files += [FlowFiles(f"{sequence}_{n:04d}", *paths) for n, *paths in pairs]
            problems += lacking
        check_complete("HD1K", root, files, problems)
        super().__init__(root, files)
