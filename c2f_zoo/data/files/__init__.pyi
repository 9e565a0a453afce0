from .atomic import atomic_write as atomic_write
from .depth import read_depth as read_depth, write_depth as write_depth
from .disparity import read_disparity as read_disparity, write_disparity as write_disparity
from .flo import read_flo as read_flo, write_flo as write_flo
from .flow import read_flow as read_flow, write_flow as write_flow
from .flow_array import (
    UNKNOWN_FLOW as UNKNOWN_FLOW,
    UNKNOWN_FLOW_THRESHOLD as UNKNOWN_FLOW_THRESHOLD,
)
from .images import (
    as_numpy as as_numpy,
    check_same_size as check_same_size,
    load_image as load_image,
    save_image as save_image,
)
from .kitti_png import (
    KITTI_FLOW_RANGE as KITTI_FLOW_RANGE,
    read_kitti_flow as read_kitti_flow,
    write_kitti_flow as write_kitti_flow,
)
from .pfm import read_pfm as read_pfm, write_pfm as write_pfm
from .picture_grid import (
    enlarge_pixels as enlarge_pixels,
    image_grid as image_grid,
    save_film as save_film,
)
from .pictures import (
    Picture as Picture,
    read_mask as read_mask,
    read_picture as read_picture,
    write_picture as write_picture,
)
from .ply import write_ply as write_ply
from .png16 import decode_png16 as decode_png16, encode_png16 as encode_png16
from .video import VideoWriter as VideoWriter, read_frames as read_frames
