"""Times nn-Meter 2.0 in one process, from file to latency; runs inside its own virtual environment.

usage: reference.py PREDICTOR REPEATS MODEL...     prints one JSON object a line

Times are processor time, as in bench_predict.c.
"""

import contextlib
import io
import json
import logging
import statistics
import sys
import time

import nn_meter


def main():
    name, repeats, models = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    logging.disable(logging.CRITICAL)
    with contextlib.redirect_stdout(io.StringIO()):
        predictor = nn_meter.load_latency_predictor(name)
    for model in models:
        times = []
        try:
            for _ in range(repeats):
                start = time.process_time()
                latency = predictor.predict(model, "onnx")
                times.append((time.process_time() - start) * 1e3)
        except Exception as error:  # whatever it raises is its answer for this model
            print(json.dumps({"model": model, "error": f"{type(error).__name__}: {error}"}), flush=True)
            continue
        total = {"min": min(times), "median": statistics.median(times)}
        print(json.dumps({"model": model, "latency_ms": float(latency), "total_ms": total}), flush=True)


if __name__ == "__main__":
    main()
