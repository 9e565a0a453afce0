"""Makes the tables and the plot of `growth.py` from the results in its folder."""

import json
import statistics
from pathlib import Path

ARMS = ("growing", "fixed")


def at(record, axis, value):
    """Interpolate the SWD of a run at a value of "seconds" or "images"."""
    import numpy as np

    evaluations = record["evaluations"]
    return float(np.interp(value, [e[axis] for e in evaluations], [e["swd"] for e in evaluations]))


def spread(values, digits=1):
    """Format mean and range over the seeds."""
    mean, least, most = (
        f"{value:.{digits}f}" for value in (statistics.mean(values), min(values), max(values))
    )
    return f"{mean} ({least} to {most})" if len(values) > 1 else mean


def read_results(out):
    """Read all results of a folder, which must have the same settings."""
    records = [json.loads(file.read_text()) for file in sorted(Path(out).glob("*-[0-9]*.json"))]
    if not records:
        raise SystemExit(f"No results in {out}")
    if any(record["settings"] != records[0]["settings"] for record in records):
        raise SystemExit(f"The results in {out} were taken with different settings")
    return {arm: [r for r in records if r["arm"] == arm] for arm in ARMS}


def report(out):
    """Write and print the tables, and draw the plot."""
    results = read_results(out)
    runs = [run for arm in ARMS for run in results[arm]]
    settings = runs[0]["settings"]
    lines = [
        f"ProGAN at {settings['resolution']}x{settings['resolution']}, {runs[0]['data']} images, "
        f"batch {settings['batch']}, {settings['loss']}, {settings['precision']}, "
        f"{settings['backend']}; SWD x 1000 of {settings['eval_images']} images, mean (range) of "
        "the seeds; smaller is better.",
        "",
        f"Two parts of the data: {runs[0].get('data_to_data', float('nan')):.1f}.",
        "",
        "| SWD after | " + " | ".join(f"{arm} ({len(results[arm])} seeds)" for arm in ARMS) + " |",
        "|---|---:|---:|",
    ]
    for share in (0.25, 0.5, 0.75, 1.0):
        seconds = share * settings["minutes"] * 60
        cells = [
            spread([at(run, "seconds", seconds) for run in results[arm]] or [float("nan")])
            for arm in ARMS
        ]
        lines.append(f"| {seconds / 60:.1f} min | {' | '.join(cells)} |")
    least = min(run["evaluations"][-1]["images"] for run in runs)
    for images in (least // 2, least):
        cells = [
            spread([at(run, "images", images) for run in results[arm]] or [float("nan")])
            for arm in ARMS
        ]
        lines.append(f"| {images} images | {' | '.join(cells)} |")
    lines += ["", *phase_table(results)]
    text = "\n".join(lines)
    (Path(out) / "growth.md").write_text(text + "\n")
    plot(results, Path(out) / "growth.png")
    print(text)


def phase_table(results):
    """Time and memory of each phase; the first step, which compiles, is listed separately."""
    lines = [
        "| arm | phase | ms per image | first step, s | minutes | images | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for arm in ARMS:
        phases = [run["phases"] for run in results[arm]]
        batch = results[arm][0]["settings"]["batch"] if phases else 0
        for name in dict.fromkeys(name for run in phases for name in run):
            found = [run[name] for run in phases if name in run]

            def mean(value, found=found):
                return statistics.mean(value(phase) for phase in found)

            rest = mean(lambda p: (p["seconds"] - p["first_step"]) / max(1, p["steps"] - 1))
            first, seconds = mean(lambda p: p["first_step"]), mean(lambda p: p["seconds"])
            lines.append(
                f"| {arm} | {name} | {rest / batch * 1000:.2f} "
                f"| {first:.1f} | {seconds / 60:.1f} "
                f"| {mean(lambda p: p['steps']) * batch:.0f} "
                f"| {mean(lambda p: p['peak_mb']):.0f} |"
            )
    return lines


def plot(results, path):
    """Plot the SWD over time and over images, one line per seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for panel, (axis, unit, label) in zip(
        axes, (("seconds", 60, "minutes"), ("images", 1000, "thousand images")), strict=True
    ):
        for colour, arm in enumerate(ARMS):
            for number, run in enumerate(results[arm]):
                points = [e for e in run["evaluations"] if e["images"]]
                panel.plot(
                    [e[axis] / unit for e in points],
                    [e["swd"] for e in points],
                    color=f"C{colour}",
                    marker=".",
                    label=None if number else arm,
                )
        panel.set(xlabel=label, yscale="log")
        panel.grid(alpha=0.3)
        panel.legend()
    axes[0].set_ylabel("SWD to the data x 1000")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
