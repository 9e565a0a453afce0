"""What a trained flow model is compared with: OpenCV's classical methods, and no motion at all."""

from c2f_zoo.cli.common import CommandError

BASELINES = {
    "zero": "no motion anywhere: what the numbers are without any method",
    "farneback": "OpenCV's Farneback (2003) with the parameters of its documentation",
    "dis": "OpenCV's DIS (Kroeger et al. 2016), preset medium",
}


def make_baseline(name):
    """Make a method of `BASELINES`: two images (H, W, 3) in [0, 1] to flow (H, W, 2), pixels."""
    import numpy as np

    if name == "zero":
        return lambda first, second: np.zeros((*first.shape[:2], 2), np.float32)
    cv2 = opencv(name)
    if name == "dis":
        dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        return lambda first, second: dis.calc(_grey(cv2, first), _grey(cv2, second), None)
    parameters = {"pyr_scale": 0.5, "levels": 3, "winsize": 15, "iterations": 3}
    parameters |= {"poly_n": 5, "poly_sigma": 1.2, "flags": 0}
    return lambda first, second: cv2.calcOpticalFlowFarneback(
        _grey(cv2, first), _grey(cv2, second), None, **parameters
    )


def opencv(baseline):
    """Import OpenCV for a baseline."""
    try:
        import cv2
    except ImportError as error:
        raise CommandError(
            f'The baseline {baseline} needs OpenCV: pip install "c2f_zoo[opencv]". '
            f"Received: {error}"
        ) from error
    return cv2


def _grey(cv2, image):
    import numpy as np

    return cv2.cvtColor(np.round(255 * image).astype(np.uint8), cv2.COLOR_RGB2GRAY)
