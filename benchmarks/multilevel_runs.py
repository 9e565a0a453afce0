"""The work of one process of `multilevel.py`: train one arm, or measure variances."""

import bisect
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from growth import peak_memory, save  # the file beside this one
from multilevel_results import read

sys.path.insert(0, str(Path(__file__).parents[1]))

from training.restoration.multiscale_training import (
    DegradedImages,
    RestorationRecipe,
    build,
    degradation_of,
    images_of,
    validation_arrays,
)

# Patches per photograph in an epoch, and per held-out photograph for validation.
PATCHES = 40


@dataclass(frozen=True)
class ArmRecipe(RestorationRecipe):
    """A run of `training/restoration/multiscale.py` with custom stages."""

    stages: tuple = ()

    def schedule(self):
        from c2f_zoo.training import MultilevelSchedule

        return MultilevelSchedule(self.stages)

    @property
    def total(self):
        return self.stages[-1].end


def run(options, job):
    """Run one job and write its result."""
    (run_variance if job.arm == "variance" else run_arm)(options, job)


def recipe_of(options, job):
    """Return the recipe of an arm, or that of the single arm for variances."""
    is_cifar = job.dataset == "cifar10"
    return ArmRecipe(
        task=job.task,
        mode="single" if job.arm in ("single", "variance") else "multiscale",
        network="resnet" if job.task == "superresolution" else options.network,
        dataset="cifar10" if is_cifar else "folder",
        run_id=0,
        seed=job.seed,
        size=options.size if is_cifar else options.patch,
        is_patch=not is_cifar,
        num_patches=1 if is_cifar else PATCHES,
        interpolation="bilinear",
        levels=options.levels,
        batch_size=options.batch,
        batch_factor=2.0,
        iterations=(),
        learning_rate=options.learning_rate,
        validate_every=1,
        validation_samples=options.validation,
        is_small=options.tiny,
        stages=stages_of(options, job),
    )


def stages_of(options, job):
    """Return stages of an arm whose work is its share of that of the full single run."""
    from c2f_zoo.training import MultilevelSchedule

    if job.arm == "variance":
        return MultilevelSchedule.single(options.batch, 1).stages
    work, levels = options.steps * options.batch / int(job.share), options.levels
    if job.arm == "fullmultiscale":
        sizes = [options.batch * 2 ** (levels - stage) for stage in range(levels + 1)]
        steps = [2000 / 2**stage for stage in range(levels + 1)]
        paper = MultilevelSchedule.full_multiscale(levels, [round(s) for s in steps], sizes)
        scale = work / float(paper.work(paper.total))
        steps = [max(1, round(scale * s)) for s in steps]
        return MultilevelSchedule.full_multiscale(levels, steps, sizes).stages
    if job.arm == "single":
        sizes = (options.batch,)
    elif job.arm == "multiscale":
        sizes = MultilevelSchedule.multiscale(levels, options.fine_batch).at(0).batch_sizes
    else:
        measured = job._replace(
            arm="variance", share=str(max(options.shares)), seed=options.seeds[0]
        )
        sizes = tuple(read(measured.file(options.out))["measured"][0]["batch_sizes"])
    return stages_with(sizes, work)


def stages_with(sizes, work):
    """Return one stage on the finest mesh with the given batch sizes and amount of work."""
    from c2f_zoo.training import MultilevelSchedule, MultilevelStage

    step = MultilevelStage(0, sizes, 0, None)
    stage = MultilevelStage(0, sizes, 0, max(1, round(work / float(step.work))))
    return MultilevelSchedule([stage]).stages


def open_data(options, recipe):
    path = options.cifar if recipe.dataset == "cifar10" else options.folder
    return images_of(recipe, path, options.tiny, skip_broken=True)


def set_dropout(model, rate):
    """Set the rate of every dropout layer, which does not change the variables."""
    import keras

    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = rate


# Training


def run_arm(options, job):
    """Train one arm, or resume it, and write its results after every evaluation."""
    import keras

    from c2f_zoo.training import MultilevelStream, TrainingState

    recipe = recipe_of(options, job)
    images, held_out = open_data(options, recipe)
    validation = validation_arrays(recipe, held_out)
    training = build(recipe)
    set_dropout(training.model, options.dropout)
    schedule, file = training.schedule, job.file(options.out)
    state = TrainingState(file.with_suffix(".npz"))
    record = read(file)
    done = state.restore(training) if record else 0
    if done:
        record["evaluations"] = [e for e in record["evaluations"] if e["step"] <= done]
        record["resumed"] += 1
        keras.utils.set_random_seed(recipe.seed + 1000 * done)  # new dropout masks on PyTorch
    else:
        record = new_record(job, training, images, held_out)
        evaluate(training, validation, record, 0, (0.0, 0.0))
    state.set_model(training)
    source = DegradedImages(images, degradation_of(recipe))
    stream = MultilevelStream(source, schedule, seed=recipe.seed, initial_step=done, prefetch=2)
    last = record["evaluations"][-1]
    seconds, cpu = last["seconds"], last["cpu_seconds"]
    points = evaluation_steps(schedule, options.evaluations)
    for step in range(done, schedule.total):
        start, cpu_start = time.perf_counter(), time.process_time()
        batch = keras.utils.unpack_x_y_sample_weight(stream[step - done])
        training.train_on_batch(*batch)  # returns numbers, so it waits for the device
        lasted = time.perf_counter() - start
        seconds, cpu = seconds + lasted, cpu + time.process_time() - cpu_start
        # The first step of a stage compiles; its time is listed separately.
        record["first_steps"].setdefault(str(schedule.stages.index(schedule.at(step))), lasted)
        if step + 1 in points:
            evaluate(training, validation, record, step + 1, (seconds, cpu))
            record["peak_mb"] = max(record["peak_mb"], peak_memory())
            save(file, record)  # before the state; later entries are dropped on resuming
            state.save(step + 1)
    if job.arm == "single" and job.seed == options.seeds[0]:
        training.model.save_weights(file.with_suffix(".weights.h5"))
    record["finished"] = True
    save(file, record)
    state.path.unlink(missing_ok=True)


def new_record(job, training, images, held_out):
    """Return the record of a run before its first step."""
    import numpy as np

    from c2f_zoo.backend import to_numpy

    schedule = training.schedule
    weights = [to_numpy(weight) for weight in training.model.trainable_variables]
    return {
        "finished": False,
        **job._asdict(),
        "images": [len(images.names), len(held_out.names)],
        "batch_sizes": [list(stage.batch_sizes) for stage in schedule],
        "stage_steps": [stage.end - stage.start for stage in schedule],
        "work": float(schedule.work(schedule.total)),
        # The report checks that all arms started with the same weights.
        "first_weights": float(sum(np.abs(weight, dtype=np.float64).sum() for weight in weights)),
        "first_steps": {},
        "resumed": 0,
        "peak_mb": 0.0,
        "evaluations": [],
    }


def evaluation_steps(schedule, count):
    """Return the steps after which a run is evaluated: even in work, including the last."""
    whole = schedule.work(schedule.total)
    return {
        bisect.bisect_left(range(schedule.total + 1), whole * n / count, key=schedule.work)
        for n in range(1, count + 1)
    }


def evaluate(training, validation, record, step, clock):
    """Add loss, PSNR and SSIM on the held-out images to the record."""
    import keras

    from c2f_zoo.backend import to_numpy
    from c2f_zoo.losses import SSIMLoss
    from c2f_zoo.metrics import PSNR, SSIM

    _, targets = validation
    # For superresolution 1 - SSIM: the training loss, and 1 to keep it positive.
    enlarges = record["task"] == "superresolution"
    loss = SSIMLoss("zero") if enlarges else keras.losses.MeanSquaredError()
    metrics, total = {"psnr": PSNR(), "ssim": SSIM()}, 0.0
    for first in range(0, len(targets), 64):
        chosen = slice(first, first + 64)
        inputs, wanted = keras.tree.map_structure(lambda a, c=chosen: a[c], validation)
        made = to_numpy(training.model.predict_on_batch(inputs))
        total += len(wanted) * float(loss(wanted, made))
        for metric in metrics.values():
            metric.update_state(wanted, made)
    found = {
        "step": step,
        "work": float(training.schedule.work(step)),
        "seconds": clock[0],
        "cpu_seconds": clock[1],
        "loss": total / len(targets),
        **{name: float(metric.result()) for name, metric in metrics.items()},
    }
    record["evaluations"].append(found)
    name = " ".join(str(record[key]) for key in ("dataset", "task", "arm", "share", "seed"))
    print(f"{name}: {found}", file=sys.stderr, flush=True)


# Variance


def run_variance(options, job):
    """Measure the variance of each term at the first weights, or those of a single run."""
    from c2f_zoo.training import MultilevelSchedule, gradient_variance

    recipe = recipe_of(options, job)
    images, _ = open_data(options, recipe)
    training = build(recipe)
    if job.share != "first":
        single = job._replace(arm="single").file(options.out)
        training.model.load_weights(single.with_suffix(".weights.h5"))
    source = DegradedImages(images, degradation_of(recipe))
    doubling = MultilevelSchedule.multiscale(options.levels, options.fine_batch).at(0).batch_sizes
    measured = []
    has_dropout = recipe.network == "unet" and options.dropout > 0
    for rate in [options.dropout, 0.0] if has_dropout else [0.0]:
        set_dropout(training.model, rate)
        found = gradient_variance(
            training,
            source,
            levels=options.levels,
            batches=options.variance_batches,
            seed=recipe.seed,
        )
        sizes = found.batch_sizes(options.batch)
        measured.append(
            {
                "dropout": rate,
                "single": found.single,
                "terms": [[*term.meshes] for term in found.terms],
                "variances": [term.variance for term in found.terms],
                "batch_sizes": list(sizes),
                "saving": found.saving,
                # Variance for equal work, as a multiple of ordinary training's.
                "at_equal_work": {
                    "multiscale": relative(found, doubling),
                    "measured": relative(found, sizes),
                },
            }
        )
    save(job.file(options.out), {"finished": True, **job._asdict(), "measured": measured})


def relative(found, sizes):
    return found.of(sizes) * found.work(sizes) / found.single
