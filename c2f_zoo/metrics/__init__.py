"""Metrics as their benchmarks define them: of flow as `keras.metrics.Metric`, of sets of images."""

from c2f_zoo.metrics.feature_distances import (
    FeatureDistances,
    frechet_distance,
    kernel_distance,
    precision_recall,
)
from c2f_zoo.metrics.flow import AngularError, EndPointError, OutlierRate, flow_metrics
from c2f_zoo.metrics.ms_ssim import MSSSIM, ms_ssim
from c2f_zoo.metrics.streaming import ImageSetMetric, Moments, RowStore, measure_images
from c2f_zoo.metrics.swd import SlicedWasserstein, laplacian_pyramid

__all__ = [
    "MSSSIM",
    "AngularError",
    "EndPointError",
    "FeatureDistances",
    "ImageSetMetric",
    "Moments",
    "OutlierRate",
    "RowStore",
    "SlicedWasserstein",
    "flow_metrics",
    "frechet_distance",
    "kernel_distance",
    "laplacian_pyramid",
    "measure_images",
    "ms_ssim",
    "precision_recall",
]
