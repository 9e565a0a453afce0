"""Small networks with random weights for tests of the image level: local ones, and one not."""

import keras
import numpy as np
from keras import ops

from c2f_zoo.layers import crop_to, pad_to_stride, upsample_bilinear, upsample_nearest
from c2f_zoo.tasks.restoration.task import RestorationTask


class LocalNet(RestorationTask, keras.Model):
    """An hourglass of stride 4 without anything global: what it answers depends on its reach."""

    def __init__(self, scale=1, mask=False, time_embedding=False, is_global=False, seed=0):
        super().__init__(autocast=False)
        self.scale, self.mask, self.time_embedding = scale, mask, time_embedding
        self.stride, self.is_global = 4, is_global
        self.reach = None if is_global else 2 + 3 + 2 + 4 + 4 + 3
        self.shapes = set()  # of the images that it was called with
        rng = np.random.default_rng(seed)
        self.convolutions = []
        widths = [(3 + bool(mask), 6, 1), (6, 6, 2), (6, 6, 2), (6, 6, 1), (6, 6, 1), (6, 3, 1)]
        for channels, filters, strides in widths:
            layer = keras.layers.Conv2D(filters, 3, strides, "same", activation="tanh")
            layer.build((None, None, None, channels))
            for weight in layer.weights:
                weight.assign(rng.normal(size=weight.shape) * 0.25)
            self.convolutions.append(layer)
        self.built = True

    def call(self, inputs):
        images, more = inputs if self.mask or self.time_embedding else (inputs, None)
        self.shapes.add(tuple(images.shape))
        height, width = images.shape[1:3]
        x = pad_to_stride(images, 4)
        if self.mask:
            x = ops.concatenate([x, pad_to_stride(more, 4)], axis=-1)
        stem, down, coarse, middle, up, head = self.convolutions
        fine = stem(x)
        x = middle(coarse(down(fine)))
        x = up(upsample_nearest(upsample_nearest(x))) + fine
        x = crop_to(head(x), height, width)
        if self.is_global:
            x = x + ops.mean(images, axis=(1, 2), keepdims=True)
        if self.time_embedding:
            x = x * ops.reshape(more, (-1, 1, 1, 1))
        return (
            0.2 * x + upsample_bilinear(images, self.scale)
            if self.scale == 1
            else (upsample_bilinear(images + 0.2 * x, self.scale))
        )
