"""Checks before an adversarial training begins: settings, arrays, schedules."""

from c2f_zoo.layers.minibatch_stddev import group_of
from c2f_zoo.training.adversarial.batch import check_images, check_range, split_batch

MEASURE = (
    "An adversarial model has no validation loss: compare its images with real ones by "
    "c2f_zoo.metrics.measure_images, or during training by BestPreset."
)


def check_settings(model, settings, options):
    """Refuse settings, and other options of `compile`, that the networks or Keras cannot do."""
    if settings.has_path_length and not model.has_styles:
        raise ValueError(
            "Path length regularisation needs a generator with mapping() and synthesis(). "
            f"Received: path_length_weight={settings.path_length_weight}, {model.generator}"
        )
    if model.label_size and model.has_styles:
        raise ValueError(
            "Labels need a generator without mapping() and synthesis(). "
            f"Received: label_size={model.label_size}, {model.generator}"
        )
    if options.get("steps_per_execution", 1) != 1:
        raise ValueError(
            "steps_per_execution must be 1, since lazy penalties make steps differ. "
            f"Received: steps_per_execution={options['steps_per_execution']}"
        )
    others = set(options) - {"run_eagerly", "jit_compile", "steps_per_execution"}
    if others:
        raise ValueError(
            "Beside the settings, which choose losses and logs, and two optimizers, compile takes "
            "run_eagerly and jit_compile. "
            f"Received: {', '.join(f'{name}={options[name]!r}' for name in sorted(others))}"
        )
    for network in (model.generator, model.discriminator):
        if network.dtype_policy.name == "mixed_float16":
            raise ValueError(
                "Second derivatives leave the range of float16: use mixed_bfloat16. "
                f"Received: {network.name} in mixed_float16"
            )


def check_growth(model, schedule):
    """Refuse a schedule that does not fit a growing model.

    That is, which begins below the stage that loaded weights were trained to, whose resolutions are
    not the generator's first ones, or whose batches the replicas or the groups of the discriminator
    do not divide. A `schedule` with no more than `at()` is not known beforehand.
    """
    trained, start = getattr(model, "trained_stage", None), schedule.at(0)
    if trained is not None and start.stage < trained and model.planner.images()[1] == 0:
        height, width = start.resolution
        raise ValueError(
            f"The networks are trained up to stage {trained}, and the schedule would shrink them: "
            f"give it first_stage={trained}, or load the weights with stage={start.stage}. "
            f"Received: a schedule that begins at {height}x{width}"
        )
    theirs = getattr(schedule, "resolutions", None)
    ours = getattr(model.generator, "resolutions", None)
    if theirs is not None and ours is not None:
        theirs, ours = _sizes(theirs), _sizes(ours)
        if ours[: len(theirs)] != theirs:
            raise ValueError(
                "The schedule must grow through the generator's resolutions from its base on: "
                f"{_listed(ours)}. Received: a schedule of {_listed(theirs)}"
            )
    for phase in getattr(schedule, "phases", ()):
        height, width = phase.resolution
        _check_batch(model, phase.batch_size, f"the {phase.kind} phase of {height}x{width}")


def check_no_validation(options):
    """Refuse validation data among the arguments of `fit`."""
    for name in ("validation_split", "validation_data"):
        value = options.get(name)
        # Not the truth of `value`: of an array it is not known.
        if value is not None and not (isinstance(value, (int, float)) and value == 0):
            raise ValueError(f"{MEASURE} Received: {name} of type {type(value).__name__}")


def check_arrays(model, x, y, batch_size, steps_per_epoch):
    """Refuse arrays given to `fit` whose values or batches will fail in a compiled step.

    `x` is an array (N, H, W, C), a dict of arrays, or any source of batches, which is not checked.
    With `steps_per_epoch` no batch need be smaller than others.
    """
    batch = split_batch(x, y) if isinstance(x, dict) or y is not None else {"images": x}
    if batch.get("labels") is not None and model.label_size:
        check_range(batch["labels"], model.label_size)
    images = batch.get("images")
    if not hasattr(images, "shape"):
        return
    check_images(images)
    count, size = images.shape[0], 32 if batch_size is None else batch_size
    if count is None:
        return
    last = count % size if steps_per_epoch is None else 0
    for part in (min(size, count), last):
        if part:
            _check_batch(model, part, f"{count} images in batches of {size}")


def _check_batch(model, size, what):
    """Refuse a batch that replicas or groups of the minibatch standard deviation do not divide."""
    group = getattr(model.discriminator, "group_size", None)
    # Each replica makes groups of its own share.
    strategy = getattr(model, "distribute_strategy", None)
    replicas = getattr(strategy, "num_replicas_in_sync", 1)
    if size % replicas:
        raise ValueError(
            "The number of replicas must divide every batch: choose another batch size or number "
            "of images. "
            f"Received: a batch of {size} for {replicas} replicas in {what}"
        )
    share, parts = size // replicas, model.micro_batches
    if share % parts:
        raise ValueError(
            "The number of micro_batches must divide each replica's share of every batch. "
            f"Received: micro_batches={parts}, a batch of {size} for {replicas} replicas in {what}"
        )
    if group is None:
        return
    try:
        group_of(share // parts, group)
    except ValueError as error:
        raise ValueError(
            "Choose another batch size, number of images, micro_batches or group_size of the "
            'discriminator (the growth presets "progan-paper" and "progan-v1-1gpu" need '
            "group_size=16). "
            f"{error} in {what}"
        ) from error


def _sizes(resolutions):
    return tuple(tuple(size) for size in resolutions)


def _listed(sizes):
    return ", ".join(f"{height}x{width}" for height, width in sizes)
