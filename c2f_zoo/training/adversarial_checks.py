"""What is refused before an adversarial training begins: settings, arrays, schedules."""


def check_settings(model, settings, options):
    """Refuse what the networks or Keras' trainer cannot do.

    Args:
        model: `AdversarialModel`.
        settings: `AdversarialTraining`.
        options: Dict of the other arguments of `compile`.

    Raises:
        ValueError: The settings ask for something of the kind.
    """
    if settings.has_path_length and not model.has_styles:
        raise ValueError(
            "Path length regularisation needs a generator with mapping() and synthesis(). "
            f"Received: path_length_weight={settings.path_length_weight}, {model.generator}"
        )
    if model.label_size and model.has_styles:
        raise ValueError(
            "Labels are given to a generator without mapping() and synthesis(). "
            f"Received: label_size={model.label_size}, {model.generator}"
        )
    if options.get("steps_per_execution", 1) != 1:
        raise ValueError(
            "Lazy penalties make steps differ, so each is executed by itself. "
            f"Received: steps_per_execution={options['steps_per_execution']}"
        )
    for network in (model.generator, model.discriminator):
        if network.dtype_policy.name == "mixed_float16":
            raise ValueError(
                "Gradients of gradients leave float16's range: use mixed_bfloat16. "
                f"Received: {network.name} in mixed_float16"
            )


def check_growth(model, schedule):
    """Refuse a schedule that is not this model's.

    Args:
        model: `AdversarialModel` of growing networks.
        schedule: `GrowthSchedule`. Of another object with `at()` nothing is known beforehand.

    Raises:
        ValueError: The schedule's resolutions are not the generator's first ones.
    """
    theirs = getattr(schedule, "resolutions", None)
    ours = getattr(model.generator, "resolutions", None)
    if theirs is not None and ours is not None:
        theirs, ours = _sizes(theirs), _sizes(ours)
        if ours[: len(theirs)] != theirs:
            raise ValueError(
                "A schedule grows through the generator's resolutions, from its base on: "
                f"{_listed(ours)}. Received: a schedule of {_listed(theirs)}"
            )


def _sizes(resolutions):
    return tuple(tuple(size) for size in resolutions)


def _listed(sizes):
    return ", ".join(f"{height}x{width}" for height, width in sizes)
