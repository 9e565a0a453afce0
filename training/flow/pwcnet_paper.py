"""Trains PWC-Net as its paper does: S_long on FlyingChairs, then S_fine on FlyingThings3D.

    python training/flow/pwcnet_paper.py --chairs FlyingChairs_release --out runs/pwcnet_paper
    python training/flow/pwcnet_paper.py --things FlyingThings3D --out runs/pwcnet_paper

The second command continues from the first one's weights. Each resumes where it stopped; `--tiny`
rehearses both schedules in a minute or two on data that it writes itself. Held-out pairs are
watched on the way: of FlyingChairs its `val` split, of FlyingThings3D a few hundred pairs of its
`TEST` folder, which has to be there. Source: arXiv 1709.02371, section 4; augmentation and solver
as in the released training definition.
"""

import argparse
import itertools
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from training.common.runs import run_paper_stage

STEPS_PER_EPOCH = 1000
VALIDATE_EVERY = 10  # epochs
HELD_OUT_PAIRS = 640  # as many as FlyingChairs' own split has


@dataclass(frozen=True)
class Schedule:
    """One of the paper's two stretches of training."""

    name: str
    dataset: str
    steps: int
    batch_size: int
    crop: tuple


LONG = Schedule("S_long", "flying_chairs", 1_200_000, 8, (384, 448))
FINE = Schedule("S_fine", "flying_things3d", 500_000, 4, (384, 768))


def main(argv=None):
    """Run one schedule; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chairs", help="FlyingChairs_release: run S_long")
    parser.add_argument("--things", help="FlyingThings3D: run S_fine from S_long's weights")
    parser.add_argument("--variant", default="paper", help="of PWCNet (default paper)")
    parser.add_argument("--out", default="runs/pwcnet_paper", help="folder of the run")
    parser.add_argument("--tiny", action="store_true", help="rehearse both in a minute or two")
    arguments = parser.parse_args(argv)
    if arguments.tiny:
        return rehearse(Path(f"{arguments.out}_tiny"))
    if bool(arguments.chairs) == bool(arguments.things):
        parser.error("give either --chairs or --things")
    schedule = LONG if arguments.chairs else FINE
    root = arguments.chairs or arguments.things
    return train(schedule, root, arguments.variant, Path(arguments.out), STEPS_PER_EPOCH)


def rehearse(out):
    """Run both schedules with everything small; returns the model of the second."""
    with tempfile.TemporaryDirectory() as folder:
        for schedule, write in ((LONG, write_tiny_chairs), (FINE, write_tiny_things)):
            root = Path(folder) / schedule.name
            root.mkdir()
            write(root)
            tiny = replace(schedule, steps=4, batch_size=2, crop=(64, 128))
            model = train(tiny, root, "lite", out, steps_per_epoch=2)
    return model


def train(schedule, root, variant, out, steps_per_epoch):
    """Run or resume one schedule; returns the model."""
    import keras

    from c2f_zoo import PWCNet
    from c2f_zoo.data import FlowAugmentation, FlowStream, open_flow_dataset
    from c2f_zoo.training import (
        FlowPictures,
        Halving,
    )

    out.mkdir(parents=True, exist_ok=True)
    model = PWCNet(variant)
    is_long = schedule.name == "S_long"
    before = out / "S_long.weights.h5"
    if not is_long:
        model.load_weights(before)
    model.compile(optimizer=keras.optimizers.Adam(Halving.long() if is_long else Halving.fine()))

    options = {} if is_long else {"pass_name": "both"}
    dataset = open_flow_dataset(schedule.dataset, root, split="train", **options)
    held_out = open_flow_dataset(
        schedule.dataset, root, split="val" if is_long else "test", **options
    )
    held_out = held_out[:: max(1, len(held_out) // HELD_OUT_PAIRS)]
    # Whole frames, of one size in both sets: the augmentation crops. The rate follows the steps
    # alone, so that what was held out decides nothing.
    frames = FlowStream(dataset, batch_size=schedule.batch_size)
    validation = FlowStream(
        held_out, batch_size=schedule.batch_size, shuffle=False, drop_remainder=False
    )
    make = FlowAugmentation.chairs if is_long else FlowAugmentation.things
    stream = Steps(make(size=schedule.crop).map(frames), steps_per_epoch)
    epochs = schedule.steps // steps_per_epoch
    return run_paper_stage(
        model,
        stream,
        epochs,
        out,
        schedule.name,
        FlowPictures(out / "pictures" / schedule.name, validation[0]),
        validation_data=validation,
        validation_freq=min(VALIDATE_EVERY, epochs),
    )


def Steps(stream, steps):
    """Epochs of `steps` batches over a stream, whatever the length of its own epochs."""
    import keras

    class Counted(keras.utils.PyDataset):
        epoch = 0

        def __len__(self):
            return steps

        def __getitem__(self, index):
            epoch, position = divmod(self.epoch * steps + index, stream.num_batches)
            stream.epoch = stream.stream.epoch = epoch
            return stream[position]

    return Counted()


def tiny_pairs(count):
    """Rendered pairs as numpy arrays: images (count, 96, 160, 3) twice, flow."""
    import keras

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.data import Scenes

    (image1, image2), flow = Scenes(size=(96, 160), batch_size=count, layers=(1, 2)).batch(0)
    return keras.tree.map_structure(to_numpy, (image1, image2, flow))


def write_tiny_things(root):
    """Write FlyingThings3D's layout: a scene of three frames in each folder, both passes."""
    from c2f_zoo.data import save_image, write_pfm

    frames, _, flow = tiny_pairs(3)
    for part, camera in itertools.product(("TRAIN", "TEST"), ("left", "right")):
        scene = Path(part) / "A" / "0000"
        for one_pass in ("clean", "final"):
            folder = root / f"frames_{one_pass}pass" / scene / camera
            folder.mkdir(parents=True)
            for index, frame in enumerate(frames):
                save_image(folder / f"{index + 6:04d}.png", frame)
        for direction in ("future", "past"):
            folder = root / "optical_flow" / scene / f"into_{direction}" / camera
            folder.mkdir(parents=True)
            for index, field in enumerate(flow):
                stem = f"OpticalFlowInto{direction.title()}_{index + 6:04d}_{camera[0].upper()}"
                write_pfm(folder / f"{stem}.pfm", np.dstack([field, 0 * field[..., :1]]))


def write_tiny_chairs(folder):
    """Write eight rendered pairs in FlyingChairs' layout, the last two held out."""
    from c2f_zoo.data import save_image, write_flo

    image1, image2, flow = tiny_pairs(8)
    (folder / "data").mkdir()
    for index in range(8):
        stem = folder / "data" / f"{index + 1:05d}"
        save_image(f"{stem}_img1.ppm", image1[index])
        save_image(f"{stem}_img2.ppm", image2[index])
        write_flo(f"{stem}_flow.flo", flow[index])
    (folder / "FlyingChairs_train_val.txt").write_text("1\n" * 6 + "2\n" * 2)


if __name__ == "__main__":
    main()
