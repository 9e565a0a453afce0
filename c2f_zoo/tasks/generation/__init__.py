"""Generating, projecting and interpolating images."""
