"""What `multiscale.py` runs: data, degradations, networks, training and output."""

from dataclasses import dataclass, replace
from pathlib import Path

TASKS = ("denoising", "deblurring", "inpainting", "superresolution")
MODES = ("single", "multiscale", "fullmultiscale")
NETWORKS = ("unet", "resnet", "paraconv")

# Splits to train on and to validate on. Other data sets, Urban100 too, have one split, of which
# every tenth image is held out.
SPLITS = {
    "cifar10": ("train", "test"),
    "stl10": ("train+unlabeled", "test"),
    "celeba": ("train", "validation"),
    "div2k": ("train", "validation"),
}
HELD_OUT = 10
# All runs are validated on the same images with the same noise, whatever their seeds.
VALIDATION_SEED = 987_654


@dataclass(frozen=True)
class RestorationRecipe:
    """Settings of a run, except for the files of its data set."""

    task: str
    mode: str
    network: str
    dataset: str
    run_id: int
    seed: int
    size: int
    is_patch: bool  # cut from the images instead of resizing them
    num_patches: int
    interpolation: str
    levels: int
    batch_size: int
    batch_factor: float
    iterations: tuple  # of each stage
    learning_rate: float
    validate_every: int
    validation_samples: int
    is_small: bool = False  # a rehearsal's network

    @property
    def name(self):
        return f"{self.task}_{self.dataset}_{self.network}_{self.mode}_run{self.run_id}"

    @property
    def enlarges(self):
        return self.task == "superresolution"

    @property
    def total(self):
        return sum(self.iterations)

    @property
    def has_ssim(self):
        return self.task in ("inpainting", "superresolution")

    def check(self):
        """Raise a ValueError for settings that cannot be trained."""
        if (self.network == "paraconv") > self.enlarges or (
            self.network == "unet" and self.enlarges
        ):
            fitting = "resnet or paraconv" if self.enlarges else "unet or resnet"
            raise ValueError(
                f"--network must be {fitting} for {self.task}. Received: {self.network}"
            )
        levels = self.levels if self.mode != "single" else 0
        divisor = 2**levels * (2 if self.enlarges else 1)
        if self.size % divisor or self.size < divisor:
            raise ValueError(
                f"--size, or --patch, must be divisible by {divisor}, for the coarsest mesh. "
                f"Received: {self.size}"
            )

    def schedule(self):
        """The `MultilevelSchedule`."""
        from c2f_zoo.training import MultilevelSchedule

        if self.mode == "single":
            return MultilevelSchedule.single(self.batch_size, self.total)
        if self.mode == "multiscale":
            return MultilevelSchedule.multiscale(
                self.levels, self.batch_size, self.batch_factor, self.total
            )
        sizes = [self.batch_size * 2 ** (self.levels - stage) for stage in range(self.levels + 1)]
        return MultilevelSchedule.full_multiscale(
            self.levels, self.iterations, sizes, self.batch_factor
        )

    def tiny(self):
        """The same run with everything small: a rehearsal."""
        return replace(
            self,
            size=32,
            levels=1,
            batch_size=2,
            iterations=(4, 2) if self.mode == "fullmultiscale" else (6,),
            validate_every=3,
            validation_samples=4,
            is_small=True,
        )


def default_steps(mode, levels):
    """The paper's steps of each stage; each further stage has half as many."""
    if mode == "fullmultiscale":
        return tuple(max(1, 2000 >> stage) for stage in range(levels + 1))
    return (8000,)


def train(recipe, out, data=None, tiny=False, minutes=None, skip_broken=False):
    """Run or resume a recipe; return the trained network."""
    from c2f_zoo.backend import to_numpy
    from c2f_zoo.training import TrainingState
    from training.common.runs import remember

    remember(recipe, out)
    training = build(recipe)
    state = TrainingState(out / "state.npz", every=recipe.validate_every)
    done = state.restore(training)
    images, held_out = images_of(recipe, data, tiny, skip_broken)
    validation = validation_arrays(recipe, held_out)
    if done < recipe.total:
        fit(recipe, training, images, validation, done, out, state, minutes)
    if to_numpy(training.steps) < recipe.total:
        print(f"Stopped. The same command resumes from {state.path}")
        return training.model
    from c2f_zoo.hub import load
    from training.restoration.multiscale_pictures import draw_curves, draw_strip

    draw_strip(load(str(out / recipe.name)), validation, out / "strip.png")
    draw_curves(out / "train.csv", out / "validation.csv", recipe.name, out / "curves.png")
    print(f"Wrote {out / recipe.name}")
    return training.model


def build(recipe):
    """The compiled `Multilevel` of a recipe, with initial weights."""
    import keras

    from c2f_zoo.losses import SSIMLoss
    from c2f_zoo.metrics import PSNR
    from c2f_zoo.training import Multilevel

    keras.utils.set_random_seed(recipe.seed)
    training = Multilevel(
        network_of(recipe),
        schedule=recipe.schedule(),
        # The released code subsamples to keep the level of noise, but interpolates here.
        restriction="bilinear" if recipe.enlarges else "subsample",
        prepare=prepare_by(degradation_of(recipe)),
        seed=recipe.seed,
    )
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate, recipe.total, alpha=1e-6 / recipe.learning_rate
    )
    training.compile(
        keras.optimizers.Adam(rate),
        SSIMLoss("zero", offset=0) if recipe.enlarges else keras.losses.MeanSquaredError(),
        metrics=[PSNR(), *([any_size_ssim()] if recipe.has_ssim else [])],
    )
    return training


def network_of(recipe):
    """The paper's network, or a small one for a rehearsal."""
    from c2f_zoo.models import MultiscaleUNet, RestorationResNet, SRParaConvNet

    small = recipe.is_small
    if recipe.network == "unet":
        return MultiscaleUNet(16, (1, 2)) if small else MultiscaleUNet()
    if recipe.network == "paraconv":
        return SRParaConvNet(8 if small else 64)
    if recipe.enlarges:
        width, blocks = (8, 1) if small else (100, 9)
        return RestorationResNet(width, blocks, time_embedding=False, scale=2)
    return RestorationResNet(8, 1) if small else RestorationResNet()


def any_size_ssim():
    """SSIM that is NaN for images smaller than its window, such as the coarsest meshes."""
    from keras import ops

    from c2f_zoo.layers.similarity import WINDOW_SIZE
    from c2f_zoo.metrics import SSIM
    from c2f_zoo.metrics.image_quality import ssim

    def measured(y_true, y_pred, channel, border):
        if min(y_true.shape[1:3]) < WINDOW_SIZE:
            return ops.full((ops.shape(y_true)[0],), float("nan"))
        return ssim(y_true, y_pred, channel, border)

    class AnySizeSSIM(SSIM):
        _per_image = staticmethod(measured)

    return AnySizeSSIM(name="ssim")


def degradation_of(recipe):
    """The degradation of the task."""
    from c2f_zoo.data import Downsampling, TimedNoise

    if recipe.enlarges:
        return Downsampling(2, "bilinear", antialias=False)
    return getattr(TimedNoise, recipe.task)(seed=recipe.seed)


class DegradedImages:
    """uint8 images with random numbers, by which `prepare_by` degrades them on the device."""

    def __init__(self, images, degradation):
        self.images, self.degradation = images, degradation

    def __len__(self):
        return len(self.images)

    def samples(self, indices, random):
        """A batch for `MultilevelStream`."""
        images = self.images.samples(indices, random)
        # The degradation depends on a sample's number, which must not repeat.
        numbers = random.integers(1 << 62, size=len(images))
        drawn = self.degradation.draw(len(images), images.shape[1:3], numbers)
        return ((images, drawn),) if drawn else (images,)


def prepare_by(degradation):
    """The `prepare` of `Multilevel`: degraded inputs, and the images as targets."""
    from keras import ops

    def prepare(x, y, sample_weight, seed_generator):
        images, numbers = x if isinstance(x, (tuple, list)) else (x, {})
        images = ops.cast(images, "float32") / 255.0
        return degradation.apply(images, numbers), images

    return prepare


def images_of(recipe, data, tiny, skip_broken=False):
    """The `ImageDataset`s to train on and to validate on."""
    import numpy as np

    from c2f_zoo.data import ImageDataset, open_image_dataset

    options = {"dtype": "uint8", "skip_broken": skip_broken}
    if recipe.is_patch:
        options |= {"patch": recipe.size, "patches": recipe.num_patches}
    else:
        options |= {"size": recipe.size, "interpolation": recipe.interpolation}
    if recipe.dataset in SPLITS and not (tiny and data is None):
        parts = SPLITS[recipe.dataset]
        return tuple(open_image_dataset(recipe.dataset, data, part, **options) for part in parts)
    if data is None and tiny:
        noise = np.random.default_rng(0).integers(0, 256, (24, 40, 40, 3)).astype("uint8")
        images = ImageDataset(noise, progress=False, **options)
    else:
        images = open_image_dataset(recipe.dataset, data, **options)
    count = len(images.names)
    if count < 2:
        raise SystemExit(f"At least 2 images are needed. Received: {count}")
    is_held_out = np.arange(count) % HELD_OUT == 0
    return images.subset(~is_held_out), images.subset(is_held_out)


def validation_arrays(recipe, images):
    """Degraded inputs and their targets, numpy arrays that are the same in every run."""
    import keras
    import numpy as np

    from c2f_zoo.backend import to_numpy

    random = np.random.default_rng(VALIDATION_SEED)
    order = random.permutation(len(images))
    chosen = images.samples(order[: recipe.validation_samples], random)
    degradation = degradation_of(replace(recipe, seed=VALIDATION_SEED))
    parts = []
    for first in range(0, len(chosen), 64):
        part = chosen[first : first + 64]
        numbers = np.arange(first, first + len(part))
        parts.append(keras.tree.map_structure(to_numpy, degradation(part, index=numbers)))
    inputs = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
    return inputs, chosen.astype("float32") / np.float32(255)


def fit(recipe, training, images, validation, done, out, state, minutes):
    """Train until all steps are done or training is stopped."""
    from c2f_zoo.training import (
        MultilevelLog,
        MultilevelProgress,
        MultilevelStream,
        StopOnNaN,
        StopOnSignal,
    )
    from training.common.runs import stop_after

    schedule = training.schedule
    source = DegradedImages(images, degradation_of(recipe))
    stream = MultilevelStream(source, schedule, seed=recipe.seed, initial_step=done, prefetch=2)
    every = recipe.validate_every
    with StopOnSignal(state) as stop:
        training.fit(
            stream,
            # An epoch is a step, so that Keras logs the values of the step.
            steps_per_epoch=1,
            initial_epoch=done,
            epochs=recipe.total,
            validation_data=validation,
            validation_batch_size=32,
            validation_freq=[*range(every, recipe.total, every), recipe.total],
            verbose=0,
            callbacks=[
                MultilevelProgress(schedule),
                StopOnNaN(),
                stop,
                MultilevelLog(out / "train.csv", schedule, out / "validation.csv"),
                best_preset(recipe, out),
                *([stop_after(minutes, training)] if minutes else []),
                state,
            ],
        )


def best_preset(recipe, out):
    """A callback that saves the network with the lowest validation loss as a preset."""
    import math
    import re

    import keras

    from c2f_zoo.data import atomic_write

    folder = Path(out) / recipe.name
    record = folder.with_name(f"{recipe.name}.txt")

    class Best(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            found = re.match(r"loss (\S+)", record.read_text()) if record.exists() else None
            best = float(found[1]) if found and folder.exists() else math.inf
            self.best = best if math.isfinite(best) else math.inf

        def on_epoch_end(self, epoch, logs=None):
            loss = (logs or {}).get("val_loss")
            # No NaN, which is not less, and no infinite one, which would stay the best for ever.
            if loss is None or not -math.inf < loss < self.best:
                return
            self.best = float(loss)
            command = f"training/restoration/multiscale.py, {recipe.name}, seed {recipe.seed}"
            about = {"recipe": {"command": command, "steps": epoch + 1}}
            self.model.model.save_pretrained(folder, about)
            with atomic_write(record) as file:
                file.write(f"loss {self.best!r} after {epoch + 1} steps\n".encode())

    return Best()
