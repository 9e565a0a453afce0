"""Parts of all flow data sets: decoding on demand, slicing, and naming missing files."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from c2f_zoo import checks
from c2f_zoo.data.file_dataset import FileDataset
from c2f_zoo.data.files.flow import read_flow
from c2f_zoo.data.files.images import check_same_size, load_image

_MOST_LISTED = 8


class FlowSample(NamedTuple):
    """Two frames and the motion between them.

    Attributes:
        image1: float32 array (H, W, 3), RGB in [0, 1], the earlier frame (the later one where a
            data set gives flow into the past).
        image2: float32 array (H, W, 3), the frame that `flow` leads to.
        flow: float32 array (H, W, 2), pixels, u right and v down, of image 1 towards image 2; 0
            where unknown. None in a test split, whose ground truth is withheld.
        valid: float32 array (H, W, 1), 1 where the flow is known. None where `flow` is.
        occlusion: float32 array (H, W, 1), 1 where a pixel of image 1 is hidden in image 2. None
            where the data set does not say.
        name: What identifies the sample within its data set.
    """

    image1: np.ndarray
    image2: np.ndarray
    flow: np.ndarray | None = None
    valid: np.ndarray | None = None
    occlusion: np.ndarray | None = None
    name: str = ""


class FlowFiles(NamedTuple):
    """The files of one sample, None for those that it lacks.

    Attributes:
        name: What identifies the sample within its data set.
        image1: Path of the first frame.
        image2: Path of the second frame.
        flow: Path of the flow file.
        occlusion: Path of an 8-bit mask, nonzero where occluded; on KITTI the flow file of the
            non-occluded pixels.
        invalid: Path of an 8-bit mask, nonzero where the flow should not be trusted.
    """

    name: str
    image1: Path
    image2: Path
    flow: Path | None = None
    occlusion: Path | None = None
    invalid: Path | None = None


class FlowDataset(FileDataset):
    """A sequence of flow samples that are decoded when they are asked for.

    `len(dataset)` counts the samples; `dataset[i]` decodes one, a `FlowSample` of float32 arrays
    (images (H, W, 3) in [0, 1], flow (H, W, 2) in pixels, masks (H, W, 1)); `dataset[a:b]` is a
    data set of fewer samples, and decodes nothing. It can be pickled and read from many threads.

    Args:
        root: Folder the data set was found in, for messages.
        files: The files of each sample, a sequence of `FlowFiles`.

    Example:
        >>> import tempfile
        >>> from c2f_zoo.data.files.images import save_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.png", "b.png"):
        ...     save_image(folder / name, np.zeros((4, 6, 3)))
        >>> dataset = FlowDataset(folder, [FlowFiles("ab", folder / "a.png", folder / "b.png")])
        >>> len(dataset), dataset.names, dataset[0].image1.shape
        (1, ('ab',), (4, 6, 3))
    """

    @property
    def has_flow(self):
        """Whether every sample comes with its flow (H, W, 2); False for a test split."""
        return all(files.flow is not None for files in self.files)

    def _decode(self, files):
        image1, image2 = load_image(files.image1), load_image(files.image2)
        check_same_size(image1, image2, (str(files.image1), str(files.image2)))
        if files.flow is None:
            return FlowSample(image1, image2, name=files.name)
        flow, valid = read_flow(files.flow)
        check_same_size(image1, flow, (str(files.image1), str(files.flow)))
        if files.invalid is not None:
            valid = valid * (1 - _read_mask(files.invalid, flow))
        occlusion = self._read_occlusion(files, flow, valid)
        return FlowSample(image1, image2, flow, valid, occlusion, files.name)

    def _read_occlusion(self, files, flow, valid):
        return None if files.occlusion is None else _read_mask(files.occlusion, flow)


def _read_mask(path, flow):
    mask = (load_image(path)[..., :1] > 0).astype(np.float32)
    check_same_size(mask, flow, (str(path), "its flow"))
    return mask


def either(name, value, choices):
    """Return an option as a tuple: all `choices` if it is "both", else itself alone."""
    checks.one_of(name, value, (*choices, "both"))
    return choices if value == "both" else (value,)


def find_folder(root, candidates, dataset):
    """Find the first of `candidates`, paths relative to `root`, that is a folder."""
    root = Path(root).expanduser()
    if not root.exists():
        raise FileNotFoundError(f"The folder of {dataset} does not exist. Received: {root}")
    if not root.is_dir():
        raise NotADirectoryError(f"{dataset} must be a folder, not a file. Received: {root}")
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    expected = " or ".join(str(root / candidate) for candidate in candidates)
    raise FileNotFoundError(
        f"This is not the layout of {dataset}: expected the folder {expected}. "
        f"Received: {root} {_contents(root)}"
    )


def split_folder(root, split, inside, dataset):
    """Find a release's folder of a split, which holds the folder `inside`; `root` may be either."""
    train, test = ("training",), ("testing", "test")
    names, others = (train, test) if split == "train" else (test, train)
    candidates = [f"{name}/{inside}" for name in names]
    # The folder of the other split looks alike inside and must not pass for this one.
    if Path(root).expanduser().resolve().name not in others:
        candidates.append(inside)
    return find_folder(root, candidates, dataset).parents[inside.count("/")]


def numbered_files(folder, pattern):
    """Index the files of a folder, which may be missing, by the number in their names, sorted.

    `pattern` is a regular expression of the whole name, whose first group is the number.
    """
    if not folder.is_dir():
        return {}
    matches = (re.fullmatch(pattern, path.name) for path in folder.iterdir())
    return dict(sorted((int(match[1]), folder / match[0]) for match in matches if match))


def join_parts(parts, digits, numbers=None):
    """Join the files of each number to samples: tuples (number as text, file of each part).

    `parts` holds dicts from number to file by pattern, such as "*_img1.ppm". Also returns a
    sentence for each number that lacks a file.
    """
    samples, problems = [], []
    for number in sorted(set().union(*parts.values())) if numbers is None else numbers:
        text = f"{number:0{digits}d}"
        lacking = [what.replace("*", text) for what, found in parts.items() if number not in found]
        if lacking:
            problems.append(f"{text} lacks {' and '.join(lacking)}")
        else:
            samples.append((text, *(found[number] for found in parts.values())))
    return samples, problems


def subfolders(folder):
    """List the folders inside a folder, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.is_dir())


def check_complete(dataset, root, files, problems):
    """Raise FileNotFoundError if there are problems (a sentence for each sample) or no files."""
    if problems:
        listed = "; ".join(problems[:_MOST_LISTED])
        more = len(problems) - _MOST_LISTED
        raise FileNotFoundError(
            f"{dataset} in {root} has files without their partners. Received: {len(problems)} "
            f"incomplete samples: {listed}{f'; and {more} more' if more > 0 else ''}"
        )
    if not files:
        raise FileNotFoundError(
            f"No samples of {dataset} were found. Received: {root} {_contents(Path(root))}"
        )


def pair_frames(name, frames, flows, step=1, open_end=False, dense=True):
    """Pair consecutive frames of one sequence with the flow between them.

    Args:
        name: Name of the sequence, the prefix of the problems.
        frames: dict from frame number to `Path`.
        flows: dict from the number of the frame where a flow starts to `Path`, or None.
        step: Number of the second frame less that of the first: 1, or -1 for flow into the past.
        open_end: Whether to pass over a flow of the last frame, which leads out of the sequence.
        dense: Whether every two consecutive frames must have a flow (default), rather than only
            every flow its two frames.

    Returns:
        Two lists: tuples (number, first frame, second frame, flow or None), and a sentence for
        each pair of which a file is missing.
    """
    starts = set(flows or ())
    if flows is None or dense:
        starts |= {number for number in frames if number + step in frames}
    if open_end and frames:
        starts.discard(max(frames) if step > 0 else min(frames))
    pairs, problems = [], []
    for number in sorted(starts):
        lacking = [f"frame {n}" for n in (number, number + step) if n not in frames]
        if flows is not None and number not in flows:
            lacking.append("its flow")
        if lacking:
            problems.append(f"{name}: the pair at frame {number} lacks {' and '.join(lacking)}")
        else:
            flow = None if flows is None else flows[number]
            pairs.append((number, frames[number], frames[number + step], flow))
    return pairs, problems


def _contents(folder):
    found = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if not found:
        return "which is empty"
    more = f" and {len(found) - _MOST_LISTED} more" if len(found) > _MOST_LISTED else ""
    return f"which holds {', '.join(found[:_MOST_LISTED])}{more}"
