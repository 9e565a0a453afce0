from .depth import (
    AbsoluteRelativeError as AbsoluteRelativeError,
    DepthAccuracy as DepthAccuracy,
    DepthRMSE as DepthRMSE,
    LogDepthRMSE as LogDepthRMSE,
    ScaleInvariantLogError as ScaleInvariantLogError,
    SquaredRelativeError as SquaredRelativeError,
    depth_metrics as depth_metrics,
)
from .feature_distances import (
    FeatureDistances as FeatureDistances,
    frechet_distance as frechet_distance,
    kernel_distance as kernel_distance,
    precision_recall as precision_recall,
)
from .flow import (
    AngularError as AngularError,
    EndPointError as EndPointError,
    OutlierRate as OutlierRate,
    flow_metrics as flow_metrics,
)
from .image_quality import (
    MSSSIM as MSSSIM,
    PSNR as PSNR,
    SSIM as SSIM,
    ms_ssim as ms_ssim,
    psnr as psnr,
    ssim as ssim,
)
from .pairwise_ms_ssim import PairwiseMSSSIM as PairwiseMSSSIM
from .stereo import (
    BadPixelRate as BadPixelRate,
    DisparityError as DisparityError,
    stereo_metrics as stereo_metrics,
)
from .streaming import (
    ImageSetMetric as ImageSetMetric,
    Moments as Moments,
    RowStore as RowStore,
    measure_images as measure_images,
)
from .swd import SlicedWasserstein as SlicedWasserstein, laplacian_pyramid as laplacian_pyramid
