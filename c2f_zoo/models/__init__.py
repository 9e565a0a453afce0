"""Architectures, one file each, readable beside their papers."""

from c2f_zoo.models.pwcnet import PWCNet

__all__ = ["PWCNet"]
