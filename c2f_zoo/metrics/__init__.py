"""Metrics as their benchmarks define them: Keras metrics of flow and images, and of image sets."""

from c2f_zoo.metrics.feature_distances import (
    FeatureDistances,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from c2f_zoo.metrics.flow import AngularError, EndPointError, OutlierRate, flow_metrics
from c2f_zoo.metrics.image_quality import MSSSIM, PSNR, SSIM, ms_ssim, psnr, ssim
from c2f_zoo.metrics.pairwise_ms_ssim import PairwiseMSSSIM
from c2f_zoo.metrics.stereo import BadPixelRate, DisparityError, stereo_metrics
from c2f_zoo.metrics.streaming import ImageSetMetric, Moments, RowStore, measure_images
from c2f_zoo.metrics.swd import SlicedWasserstein, laplacian_pyramid

__all__ = [
    "MSSSIM",
    "PSNR",
    "SSIM",
    "AngularError",
    "BadPixelRate",
    "DisparityError",
    "EndPointError",
    "FeatureDistances",
    "ImageSetMetric",
    "Moments",
    "OutlierRate",
    "PairwiseMSSSIM",
    "RowStore",
    "SlicedWasserstein",
    "flow_metrics",
    "frechet_distance",
    "kernel_distance",
    "laplacian_pyramid",
    "measure_images",
    "ms_ssim",
    "precision_recall",
    "psnr",
    "ssim",
    "stereo_metrics",
]
