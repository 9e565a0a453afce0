"""Trains PSMNet as its paper does: Scene Flow, then fine-tuning on KITTI.

    python training/stereo/psmnet_paper.py scene_flow SceneFlow --out runs/psmnet
    python training/stereo/psmnet_paper.py kitti2015 KITTI-2015 --out runs/psmnet
    python training/stereo/psmnet_paper.py kitti2012 KITTI-2012 --out runs/psmnet

The second and the third command continue from the weights of the first, and each resumes where it
stopped; `--tiny` rehearses the first two in a few minutes on data that it writes itself. All
training pairs of KITTI are trained on, as for the entry in its table. Not yet run to the end.
Source: arXiv 1803.08669, section 4.1, and its released code.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.common.runs import run_paper_stage


@dataclass(frozen=True)
class Stage:
    """One of the paper's stretches of training."""

    before: str | None  # the stage whose weights it starts from
    epochs: int
    rates: tuple  # learning rate as (first epoch, rate)
    limited: bool  # whether the loss leaves out what lies beyond the range of disparities
    batch_size: int = 12
    crop: tuple = (256, 512)
    max_disparity: int = 192


KITTI = Stage("scene_flow", 300, ((0, 1e-3), (200, 1e-4)), limited=False)
STAGES = {
    "scene_flow": Stage(None, 10, ((0, 1e-3),), limited=True),
    "kitti2012": KITTI,
    "kitti2015": KITTI,
}


def main(argv=None):
    """Run one stage; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", nargs="?", choices=tuple(STAGES), help="which stretch to run")
    parser.add_argument("root", nargs="?", help="folder of its data set")
    parser.add_argument(
        "--variant",
        default="stacked_hourglass",
        choices=("stacked_hourglass", "basic"),
        help="of PSMNet",
    )
    parser.add_argument("--out", default="runs/psmnet_paper", help="folder of the run")
    parser.add_argument("--tiny", action="store_true", help="rehearse two stages")
    arguments = parser.parse_args(argv)
    if arguments.tiny:
        return rehearse(Path(f"{arguments.out}_tiny"))
    if arguments.root is None:
        parser.error("give a stage and the folder of its data set")
    stage = STAGES[arguments.stage]
    return train(arguments.stage, stage, arguments.root, arguments.variant, Path(arguments.out))


def rehearse(out):
    """Run two stages with everything small; returns the model of the second."""
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("scene_flow", write_tiny_scene_flow), ("kitti2015", write_tiny_kitti)):
            root = Path(folder) / name
            write(root)
            rates = STAGES[name].rates[:1] + ((1, 1e-4),)
            tiny = replace(
                STAGES[name], epochs=2, rates=rates, batch_size=2, crop=(32, 48), max_disparity=16
            )
            model = train(name, tiny, root, "basic", out)
    return model


def build(stage, variant, out, steps_per_epoch):
    """The compiled network of a stage, with the weights of the stage before."""
    import keras

    from c2f_zoo import PSMNet
    from c2f_zoo.losses import MultilevelSmoothL1

    model = PSMNet(variant, max_disparity=stage.max_disparity)
    if stage.before:
        model.load_weights(out / f"{stage.before}.weights.h5")
    first, rates = zip(*stage.rates, strict=True)
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
        # A boundary belongs to the rate before it.
        [epoch * steps_per_epoch - 1 for epoch in first[1:]],
        list(rates),
    )
    limit = stage.max_disparity if stage.limited else None
    model.compile(
        optimizer=keras.optimizers.Adam(schedule), loss=MultilevelSmoothL1(max_disparity=limit)
    )
    return model


def train(name, stage, root, variant, out):
    """Run or resume one stage; returns the model."""
    from c2f_zoo.data import StereoStream, open_stereo_dataset

    out.mkdir(parents=True, exist_ok=True)
    stream = StereoStream(open_stereo_dataset(name, root), stage.batch_size, stage.crop)
    model = build(stage, variant, out, len(stream))
    return run_paper_stage(model, stream, stage.epochs, out, name)


def tiny_pairs(count):
    """Rendered pairs and their disparities, numpy."""
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.data import StereoScenes

    scenes = StereoScenes((40, 64), count, layers=(1, 2), surfaces=12)
    (left, right), disparity = scenes.batch(0)
    return zip(*map(to_numpy, (left, right, disparity)), strict=True)


def write_tiny_scene_flow(root):
    """Write three pairs in the layout of Scene Flow's FlyingThings3D."""
    from c2f_zoo.data import save_image, write_pfm

    scene = Path("TRAIN") / "A" / "0000"
    for number, (left, right, disparity) in enumerate(tiny_pairs(3)):
        for side, image in (("left", left), ("right", right)):
            folder = root / "frames_cleanpass" / scene / side
            folder.mkdir(parents=True, exist_ok=True)
            save_image(folder / f"{number + 6:04d}.png", image)
        folder = root / "disparity" / scene / "left"
        folder.mkdir(parents=True, exist_ok=True)
        write_pfm(folder / f"{number + 6:04d}.pfm", disparity)


def write_tiny_kitti(root):
    """Write three pairs in KITTI 2015's layout."""
    from c2f_zoo.data import save_image, write_disparity

    for number, (left, right, disparity) in enumerate(tiny_pairs(3)):
        for name, image in (("image_2", left), ("image_3", right)):
            (root / "training" / name).mkdir(parents=True, exist_ok=True)
            save_image(root / "training" / name / f"{number:06d}_10.png", image)
        folder = root / "training" / "disp_occ_0"
        folder.mkdir(parents=True, exist_ok=True)
        write_disparity(folder / f"{number:06d}_10.png", disparity)


if __name__ == "__main__":
    main()
