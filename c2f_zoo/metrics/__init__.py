"""Metrics as their benchmarks define them, as `keras.metrics.Metric`."""

from c2f_zoo.metrics.flow import AngularError, EndPointError, OutlierRate, flow_metrics

__all__ = ["AngularError", "EndPointError", "OutlierRate", "flow_metrics"]
