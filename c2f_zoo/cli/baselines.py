"""What a trained model is compared with: OpenCV's classical methods, and no motion at all."""

from c2f_zoo.cli.common import CommandError

BASELINES = {
    "zero": "no motion anywhere: what the numbers are without any method",
    "farneback": "OpenCV's Farneback (2003) with the parameters of its documentation",
    "dis": "OpenCV's DIS (Kroeger et al. 2016), preset medium",
}
STEREO_BASELINES = {
    "sgbm": "OpenCV's semi-global matching (Hirschmüller 2008) in three directions, blocks of 3x3; "
    "holes take the disparity to their left, those at the edge that to their right",
    "sgbm_padded": "the same on images continued to the left by the range, without which it finds "
    "nothing there",
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


def make_stereo_baseline(name, max_disparity=128):
    """Make a method of `STEREO_BASELINES`: left and right (H, W, 3) to disparity (H, W, 1)."""
    import numpy as np

    cv2 = opencv(name)
    area = 3 * 3**2  # channels and pixels of a block
    matcher = cv2.StereoSGBM_create(
        numDisparities=-(-max_disparity // 16) * 16,
        blockSize=3,
        P1=8 * area,
        P2=32 * area,
        disp12MaxDiff=2,
        preFilterCap=31,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )

    border = max_disparity if name == "sgbm_padded" else 0

    def match(left, right):
        images = [_bytes(image)[..., ::-1] for image in (left, right)]
        images = [np.pad(image, ((0, 0), (border, 0), (0, 0)), "edge") for image in images]
        levels = matcher.compute(*images)[:, border:]
        return _filled_from_left(levels / 16)[..., None]

    return match


def _filled_from_left(disparity):
    """Give holes of a map (H, W), negative values, the value to their left, or else right."""
    import numpy as np

    columns = np.arange(disparity.shape[1])
    known = disparity >= 0
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    first = np.where(known.any(axis=1), known.argmax(axis=1), 0)[:, None]
    filled = np.take_along_axis(disparity, np.where(left < 0, first, left), axis=1)
    return np.maximum(filled, 0).astype(np.float32)  # 0 in rows without any


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
    return cv2.cvtColor(_bytes(image), cv2.COLOR_RGB2GRAY)


def _bytes(image):
    import numpy as np

    return np.round(255 * image).astype(np.uint8)
