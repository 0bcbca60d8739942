"""The numbers that nn-Meter 2.0's predictors are asked with."""

import csv
import json

from ..._core import compat_rows

__all__ = [
    "get_conv_mem",
    "get_depthwise_flop",
    "get_flop",
    "get_flops_params",
    "get_predict_features",
    "read_model_latency",
]


def get_flop(input_channel, output_channel, k, H, W, stride):
    """(operations, weights) of a convolution with a bias; the size of the output is not rounded."""
    weights = output_channel * (k * k * input_channel + 1)
    return 2 * H / stride * W / stride * weights, weights


def get_depthwise_flop(input_channel, output_channel, k, H, W, stride):
    """(operations, weights) of a depthwise convolution with a bias."""
    weights = output_channel * (k * k + 1)
    return 2 * H / stride * W / stride * weights, weights


def get_conv_mem(input_channel, output_channel, k, H, W, stride):
    """Elements that a convolution reads and writes: input, output, weights."""
    return (
        input_channel * H * W
        + output_channel * (H / stride) * (W / stride)
        + output_channel * (k * k * input_channel + 1)
    )


def get_flops_params(blocktype, hw, cin, cout, kernelsize, stride):
    """(operations, weights) of a kernel named conv... or dwconv...; None for others."""
    if "dwconv" in blocktype:
        return get_depthwise_flop(cin, cout, kernelsize, hw, hw, stride)
    if "conv" in blocktype:
        return get_flop(cin, cout, kernelsize, hw, hw, stride)
    return None


def get_predict_features(config):
    """{number: {kernel name: features}} of kernels as KernelDetector gives them."""
    from ...utils.utils import NumpyEncoder

    rows = json.loads(compat_rows(json.dumps(config, cls=NumpyEncoder).encode()))
    kept = [(kernel["op"], answer["row"]) for kernel, answer in zip(config, rows) if answer]
    return {number: {op: row} for number, (op, row) in enumerate(kept)}


def read_model_latency(latency_file):
    """{model: milliseconds} of a CSV file whose first two columns are those."""
    with open(latency_file, newline="", encoding="utf-8") as file:
        return {row[0]: float(row[1]) for row in csv.reader(file) if len(row) > 1}
