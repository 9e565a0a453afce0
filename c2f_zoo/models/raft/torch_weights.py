"""The published PyTorch weights of RAFT, read without PyTorch and without pickle."""

from pathlib import Path

import numpy as np

from c2f_zoo.hub import read_torch_checkpoint
from c2f_zoo.hub.torch_files.matching import check_tensors
from c2f_zoo.models.raft.raft import RAFT

# Only the small network's recurrent unit has square kernels, and so no numbers in its names.
_OF_SMALL = "update_block.gru.convz.weight"


def convert_official_raft(path):
    """Read an official PyTorch checkpoint of RAFT.

    `raft-small.pth` becomes `RAFT("small")`, the others (`raft-things.pth`, `raft-sintel.pth`,
    ...) become `RAFT("large")`; the file's tensor names tell them apart.

    Args:
        path: The checkpoint, in either format of `torch.save`; its tensors may stand under
            `"state_dict"` and their names may begin with `module.`.

    Returns:
        `RAFT` with the file's weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a PyTorch checkpoint, or tensors are missing, have another
            shape or do not belong to the network; the message lists them.

    Source: github.com/princeton-vl/RAFT, core/.

    Example:
        ```python
        model = convert_official_raft("raft-things.pth")
        flow = model.flow("frame1.png", "frame2.png", iterations=32)
        ```
    """
    tensors = _named(read_torch_checkpoint(path))
    return load_official(RAFT("small" if _OF_SMALL in tensors else "large"), tensors, Path(path))


def load_official(model, tensors, source):
    """Assign the tensors of an official checkpoint.

    Args:
        model: `RAFT`.
        tensors: Dictionary of arrays, of the shapes that PyTorch has them in, by official name.
        source: Where they are from, for messages.

    Returns:
        The model.

    Raises:
        ValueError: If they are not exactly those of the network; the message lists them, and
            says so where they are those of the other variant.
    """
    tensors = _named(tensors)
    parts = _official_parts(model)
    expected = {}
    for name, (variable, others) in parts.items():
        shape = tuple(variable.shape)
        if len(shape) == 4:
            shape = (shape[3] // (len(others) + 1), shape[2], *shape[:2])
        elif others:
            shape = (shape[0] // (len(others) + 1),)
        expected |= dict.fromkeys((name, *others), shape)
    variant = "small" if _OF_SMALL in tensors else "large"
    hint = f"; they look like those of RAFT({variant!r})" if variant != model.variant else ""
    check_tensors(tensors, expected, f"RAFT, {model.variant}{hint}", source)
    for name, (variable, others) in parts.items():
        arrays = [np.asarray(tensors[each], "float32") for each in (name, *others)]
        # (out, in, h, w) to (h, w, in, out).
        arrays = [a.transpose(2, 3, 1, 0) if a.ndim == 4 else a for a in arrays]
        variable.assign(np.concatenate(arrays, axis=-1))
    return model


def _official_parts(model):
    """Official name of each variable, and the names of what is appended to it on its last axis."""
    parts = {}

    def add(layer, name, *others):
        for kind, variable in (("weight", layer.kernel), ("bias", layer.bias)):
            parts[f"{name}.{kind}"] = variable, tuple(f"{other}.{kind}" for other in others)

    def add_norm(layer, name):
        if layer.weights:
            kinds = ("weight", "bias", "running_mean", "running_var")
            values = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
            for kind, variable in zip(kinds, values, strict=True):
                parts[f"{name}.{kind}"] = variable, ()

    for encoder, root in ((model.feature_encoder, "fnet"), (model.context_encoder, "cnet")):
        add(encoder.stem, f"{root}.conv1")
        add_norm(encoder.stem_norm, f"{root}.norm1")
        for number, block in enumerate(encoder.blocks):
            name = f"{root}.layer{number // 2 + 1}.{number % 2}"
            pairs = list(zip(block.convolutions, block.norms, strict=True))
            if block.has_shortcut:
                conv, norm = pairs.pop()
                add(conv, f"{name}.downsample.0")
                add_norm(norm, f"{name}.downsample.1")
            for index, (conv, norm) in enumerate(pairs, start=1):
                add(conv, f"{name}.conv{index}")
                add_norm(norm, f"{name}.norm{index}")
        add(encoder.output_layer, f"{root}.conv2")

    update, root = model.update, "update_block"
    for letter, layers in (("c", update.correlation_layers), ("f", update.flow_layers)):
        for index, layer in enumerate(layers, start=1):
            add(layer, f"{root}.encoder.conv{letter}{index}")
    add(update.merge, f"{root}.encoder.conv")
    unit = update.unit
    for index, (gates, candidate) in enumerate(zip(unit.gates, unit.candidates, strict=True), 1):
        number = index if len(unit.gates) > 1 else ""
        add(gates, f"{root}.gru.convz{number}", f"{root}.gru.convr{number}")
        add(candidate, f"{root}.gru.convq{number}")
    for index, layer in enumerate(update.flow_head, start=1):
        add(layer, f"{root}.flow_head.conv{index}")
    if model.upsampling_head is not None:
        for index, layer in zip((0, 2), model.upsampling_head.convolutions, strict=True):
            add(layer, f"{root}.mask.{index}")
    return parts


def _named(tensors):
    """The tensors without the prefix of `DataParallel`, counters and second names."""
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    # The normalization of a shortcut is registered twice, as the block's last and in the shortcut.
    twice = {
        name.replace("downsample.1", f"norm{last}")
        for name in tensors
        if "downsample.1" in name
        for last in (3, 4)
        if f"{name.split('.downsample')[0]}.conv{last}.weight" not in tensors
    }
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name not in twice and not name.endswith("num_batches_tracked")
    }
