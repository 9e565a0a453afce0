from .pwcnet import PWCNet as PWCNet
