"""The published PyTorch weights of PSMNet, read without PyTorch and without pickle."""

from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.hub import read_torch_checkpoint
from c2f_zoo.hub.torch_files.matching import check_tensors
from c2f_zoo.models.psmnet.psmnet import PUBLISHED, PSMNet

_COUNTER = "num_batches_tracked"  # of PyTorch's batch normalization; nothing depends on it


def convert_official_psmnet(path, variant=None, max_disparity=192, align_corners=False):
    """Read an official PyTorch checkpoint of PSMNet.

    The tensors' names do not tell with which PyTorch the file was trained, which decides
    `align_corners`: the weights published before 2021 need True, the later ones,
    trained with PyTorch 1.8.1, False. With the wrong choice disparities are about one pixel off.

    The published test code pads images with black at the top and right to multiples of 16; ours
    repeats the last row and column at the bottom and right.

    Args:
        path: The checkpoint (`.tar`), in either format of `torch.save`; its tensors may stand
            under `"state_dict"` and their names may begin with `module.`.
        variant: `"stacked_hourglass"` or `"basic"`. Default: the file's, as its tensors' names
            tell.
        max_disparity: Of the network; the published ones have 192.
        align_corners: As for `PSMNet`.

    Returns:
        `PSMNet` with the file's weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a PyTorch checkpoint or of the other variant, or tensors are
            missing, have another shape or do not belong to the network; the message lists them.

    Source: github.com/JiaRenChang/PSMNet, models/stackhourglass.py and basic.py.

    Example:
        ```python
        model = convert_official_psmnet("pretrained_sceneflow_new.tar")
        disparity = model.disparity("left.png", "right.png")
        ```
    """
    tensors = {
        name.removeprefix("module."): tensor
        for name, tensor in read_torch_checkpoint(path).items()
        if not name.endswith(_COUNTER)
    }
    is_basic = any(name.startswith("classify.") for name in tensors)
    found = "basic" if is_basic else "stacked_hourglass"
    if variant is None:
        variant = found
    elif checks.one_of("variant", variant, PUBLISHED) != found:
        raise ValueError(
            f"The file must hold the weights of the variant asked for, {variant!r}. "
            f"Received: {path}, of the variant {found!r}"
        )
    model = PSMNet(variant, max_disparity, align_corners)
    variables = official_variables(model)
    shapes = {name: _official_shape(variable) for name, variable in variables.items()}
    check_tensors(tensors, shapes, f"PSMNet, variant {variant!r}", Path(path))
    for name, variable in variables.items():
        variable.assign(_converted(tensors[name]))
    return model


def official_variables(model):
    """Find the variable for each tensor of the official network.

    Args:
        model: `PSMNet`.

    Returns:
        dict from the official tensor's name to the variable. A kernel's axes are in Keras' order.
    """
    variables = {}

    def add(block, name):
        layer = block.normalization
        variables[f"{name}.0.weight"] = block.convolution.kernel
        variables[f"{name}.1.weight"] = layer.gamma
        variables[f"{name}.1.bias"] = layer.beta
        variables[f"{name}.1.running_mean"] = layer.moving_mean
        variables[f"{name}.1.running_var"] = layer.moving_variance

    _add_features(add, variables, model.features)
    aggregation = model.aggregation
    _add_pair(add, aggregation.entry, "dres0")
    _add_pair(add, aggregation.first, "dres1")
    if model.variant == "basic":
        for index, pair in enumerate(aggregation.residuals, start=2):
            _add_pair(add, pair, f"dres{index}")
        _add_classifier(add, variables, aggregation.classifier, "classify")
        return variables
    for index, hourglass in enumerate(aggregation.hourglasses, start=2):
        add(hourglass.down_1, f"dres{index}.conv1.0")
        add(hourglass.inner_1, f"dres{index}.conv2")
        add(hourglass.down_2, f"dres{index}.conv3.0")
        add(hourglass.inner_2, f"dres{index}.conv4.0")
        add(hourglass.up_2, f"dres{index}.conv5")
        add(hourglass.up_1, f"dres{index}.conv6")
    for index, classifier in enumerate(aggregation.classifiers, start=1):
        _add_classifier(add, variables, classifier, f"classif{index}")
    return variables


def _add_features(add, variables, features):
    root = "feature_extraction"
    for index, block in enumerate(features.stem):
        add(block, f"{root}.firstconv.{2 * index}")
    for number, stage in enumerate(features.stages, start=1):
        for index, block in enumerate(stage):
            name = f"{root}.layer{number}.{index}"
            add(block.first, f"{name}.conv1.0")
            add(block.second, f"{name}.conv2")
            if block.shortcut is not None:
                add(block.shortcut, f"{name}.downsample")
    for number, branch in enumerate(features.branches, start=1):
        add(branch, f"{root}.branch{number}.1")
    add(features.fusion, f"{root}.lastconv.0")
    variables[f"{root}.lastconv.2.weight"] = features.projection.kernel


def _add_pair(add, pair, name):
    for index, block in zip((0, 2), pair, strict=True):
        add(block, f"{name}.{index}")


def _add_classifier(add, variables, classifier, name):
    add(classifier.hidden, f"{name}.0")
    variables[f"{name}.2.weight"] = classifier.cost.kernel


def _converted(tensor):
    """Bring a kernel to Keras' layout: (out, in, ...) to (..., in, out), transposed ones alike."""
    tensor = np.asarray(tensor, "float32")
    return tensor if tensor.ndim == 1 else tensor.transpose(*range(2, tensor.ndim), 1, 0)


def _official_shape(variable):
    shape = tuple(variable.shape)
    return shape if len(shape) == 1 else (shape[-1], shape[-2], *shape[:-2])
