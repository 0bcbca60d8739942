"""The public benchmark of nn-Meter."""

from .bench_dataset import bench_dataset

__all__ = ["bench_dataset"]
