"""NVlabs' published PyTorch weights of PWC-Net, read without PyTorch and without pickle."""

from pathlib import Path

import numpy as np

from c2f_zoo import checks
from c2f_zoo.hub import read_torch_checkpoint
from c2f_zoo.hub.torch_files.matching import check_tensors
from c2f_zoo.models.pwcnet.blocks import LEVELS
from c2f_zoo.models.pwcnet.pwcnet import VARIANTS, PWCNet

# Suffixes of a pyramid level's convolutions in the order of application, which at level 6 of the
# released network is another one.
_PYRAMID_SUFFIXES = {
    "released": {6: ("aa", "a", "b"), None: ("a", "aa", "b")},
    "paper": {None: ("a", "b")},
}
_UNUSED = "deconv2"  # in the published class, but not in its forward pass


def convert_official_pwcnet(path, concatenation=None):
    """Read an official PyTorch checkpoint of PWC-Net.

    `pwc_net.pth.tar` becomes `PWCNet("released")`, `pwc_net_chairs.pth.tar` `PWCNet("paper")`. The
    published networks take BGR images, ours RGB, and the second one concatenates features in
    another order; the weights are permuted to match. They resize images to multiples of 64, ours
    pads.

    Args:
        path: The checkpoint, in either format of `torch.save`; its tensors may stand under
            `"state_dict"` and their names may begin with `module.`.
        concatenation: `"prepended"` if each decoder convolution's output precedes its input, as
            in the class `PWCDCNet`; `"appended"` if it follows, except for the second one, as in
            `PWCDCNet_old`. Default: `"appended"` for two convolutions per level, `"prepended"`
            for three.

    Returns:
        `PWCNet` with the file's weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not a PyTorch checkpoint, or tensors are missing, have another
            shape or do not belong to the network; the message lists them.

    Source: github.com/NVlabs/PWC-Net, PyTorch/models/PWCNet.py.

    Example:
        ```python
        model = convert_official_pwcnet("pwc_net.pth.tar")
        flow = model.flow("frame1.png", "frame2.png")
        ```
    """
    checks.one_of("concatenation", concatenation, (None, "prepended", "appended"))
    tensors = _without_prefix(read_torch_checkpoint(path), "module.")
    variant = "released" if "conv1aa.0.weight" in tensors else "paper"
    if concatenation is None:
        concatenation = "prepended" if variant == "released" else "appended"
    model = PWCNet(variant)
    layers = _official_layers(model, concatenation)
    unused = {name: tensor.shape for name, tensor in tensors.items() if _UNUSED in name}
    network = f"PWC-Net with {VARIANTS[variant].convolutions} convolutions per level"
    check_tensors(tensors, _shapes(layers) | unused, network, Path(path))
    for name, (layer, order) in layers.items():
        kernel = np.asarray(tensors[f"{name}.weight"], "float32")
        is_transposed = name.startswith(("deconv", "upfeat"))
        layer.kernel.assign(_converted(kernel, order, is_transposed))
        layer.bias.assign(np.asarray(tensors[f"{name}.bias"], "float32"))
    return model


def _official_layers(model, concatenation):
    """Official name of each layer, with the layer and the order of its input channels.

    Our input channel k is the file's channel `order[k]`; None if the orders are the same.
    """
    layers = {}
    suffixes = _PYRAMID_SUFFIXES[model.variant]
    for level, convolutions in enumerate(model.pyramid_layers, start=1):
        for layer, suffix in zip(convolutions, suffixes.get(level, suffixes[None]), strict=True):
            layers[f"conv{level}{suffix}.0"] = layer, None
    layers["conv1a.0"] = model.pyramid_layers[0][0], np.array([2, 1, 0])  # the file: BGR
    for level in LEVELS:
        decoder = model.decoders[str(level)]
        orders = _decoder_orders(decoder, concatenation)
        for index, layer in enumerate(decoder.convolutions):
            layers[f"conv{level}_{index}.0"] = layer, orders[index]
        layers[f"predict_flow{level}"] = decoder.predict_flow, orders[-1]
        if level > LEVELS[0]:
            layers[f"deconv{level}"] = decoder.upsample_flow, None
            layers[f"upfeat{level}"] = decoder.upsample_features, orders[-1]
    # The context network reads the features of the finest decoder.
    order = _decoder_orders(model.decoders[str(LEVELS[0])], concatenation)[-1]
    *convolutions, last = model.context
    for index, layer in enumerate(convolutions, start=1):
        layers[f"dc_conv{index}.0"] = layer, order if index == 1 else None
    layers[f"dc_conv{len(convolutions) + 1}"] = last, None
    return layers


def _decoder_orders(decoder, concatenation):
    """Order of the input channels of each convolution of a decoder, then of its features."""
    channels = decoder.convolutions[0].kernel.shape[-2]
    ours = official = np.arange(channels)
    orders = []
    for index, layer in enumerate([*decoder.convolutions, None]):
        place = np.empty_like(official)
        place[official] = np.arange(len(official))
        orders.append(place[ours])
        if layer is None:
            return orders
        new = np.arange(len(ours), len(ours) + layer.filters)
        ours = np.concatenate([new, ours])
        is_first = concatenation == "prepended" or index == 1
        official = np.concatenate([new, official] if is_first else [official, new])


def _converted(kernel, order, is_transposed):
    """Bring a PyTorch kernel to Keras' layout, its input channels in our order."""
    # (out, in, h, w) to (h, w, in, out); if transposed, (in, out, h, w) to (h, w, out, in).
    kernel = kernel.transpose(2, 3, 1, 0)
    if order is None:
        return kernel
    return kernel[..., order] if is_transposed else kernel[:, :, order]


def _without_prefix(tensors, prefix):
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _shapes(layers):
    """Shapes of the official tensors by name."""
    shapes = {}
    for name, (layer, _) in layers.items():
        height, width, *channels = layer.kernel.shape
        shapes[f"{name}.weight"] = (*reversed(channels), height, width)
        shapes[f"{name}.bias"] = tuple(layer.bias.shape)
    return shapes
