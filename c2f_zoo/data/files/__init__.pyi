from .atomic import atomic_write as atomic_write
from .flo import read_flo as read_flo
from .flo import write_flo as write_flo
from .flow import read_flow as read_flow
from .flow import write_flow as write_flow
from .flow_array import UNKNOWN_FLOW as UNKNOWN_FLOW
from .flow_array import UNKNOWN_FLOW_THRESHOLD as UNKNOWN_FLOW_THRESHOLD
from .images import (
    as_numpy as as_numpy,
)
from .images import (
    check_same_size as check_same_size,
)
from .images import (
    load_image as load_image,
)
from .images import (
    save_image as save_image,
)
from .kitti_png import KITTI_FLOW_RANGE as KITTI_FLOW_RANGE
from .kitti_png import read_kitti_flow as read_kitti_flow
from .kitti_png import write_kitti_flow as write_kitti_flow
from .pfm import read_pfm as read_pfm
from .pfm import write_pfm as write_pfm
from .picture_grid import (
    enlarge_pixels as enlarge_pixels,
)
from .picture_grid import (
    image_grid as image_grid,
)
from .picture_grid import (
    save_film as save_film,
)
from .pictures import (
    Picture as Picture,
)
from .pictures import (
    read_mask as read_mask,
)
from .pictures import (
    read_picture as read_picture,
)
from .pictures import (
    write_picture as write_picture,
)
from .png16 import decode_png16 as decode_png16
from .png16 import encode_png16 as encode_png16
from .video import VideoWriter as VideoWriter
from .video import read_frames as read_frames
