"""A growth schedule as a table and as a picture."""

from c2f_zoo.training.phases import table


def growth_table(schedule):
    """The phases of a schedule as lines of aligned columns."""
    same_rates = all(phase.g_learning_rate == phase.d_learning_rate for phase in schedule)
    rows = [("", "phase", "size", "from image", "to image", "steps", "batch", "learning rate")]
    for number, phase in enumerate(schedule, 1):
        height, width = phase.resolution
        steps = schedule.steps(0, phase.end) - schedule.steps(0, phase.start)
        rates = _rate(phase.g_learning_rate)
        rates += "" if same_rates else f" (D {_rate(phase.d_learning_rate)})"
        numbers = (phase.start, phase.end, steps, phase.batch_size)
        size = f"{height}x{width}"
        rows.append((f"{number}", phase.kind, size, *(f"{n:,}" for n in numbers), rates))
    base, last = schedule.resolutions[schedule.first_stage], schedule.resolutions[-1]
    title = f"Growth from {base[0]}x{base[1]} to {last[0]}x{last[1]} in {schedule.total:,} images"
    return "\n".join([title, *table(rows, left=(1, 7))])


def _rate(value):
    return "as compiled" if value is None else f"{value:g}"


def growth_plot(schedule, path=None):
    """Draw a schedule over the images shown; see `GrowthSchedule.plot`."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import EngFormatter
    except ImportError as error:
        raise ImportError(
            'A plot needs matplotlib: pip install "c2f_zoo[viz]". Without it print(schedule) '
            f"shows the same as a table. Received: {error}"
        ) from error
    # Not pyplot, which would keep the figure alive and may want a screen.
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    size, alpha, batch, rate = figure.subplots(4, sharex=True, height_ratios=(3, 1.2, 2, 2))
    for phase in schedule:
        x = [phase.start, phase.end]
        height, is_fade = phase.resolution[0], phase.kind == "fade"
        for axis in (size, alpha, batch, rate):
            axis.axvspan(*x, color="tab:blue", alpha=0.12 if is_fade else 0, linewidth=0)
        size.plot(x, [height / 2 if is_fade else height, height], color="tab:blue")
        alpha.plot(x, [0 if is_fade else 1, 1], color="tab:blue")
        batch.plot(x, [phase.batch_size] * 2, color="tab:blue")
        if phase.g_learning_rate is not None:
            rate.plot(x, [phase.g_learning_rate] * 2, color="tab:blue")
        if phase.d_learning_rate not in (None, phase.g_learning_rate):
            rate.plot(x, [phase.d_learning_rate] * 2, color="tab:orange", linestyle="--")
    heights = [height for height, _ in schedule.resolutions[schedule.first_stage :]]
    size.set_yscale("log", base=2)
    size.set_yticks(heights, [f"{height}" for height in heights])
    sizes = sorted({phase.batch_size for phase in schedule})
    batch.set_yscale("log", base=2)
    batch.set_yticks(sizes, [f"{number}" for number in sizes])
    batch.minorticks_off()
    rate.ticklabel_format(axis="y", scilimits=(-2, 2))
    if not rate.lines:
        rate.set_yticks([])
        rate.text(0.5, 0.5, _rate(None), transform=rate.transAxes, ha="center", va="center")
    rate.set_ylim(bottom=0)
    labels = ("height, fading in\nwhere shaded", "alpha", "batch size", "learning rate")
    for axis, label in zip((size, alpha, batch, rate), labels, strict=True):
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    rate.set_xlabel("real images shown")
    rate.set_xlim(0, schedule.total)
    rate.xaxis.set_major_formatter(EngFormatter(sep=""))  # 2M, not 0.2 with a 1e7 in the corner
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure
