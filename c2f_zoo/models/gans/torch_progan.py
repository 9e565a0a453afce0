"""The weights of ProGAN in the layouts of two PyTorch codes, read without PyTorch."""

import math
import warnings
from pathlib import Path

import numpy as np

from c2f_zoo.backend import to_numpy
from c2f_zoo.hub import read_torch_content
from c2f_zoo.hub.torch_files.matching import check_tensors
from c2f_zoo.models.gans.progan import ProGAN
from c2f_zoo.models.gans.torch_layers import Part, assign, numbered, own_names

# pytorch_GAN_zoo saves its settings as an object of its class `BaseConfig`.
_SETTINGS = "models.utils.config."
_GROUP = 4  # samples of a minibatch standard deviation, in both codes


def convert_torch_progan(path):
    """Read a checkpoint of ProGAN from pytorch_GAN_zoo or from pro_gan_pytorch.

    The names in the file tell them apart; sizes and widths are those of its tensors. Both codes
    depart from the paper, and the model takes it over, so that it makes the same images:
    pytorch_GAN_zoo has a bias for each pixel of the base map (`pixel_bias`), pro_gan_pytorch
    normalises neither the latents nor the base map (`normalization="convolutions"`). Their other
    constants become part of the weights. Scores agree within one group of four images: the codes
    form the groups of the minibatch standard deviation in other ways.

    Args:
        path: The checkpoint, in either format of `torch.save`. Of pytorch_GAN_zoo what its
            `BaseGAN.save` writes, with `"avgG"`, `"netG"` and `"netD"`; of pro_gan_pytorch a
            `depth_*.bin` file, with `"shadow_generator"`, `"generator"` and `"discriminator"`.

    Returns:
        `ProGAN` with the file's weights; the averaged generator's where there is one. A
        discriminator that is not there keeps its initial weights, with a warning.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no such checkpoint, the network differs from ProGAN in another
            way, or tensors are missing, have another shape or do not belong to the network; the
            message lists them.

    Source: github.com/facebookresearch/pytorch_GAN_zoo, models/networks;
    github.com/akanimax/pro_gan_pytorch (version 3), networks.py.

    Example:
        ```python
        model = convert_torch_progan("celebaHQ_s6_i80000-1.pth")
        images = model.generate(16, seed=0)
        ```
    """
    path = Path(path)
    content = read_torch_content(path, record_prefix=_SETTINGS)
    for layout in (_GANZoo, _ProGANPytorch):
        networks = layout.networks(content)
        if networks:
            return _convert(layout, networks, content, path)
    raise ValueError(
        "A checkpoint of ProGAN holds its generator as 'avgG' or 'netG' (pytorch_GAN_zoo), or as "
        f"'shadow_generator' or 'generator' (pro_gan_pytorch). Received: {path}, with entries "
        f"{sorted(map(str, content))[:10]}"
    )


def _convert(layout, networks, content, path):
    averaged = networks.get("average") or networks.get("generator")
    if averaged is None:
        raise ValueError(f"The file must hold a generator. Received: {path}, {sorted(networks)}")
    try:
        arguments = layout.arguments(averaged, networks.get("discriminator"), content)
    except KeyError as error:
        raise ValueError(
            f"The generator must be that of {layout.code}, with a tensor {error}. "
            f"Received: {path}, with {', '.join(sorted(averaged)[:5])}"
        ) from None
    model = ProGAN(**arguments)
    reader = layout(layout.is_equalized(content))
    for generator, tensors in (
        (model.ema_generator, averaged),
        (model.generator, networks.get("generator") or averaged),
    ):
        _load(reader.generator(generator), tensors, f"generator of {layout.code}", path)
    if "discriminator" in networks:
        parts = reader.discriminator(model.discriminator)
        _load(parts, networks["discriminator"], f"discriminator of {layout.code}", path)
        if layout.is_unbiased and model.discriminator.group_size:
            kernel = model.discriminator.head.convolution.kernel
            value = np.array(to_numpy(kernel))
            # The variance of n samples there is n / (n - 1) of the one here.
            value[:, :, -1] *= math.sqrt(_GROUP / (_GROUP - 1))
            kernel.assign(value)
    else:
        warnings.warn(f"{path.name} holds no discriminator", stacklevel=3)
    return model


def _load(parts, tensors, network, path):
    check_tensors(tensors, {k: v.torch_shape for k, v in parts.items()}, network, path)
    assign(parts, tensors)


class _Layout:
    """Parts of both networks by name, for layers whose constant is sqrt(2 / fan-in), or 1.

    `scales_bias`: the constant multiplies the layer's output, and so the bias too.
    """

    scales_bias = False

    def __init__(self, is_equalized):
        self.is_equalized = is_equalized

    def parts(self, name, layer, kind="convolution", base_shape=(1, 1), bias=None, bias_kind=None):
        """The parts of a layer's kernel and bias; `bias` is that of another layer."""
        fan_in = math.prod(layer.kernel.shape[:-1])
        constant = math.sqrt(2 / fan_in) if self.is_equalized else 1.0
        scale = constant / layer.kernel_scale
        bias_scale = constant if self.scales_bias else 1.0
        bias = layer.bias if bias is None else bias
        return {
            f"{name}.weight": Part(layer.kernel, kind, base_shape, scale),
            f"{name}.bias": Part(bias, bias_kind or "vector", base_shape, bias_scale),
        }


class _GANZoo(_Layout):
    """pytorch_GAN_zoo."""

    code = "pytorch_GAN_zoo"
    scales_bias = is_unbiased = True

    @staticmethod
    def networks(content):
        names = {"avgG": "average", "netG": "generator", "netD": "discriminator"}
        found = {
            names[key]: {
                name.replace(".module.", "."): tensor for name, tensor in own_names(value).items()
            }
            for key, value in content.items()
            if key in names and isinstance(value, dict) and value
        }
        return found

    @staticmethod
    def is_equalized(content):
        return bool(_settings(content).get("equalizedlR", True))

    @staticmethod
    def arguments(generator, discriminator, content):
        settings = _settings(content)
        leak, criterion = settings.get("leakyReluLeak", 0.2), settings.get("lossCriterion")
        if abs(leak - 0.2) > 1e-6 or criterion == "DCGAN":
            raise ValueError(
                "ProGAN has a LeakyReLU of slope 0.2 and a linear output. Received: slope "
                f"{leak}, loss {criterion}"
            )
        widths = [
            len(generator["groupScale0.0.weight"]),
            *(
                len(generator[f"scaleLayers.{index}.1.weight"])
                for index in numbered(generator, "scaleLayers.{}.1.weight")
            ),
        ]
        labels = int(settings.get("categoryVectorDim", 0))
        has_stddev = (
            discriminator is None
            or discriminator["groupScaleZero.0.weight"].shape[1] == widths[0] + 1
        )
        return {
            "resolution": 4 * 2 ** (len(widths) - 1),
            "latent_size": generator["formatLayer.weight"].shape[1] - labels,
            "label_size": labels,
            "num_filters": widths,
            "normalization": bool(settings.get("perChannelNormalization", True)),
            "group_size": _GROUP if has_stddev else None,
            "image_channels": len(generator["toRGBLayers.0.bias"]),
            "pixel_bias": True,
        }

    def generator(self, network):
        base = network.base
        options = {"bias": base.bias, "bias_kind": "unflattened bias"}
        parts = self.parts("formatLayer", base.dense, "unflattened", base.base_shape, **options)
        for index, layers in enumerate(network.blocks):
            for position, layer in enumerate(layers):
                name = f"scaleLayers.{index - 1}.{position}" if index else "groupScale0.0"
                parts |= self.parts(name, layer)
        for index, layer in enumerate(network.to_rgb):
            parts |= self.parts(f"toRGBLayers.{index}", layer)
        return parts

    def discriminator(self, network):
        head, parts = network.head, {}
        for index, layer in enumerate(network.from_rgb):
            parts |= self.parts(f"fromRGBLayers.{index}", layer)
        for index, layers in enumerate(network.blocks):
            for position, layer in enumerate(layers):
                parts |= self.parts(f"scaleLayers.{index}.{position}", layer)
        parts |= self.parts("groupScaleZero.0", head.convolution)
        parts |= self.parts("groupScaleZero.1", head.dense, "flattened", head.base_shape)
        return parts | self.parts("decisionLayer", head.score, "dense")


class _ProGANPytorch(_Layout):
    """pro_gan_pytorch."""

    code = "pro_gan_pytorch"
    is_unbiased = False

    @staticmethod
    def networks(content):
        names = {"shadow_generator": "average", "generator": "generator"}
        names["discriminator"] = "discriminator"
        return {
            names[key]: own_names(value["state_dict"])
            for key, value in content.items()
            if key in names and isinstance(value, dict) and value.get("state_dict")
        }

    @staticmethod
    def is_equalized(content):
        settings = (
            content.get(key, {}).get("conf", {}) for key in ("shadow_generator", "generator")
        )
        return all(each.get("use_eql", True) for each in settings)

    @staticmethod
    def arguments(generator, discriminator, content):
        widths = [
            len(generator[f"layers.{index}.conv_2.weight"])
            for index in numbered(generator, "layers.{}.conv_2.weight")
        ]
        return {
            "resolution": 4 * 2 ** (len(widths) - 1),
            "latent_size": generator["layers.0.conv_1.weight"].shape[0],
            "num_filters": widths,
            "normalization": "convolutions",
            "group_size": _GROUP,
            "image_channels": len(generator["rgb_converters.0.bias"]),
        }

    def generator(self, network):
        base = network.base
        name = "layers.0.conv_1"
        parts = self.parts(name, base.dense, "from pixel", base.base_shape, base.bias)
        for index, layers in enumerate(network.blocks):
            # The base map is the first block's first layer.
            for position, layer in enumerate(layers, start=1 if index else 2):
                parts |= self.parts(f"layers.{index}.conv_{position}", layer)
        for index, layer in enumerate(network.to_rgb):
            parts |= self.parts(f"rgb_converters.{index}", layer)
        return parts

    def discriminator(self, network):
        head, parts, last = network.head, {}, len(network.blocks)
        for index, layers in enumerate(reversed(network.blocks)):
            for position, layer in enumerate(layers, start=1):
                parts |= self.parts(f"layers.{index}.conv_{position}", layer)
        for index, layer in enumerate(reversed(network.from_rgb)):
            parts |= self.parts(f"from_rgb.{index}.0", layer)
        parts |= self.parts(f"layers.{last}.conv_1", head.convolution)
        parts |= self.parts(f"layers.{last}.conv_2", head.dense, "to pixel", head.base_shape)
        # A 1x1 convolution of one pixel.
        return parts | self.parts(f"layers.{last}.conv_3", head.score, "to pixel")


def _settings(content):
    settings = content.get("config")
    return settings if isinstance(settings, dict) else {}
