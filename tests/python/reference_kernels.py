"""Kernels by nn-Meter 2.0 itself, for test_parity.py; runs in the reference's own virtual environment.

usage: reference_kernels.py RULES.json < IRs, one JSON object a line > kernels or {"error": ...}, one a line
"""

import json
import logging
import sys

from nn_meter.kernel_detector import KernelDetector

logging.disable(logging.CRITICAL)
detector = KernelDetector(sys.argv[1])
for line in sys.stdin:
    try:
        detector.load_graph(json.loads(line))
        result = detector.get_kernels()
    except Exception as fault:  # whatever it stops with is an answer
        result = {"error": repr(fault)}
    print(json.dumps(result))
