"""Trains RAFT as its paper does: FlyingChairs, FlyingThings3D, Sintel, KITTI.

    python training/flow/raft_paper.py chairs FlyingChairs_release --out runs/raft
    python training/flow/raft_paper.py things FlyingThings3D --out runs/raft
    python training/flow/raft_paper.py sintel MPI-Sintel-complete --out runs/raft
    python training/flow/raft_paper.py kitti KITTI-2015 --out runs/raft

Each command continues from the weights of the one before, and resumes where it stopped; `--tiny`
rehearses the first two in a few minutes on data that it writes itself. The third stage of the paper
mixes Sintel with KITTI, HD1K and FlyingThings3D; here it is Sintel alone, so that its figures are
not comparable. Not yet run to the end. Source: arXiv 2003.12039, section 4, and its released code.
"""

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.common.runs import run_paper_stage
from training.flow.pwcnet_paper import STEPS_PER_EPOCH, Steps, write_tiny_chairs, write_tiny_things


@dataclass(frozen=True)
class Stage:
    """One of the paper's stretches of training."""

    dataset: str
    before: str | None  # the stage whose weights it starts from
    steps: int
    batch_size: int
    rate: float
    crop: tuple
    weight_decay: float
    gamma: float
    split: str = "train"
    pass_name: str | None = None


STAGES = {
    "chairs": Stage("flying_chairs", None, 100_000, 10, 4e-4, (368, 496), 1e-4, 0.8),
    "things": Stage(
        "flying_things3d", "chairs", 100_000, 6, 1.25e-4, (400, 720), 1e-4, 0.8, pass_name="both"
    ),
    "sintel": Stage(
        "sintel", "things", 100_000, 6, 1.25e-4, (368, 768), 1e-5, 0.85, pass_name="both"
    ),
    "kitti": Stage("kitti2015", "sintel", 50_000, 6, 1e-4, (288, 960), 1e-5, 0.85),
}


def main(argv=None):
    """Run one stage; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", nargs="?", choices=tuple(STAGES), help="which stretch to run")
    parser.add_argument("root", nargs="?", help="folder of its data set")
    parser.add_argument("--variant", default="large", choices=("large", "small"), help="of RAFT")
    parser.add_argument("--out", default="runs/raft_paper", help="folder of the run")
    parser.add_argument("--tiny", action="store_true", help="rehearse two stages")
    arguments = parser.parse_args(argv)
    if arguments.tiny:
        return rehearse(Path(f"{arguments.out}_tiny"))
    if arguments.root is None:
        parser.error("give a stage and the folder of its data set")
    stage = STAGES[arguments.stage]
    return train(arguments.stage, stage, arguments.root, arguments.variant, Path(arguments.out))


def rehearse(out):
    """Run the first two stages with everything small; returns the model of the second."""
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("chairs", write_tiny_chairs), ("things", write_tiny_things)):
            root = Path(folder) / name
            root.mkdir()
            write(root)
            tiny = replace(STAGES[name], steps=2, batch_size=2, crop=(64, 64))
            model = train(name, tiny, root, "small", out, steps_per_epoch=1, iterations=2)
    return model


def build(stage, variant, out, iterations):
    """The compiled network of a stage, with the weights of the stage before."""
    from c2f_zoo import RAFT
    from c2f_zoo.losses import SequenceLoss
    from c2f_zoo.training import ClippedAdamW, OneCycle

    # Statistics of the batches are learned on FlyingChairs alone.
    model = RAFT(variant, iterations=iterations, freeze_batch_norm=stage.before is not None)
    if stage.before:
        model.load_weights(out / f"{stage.before}.weights.h5")
    rate = OneCycle(stage.rate, stage.steps + 100)
    model.compile(
        optimizer=ClippedAdamW(rate, weight_decay=stage.weight_decay, epsilon=1e-8, clip_norm=1.0),
        loss=SequenceLoss(gamma=stage.gamma),
    )
    return model


def train(name, stage, root, variant, out, steps_per_epoch=STEPS_PER_EPOCH, iterations=12):
    """Run or resume one stage; returns the model."""
    from c2f_zoo.data import FlowAugmentation, FlowStream, open_flow_dataset

    out.mkdir(parents=True, exist_ok=True)
    model = build(stage, variant, out, iterations)
    options = {"pass_name": stage.pass_name} if stage.pass_name else {}
    if name in ("chairs", "things"):
        options["split"] = stage.split
    dataset = open_flow_dataset(stage.dataset, root, **options)
    frames = FlowStream(dataset, batch_size=stage.batch_size)
    augmentation = FlowAugmentation.raft(name, size=stage.crop)
    stream = Steps(augmentation.map(frames), steps_per_epoch)
    return run_paper_stage(model, stream, stage.steps // steps_per_epoch, out, name)


if __name__ == "__main__":
    main()
