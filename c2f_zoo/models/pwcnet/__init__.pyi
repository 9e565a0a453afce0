from .lite import PWCNetLite as PWCNetLite
from .pwcnet import PWCNet as PWCNet
