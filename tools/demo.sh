#!/bin/sh
# usage: tools/demo.sh PROGRAM
# What `make run` shows: the bundled models on all devices, then one of them kernel by kernel.
set -eu
program=$1
show() {
  printf '\n$ nn-meter %s\n' "$*"
  "$program" "$@"
}
show predict --quiet --predictor all --onnx examples/mobilenet_v2.onnx examples/resnet18.onnx examples/squeezenet.onnx
show predict --predictor cortexA76cpu_tflite21 --onnx examples/squeezenet.onnx --breakdown
