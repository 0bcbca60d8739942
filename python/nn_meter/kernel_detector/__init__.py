"""Which kernels a device makes of a graph, as nn-Meter 2.0 found them."""

from .kernel_detector import KernelDetector

__all__ = ["KernelDetector"]
