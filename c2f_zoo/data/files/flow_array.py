"""Optical flow as arrays, whatever file they are stored in.

A flow is float32 (H, W, 2) in pixels, u right and v down; its mask is (H, W, 1), nonzero where the
flow is known.
"""

import numpy as np

from c2f_zoo.data.files.images import as_numpy

# Middlebury: a component beyond the threshold means "unknown", and is written as 1e10.
UNKNOWN_FLOW = 1e10
UNKNOWN_FLOW_THRESHOLD = 1e9


def check_flow(flow, valid=None):
    """Check a flow and its mask (default: known everywhere) before they are written.

    Returns the flow as float32 array (H, W, 2), the mask as bool array (H, W, 1).
    """
    flow = as_numpy(flow)
    if flow.ndim != 3 or flow.shape[2] != 2 or not flow.size or flow.dtype.kind not in "fiu":
        raise ValueError(
            "A flow must be a non-empty array of numbers of shape (H, W, 2). "
            f"Received: shape {flow.shape}, dtype {flow.dtype}"
        )
    flow = flow.astype(np.float32, copy=False)
    shape = (*flow.shape[:2], 1)
    known = np.ones(shape, bool) if valid is None else as_numpy(valid)
    if known.shape not in (shape, shape[:2]):
        raise ValueError(
            f"The mask of a flow of shape {flow.shape} must have the shape {shape[:2]} or {shape}. "
            f"Received: shape {known.shape}"
        )
    known = known.reshape(shape) != 0
    bad = int((~np.isfinite(flow) & known).sum())
    if bad:
        raise ValueError(
            "A known flow must be finite (mark other pixels as unknown with `valid`). "
            f"Received: {bad} values that are NaN or inf"
        )
    return flow, known


def mark_unknown(flow, valid=None):
    """Check a flow and its mask; return the flow with `UNKNOWN_FLOW` where it is unknown."""
    flow, known = check_flow(flow, valid)
    return np.where(known, flow, np.float32(UNKNOWN_FLOW))


def split_unknown(flow):
    """Return a flow (H, W, 2) with 0 where it is unknown, and its mask (H, W, 1), both float32."""
    # A comparison with NaN is False, so NaN counts as unknown.
    known = (np.abs(flow) <= UNKNOWN_FLOW_THRESHOLD).all(axis=-1, keepdims=True)
    return np.where(known, flow, np.float32(0)), known.astype(np.float32)
