"""Figures of a restoration run: its curves, and results for a few images."""

import csv


def draw_strip(network, validation, path, n=8):
    """Write rows of input, output and target; small inputs are shown with large pixels."""
    import keras
    import numpy as np

    from c2f_zoo.data import enlarge_pixels, image_grid, save_image

    inputs, targets = keras.tree.map_structure(lambda array: array[:n], validation)
    outputs = network.predict(inputs, verbose=0)
    shown = inputs[0] if isinstance(inputs, (tuple, list)) else inputs
    factor = targets.shape[1] // shown.shape[1]
    row = [
        np.clip(picture, 0, 1)
        for index in range(len(targets))
        for picture in (enlarge_pixels(shown[index], factor), outputs[index], targets[index])
    ]
    save_image(path, image_grid(row, columns=3, gap=2))


def draw_curves(train, validation, title, path):
    """Write the curves of a run over its work units and over its seconds."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        print(f'No curves: pip install "c2f_zoo[viz]". Received: {error}')
        return
    tables = [read_table(file) for file in (train, validation)]
    figures = [name for name in ("loss", "psnr", "ssim") if name in tables[1]]
    # Without pyplot, which keeps figures alive and may need a display.
    figure = Figure(figsize=(10, 3 * len(figures)), layout="constrained")
    axes = figure.subplots(len(figures), 2, sharex="col", sharey="row", squeeze=False)
    for row, name in zip(axes, figures, strict=True):
        for axis, over in zip(row, ("work_units", "seconds"), strict=True):
            for table, label, style in zip(
                tables, ("training", "validation"), ({"alpha": 0.4, "lw": 0.7}, {}), strict=True
            ):
                axis.plot(table[over], table[name], label=label, **style)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(name.upper() if name != "loss" else name)
    axes[-1][0].set_xlabel("work units")
    axes[-1][1].set_xlabel("seconds of training")
    axes[0][0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)


def read_table(path):
    """Numeric columns of a CSV file."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in (rows[0] if rows else []) if name != "image"]
    return {name: [float(row[name]) for row in rows] for name in names}
