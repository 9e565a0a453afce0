"""The papers' operations, as functions and Keras layers."""

from c2f_zoo.layers.adain import AdaIN, instance_norm
from c2f_zoo.layers.convex_upsampling import convex_upsample
from c2f_zoo.layers.convolution import Conv2D, Conv2DTranspose
from c2f_zoo.layers.convolution3d import Conv3D, Conv3DTranspose
from c2f_zoo.layers.correlation import local_correlation
from c2f_zoo.layers.correlation_pyramid import CorrelationPyramid
from c2f_zoo.layers.cost_volume import concatenation_volume, correlation_volume, narrow_volume
from c2f_zoo.layers.depth_coding import decode_depth, encode_depth
from c2f_zoo.layers.equalized import EqualizedConv2D, EqualizedDense, scaled_leaky_relu
from c2f_zoo.layers.fir import (
    blur,
    downsample_fir,
    resampling_conv2d,
    upsample_fir,
    upsample_nearest,
)
from c2f_zoo.layers.image_norm import image_norm
from c2f_zoo.layers.interpolation import (
    interpolate_at,
    linear_taps,
    resize_bilinear,
    resize_linear,
)
from c2f_zoo.layers.luma import luma
from c2f_zoo.layers.minibatch_stddev import MinibatchStddev, minibatch_stddev
from c2f_zoo.layers.modulated_convolution import ModulatedConv2D, modulated_conv2d
from c2f_zoo.layers.noise_injection import NoiseInjection
from c2f_zoo.layers.padding import crop_to, pad_to_stride, padding_before
from c2f_zoo.layers.pixel_norm import PixelNorm, pixel_norm
from c2f_zoo.layers.resampling import (
    Upsampling,
    average_pool,
    depth_to_space,
    max_pool,
    space_to_depth,
    upsample_bilinear,
)
from c2f_zoo.layers.restriction import restrict
from c2f_zoo.layers.similarity import masked_similarity, structural_similarity
from c2f_zoo.layers.soft_argmin import soft_argmin
from c2f_zoo.layers.time_embedding import TimeFeatures, sinusoid
from c2f_zoo.layers.warp import warp
from c2f_zoo.layers.window_pool import window_pool

__all__ = [
    "AdaIN",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "CorrelationPyramid",
    "EqualizedConv2D",
    "EqualizedDense",
    "MinibatchStddev",
    "ModulatedConv2D",
    "NoiseInjection",
    "PixelNorm",
    "TimeFeatures",
    "Upsampling",
    "average_pool",
    "blur",
    "concatenation_volume",
    "convex_upsample",
    "correlation_volume",
    "crop_to",
    "decode_depth",
    "depth_to_space",
    "downsample_fir",
    "encode_depth",
    "image_norm",
    "instance_norm",
    "interpolate_at",
    "linear_taps",
    "local_correlation",
    "luma",
    "masked_similarity",
    "max_pool",
    "minibatch_stddev",
    "modulated_conv2d",
    "narrow_volume",
    "pad_to_stride",
    "padding_before",
    "pixel_norm",
    "resampling_conv2d",
    "resize_bilinear",
    "resize_linear",
    "restrict",
    "scaled_leaky_relu",
    "sinusoid",
    "soft_argmin",
    "space_to_depth",
    "structural_similarity",
    "upsample_bilinear",
    "upsample_fir",
    "upsample_nearest",
    "warp",
    "window_pool",
]
