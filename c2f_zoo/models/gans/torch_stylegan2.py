"""The weights of StyleGAN2 in the layout of rosinality/stylegan2-pytorch, read without PyTorch."""

import warnings
from pathlib import Path

import numpy as np

from c2f_zoo.hub import read_torch_content
from c2f_zoo.hub.torch_files.matching import check_tensors
from c2f_zoo.layers.fir import BILINEAR_TAPS
from c2f_zoo.models.gans.stylegan2 import StyleGAN2
from c2f_zoo.models.gans.torch_layers import Part, assign, numbered, own_names

# Copies of the low-pass filter, and maps of noise for `randomize_noise=False`.
_BUFFERS = (".kernel", "noises.noise_")


def convert_rosinality_stylegan2(path):
    """Read a checkpoint of StyleGAN2 as rosinality/stylegan2-pytorch saves and converts them.

    Sizes and widths are those of the file's tensors. It may hold `"g_ema"`, `"g"`, `"d"` and
    `"latent_avg"`; the averaged generator is needed, or else `"g"`. A discriminator that is not
    there keeps its initial weights, with a warning.

    Args:
        path: The checkpoint, such as `550000.pt` or `stylegan2-ffhq-config-f.pt`, in either format
            of `torch.save`; names may begin with `module.`.

    Returns:
        `StyleGAN2` with the file's weights.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not such a checkpoint, or tensors are missing, have another shape
            or do not belong to the network; the message lists them.

    Source: github.com/rosinality/stylegan2-pytorch, model.py.

    Example:
        ```python
        model = convert_rosinality_stylegan2("stylegan2-ffhq-config-f.pt")
        images = model.generate(16, seed=0, truncation=0.5)
        ```
    """
    path = Path(path)
    content = read_torch_content(path)
    parts = {
        key: own_names(value) for key, value in content.items() if isinstance(value, dict) and value
    }
    if "input.input" in content:  # the generator's dictionary alone
        parts["g_ema"] = own_names(content)
    averaged = parts.get("g_ema") or parts.get("g")
    if averaged is None:
        raise ValueError(
            "A checkpoint of rosinality's StyleGAN2 holds the generator as 'g_ema' or 'g'. "
            f"Received: {path}, with entries {sorted(map(str, content))[:10]}"
        )
    model = StyleGAN2(**_arguments(averaged, path))
    average = content.get("latent_avg")
    for generator, tensors in (
        (model.ema_generator, averaged),
        (model.generator, parts.get("g") or averaged),
    ):
        _load(generator_parts(generator), tensors, "generator of StyleGAN2", path)
        if average is not None:
            generator.w_average.assign(np.reshape(average, generator.w_average.shape))
    if average is None:
        warnings.warn(
            f"{path.name} holds no 'latent_avg': truncation pulls towards 0", stacklevel=2
        )
    if "d" in parts:
        _load(discriminator_parts(model.discriminator), parts["d"], "discriminator", path)
    else:
        warnings.warn(f"{path.name} holds no discriminator ('d')", stacklevel=2)
    return model


def _arguments(tensors, path):
    """Constructor arguments of the model that the generator's tensors belong to."""
    try:
        base = tensors["input.input"].shape[2:]
        first = tensors["style.1.weight"]
        widths = [tensors["conv1.conv.weight"].shape[1]]
    except KeyError as error:
        raise ValueError(
            f"The generator must be that of rosinality's StyleGAN2, with a tensor {error}. "
            f"Received: {path}, with {', '.join(sorted(tensors)[:5])}"
        ) from None
    for index in numbered(tensors, "to_rgbs.{}.bias"):
        widths.append(tensors[f"convs.{2 * index + 1}.conv.weight"].shape[1])
    return {
        "resolution": base[0] * 2 ** (len(widths) - 1),
        "base_shape": tuple(base),
        "latent_size": first.shape[1],
        "w_size": first.shape[0],
        # style.0 is the normalisation.
        "mapping_depth": sum(1 for name in tensors if name.startswith("style.")) // 2,
        "num_filters": widths,
        "image_channels": tensors["to_rgb1.bias"].size,
    }


def _load(parts, tensors, network, path):
    expected_taps = np.outer(BILINEAR_TAPS, BILINEAR_TAPS) / np.sum(BILINEAR_TAPS) ** 2
    weights = {}
    for name, tensor in tensors.items():
        if name.endswith(".kernel") and not np.allclose(tensor / tensor.sum(), expected_taps):
            raise ValueError(
                f"The low-pass filter must be {BILINEAR_TAPS}. Received: {path}, whose {name} is "
                f"{np.asarray(tensor).tolist()}"
            )
        if not any(mark in name for mark in _BUFFERS):
            # Biases are (C,), or (1, C, 1, 1) in a layer to RGB and in older versions.
            weights[name] = tensor.reshape(-1) if name.endswith("bias") else tensor
    check_tensors(weights, {k: v.torch_shape for k, v in parts.items()}, network, path)
    assign(parts, weights)


def generator_parts(generator):
    """Name in rosinality's layout, and `Part`, of each variable of a `StyleGAN2Generator`."""
    parts = {"input.input": Part(generator.constant, "map")}

    def add_dense(layer, name):
        parts[f"{name}.weight"] = Part(layer.kernel, "dense")
        parts[f"{name}.bias"] = Part(layer.bias)

    def add_modulated(layer, name):
        # What PyTorch calls a transposed convolution turns its kernel around.
        kind = "modulated, turned" if layer.resample == "up" else "modulated"
        parts[f"{name}.weight"] = Part(layer.kernel, kind)
        add_dense(layer.style, f"{name}.modulation")

    for index, layer in enumerate(generator.mapping.dense_layers, start=1):
        add_dense(layer, f"style.{index}")
    for index, layer in enumerate(generator.convolutions):
        name = f"convs.{index - 1}" if index else "conv1"
        add_modulated(layer.convolution, f"{name}.conv")
        parts[f"{name}.noise.weight"] = Part(layer.noise.strength, "scalar")
        parts[f"{name}.activate.bias"] = Part(layer.bias)
    for index, layer in enumerate(generator.to_rgb):
        name = f"to_rgbs.{index - 1}" if index else "to_rgb1"
        add_modulated(layer.convolution, f"{name}.conv")
        parts[f"{name}.bias"] = Part(layer.bias)
    return parts


def discriminator_parts(discriminator):
    """Name in rosinality's layout, and `Part`, of each variable of a `StyleGAN2Discriminator`."""
    parts = {}

    def add(layer, name, bias=None, kind="convolution"):
        parts[f"{name}.weight"] = Part(layer.kernel, kind)
        if bias:
            parts[f"{bias}.bias"] = Part(layer.bias)

    add(discriminator.from_rgb, "convs.0.0", "convs.0.1")
    for index, (first, second, skip) in enumerate(reversed(discriminator.blocks), start=1):
        name = f"convs.{index}"
        add(first, f"{name}.conv1.0", f"{name}.conv1.1")
        add(second, f"{name}.conv2.1", f"{name}.conv2.2")  # 0 is the low-pass filter
        add(skip, f"{name}.skip.1")
    head = discriminator.head
    add(head.convolution, "final_conv.0", "final_conv.1")
    parts["final_linear.0.weight"] = Part(head.dense.kernel, "flattened", head.base_shape)
    parts["final_linear.0.bias"] = Part(head.dense.bias)
    add(head.score, "final_linear.1", "final_linear.1", "dense")
    return parts
