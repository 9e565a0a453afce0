"""The encoder of a network by itself: images in, feature maps of known strides out."""

import keras
from keras import ops

from c2f_zoo import checks
from c2f_zoo.layers import crop_to, pad_to_stride
from c2f_zoo.tasks.pixels import to_unit_range
from c2f_zoo.tasks.quantization import refuse_quantization


class FeatureTask:
    """Mixin that gives a network `feature_extractor()`.

    The network defines `encode` and the attributes.

    Attributes:
        feature_strides: Strides of the maps of `encode`, fine to coarse: pixels of the image for
            a pixel of the map, below 1 where the network enlarges images first.
        feature_parts: List of the layers, and variables of the network's own, that `encode` uses.
    """

    def encode(self, images, condition=None, training=None):
        """Compute the features of images.

        Args:
            images: float32 tensor (B, H, W, C) in [0, 1], H and W multiples of the last stride.
            condition: What else the network takes, such as times (B,); None if there is nothing.
            training: As for the network's call.

        Returns:
            List of tensors (B, H / s, W / s, C_s), one for each of `feature_strides`.
        """
        raise NotImplementedError

    def feature_extractor(self):
        """Return the network's encoder as a model of its own, which shares the weights.

        It maps images (B, H, W, 3), uint8 or float in [0, 1], of any size to a list of feature
        maps (B, ceil(H / s), ceil(W / s), C_s), fine to coarse, in the compute dtype. The strides
        s are its attribute `strides`. Where the network takes more than images (a time, a mask), it
        takes that too.

        Returns:
            `FeatureExtractor`, a `keras.Model`; set its `trainable` to freeze the weights.

        Example:
            >>> import numpy as np
            >>> from c2f_zoo import PWCNetLite
            >>> extractor = PWCNetLite().feature_extractor()
            >>> features = extractor(np.zeros((1, 64, 96, 3), "float32"))
            >>> extractor.strides, tuple(features[1].shape[:3])
            ((2, 4, 8, 16, 32, 64), (1, 16, 24))
        """
        return FeatureExtractor(self)

    def feature_maps(self, inputs, training=None):
        """Compute the features of images of any size, see `feature_extractor`.

        Args:
            inputs: Images (B, H, W, 3), or what else the extractor takes.
            training: As for the network's call.

        Returns:
            List of tensors (B, ceil(H / s), ceil(W / s), C_s).
        """
        name, channels = type(self).__name__, getattr(self, "image_channels", 3)
        if isinstance(inputs, (list, tuple, dict)):
            raise ValueError(
                f"The features of {name} are of images alone. Received: {len(inputs)} inputs"
            )
        axes = (checks.SOME, checks.SOME, checks.SOME, channels)
        checks.shape(f"images of {name}", inputs, f"(B, H, W, {channels})", axes)
        return self._encode_padded(to_unit_range(ops.convert_to_tensor(inputs)), None, training)

    def _encode_padded(self, images, condition, training):
        strides = self.feature_strides
        padded = pad_to_stride(images, max(1, int(strides[-1])))
        maps = self.encode(padded, condition, training=training)
        size = ops.shape(images)[1:3]
        return [
            crop_to(features, *(_shrunk(side, stride) for side in size))
            for features, stride in zip(maps, strides, strict=True)
        ]


def _shrunk(side, stride):
    """Pixels of a feature map along a side of the image."""
    return side * round(1 / stride) if stride < 1 else (side + stride - 1) // stride


@keras.saving.register_keras_serializable(package="c2f_zoo")
class FeatureExtractor(keras.Model):
    """Encoder of a network, with the network's own weights; see `feature_extractor` of a model.

    Args:
        network: A `FeatureTask`, such as `PWCNet` or `DepthUNet`.
        **kwargs: `name` of `keras.Model`.

    Attributes:
        strides: Tuple of the strides of the maps, fine to coarse.

    Call arguments:
        inputs: Images (B, H, W, 3), RGB, uint8 or float in [0, 1]; with times (B,) or masks
            (B, H, W, 1) for a network that takes them.
        training: As for the network's call.

    Returns:
        List of tensors (B, ceil(H / s), ceil(W / s), C_s), fine to coarse.

    Raises:
        ValueError: If the inputs have another shape.

    Example:
        >>> import numpy as np
        >>> from c2f_zoo import DepthUNet
        >>> maps = FeatureExtractor(DepthUNet("lite"))(np.zeros((1, 32, 48, 3), "float32"))
        >>> [tuple(features.shape[1:3]) for features in maps]
        [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    """

    quantize = refuse_quantization

    def __init__(self, network, **kwargs):
        super().__init__(autocast=False, dtype=network.dtype_policy, **kwargs)
        # Not an attribute that Keras tracks: of the network's layers the encoder's alone belong
        # to this model.
        self._network = lambda: network
        self.parts = list(network.feature_parts)
        self.built = True

    @property
    def strides(self):
        """Strides of the maps, fine to coarse."""
        return tuple(self._network().feature_strides)

    def call(self, inputs, training=None):
        return self._network().feature_maps(inputs, training)

    def get_config(self):
        config = {"network": keras.saving.serialize_keras_object(self._network())}
        return {"name": self.name, **config}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        return cls(network, name=config["name"])
