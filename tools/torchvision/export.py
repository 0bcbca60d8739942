#!/usr/bin/env python3
"""Exports networks of torchvision. make_graphs.py calls it for a few at a time: torch never gives all its memory back.

usage: export.py FOLDER NAME...

Fills FOLDER/NAME with what is not there yet of
  open.onnx    the sizes in open_sizes() (networks.py) left open
  fixed.onnx   at the network's own size, where open.onnx is not enough (networks.has_second_size)
  other.onnx   at a second size, for the check of open.onnx (networks.has_second_size)
  facts.json   what torchvision says of the network: parameters, multiply-adds
No file has weights.
"""

import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import networks
from torchvision_import import import_torchvision


def has_operators() -> bool:
    """What torchvision asks before it calls one of its compiled operators."""
    return True


def declare_detection_operators(torch):
    """What the compiled part would do when detectors run: anything of the right shape, for only the trace is wanted."""
    import torchvision

    torchvision.extension._has_ops = sys.modules["torchvision.ops.roi_align"]._has_ops = has_operators
    library = torch.library.Library("torchvision", "FRAGMENT")
    try:
        library.define(
            "roi_align(Tensor input, Tensor rois, float scale, int height, int width, int ratio, bool aligned) -> Tensor"
        )
    except RuntimeError:
        pass

    def roi_align(features, rois, scale, height, width, ratio, aligned):
        return features.new_zeros((rois.shape[0], features.shape[1], height, width))

    try:
        library.impl("nms", lambda boxes, scores, threshold: torch.arange(boxes.shape[0]), "CPU")
        library.impl("roi_align", roi_align, "CPU")
    except RuntimeError:  # they did load
        pass
    return library


def make(torch, torchvision, name):
    """The network in evaluation mode. Weights are never looked at, so none are drawn: that takes longer than exporting.
    All differ, for equal ones are exported as one."""
    networks_of = torchvision.models
    drawn = {} if networks.kind_of(torchvision, name) == "detection" else vars(torch.nn.init)
    before = dict(drawn)
    for function in [each for each in drawn if each.endswith("_") and not each.startswith("_")]:
        drawn[function] = lambda tensor, *rest, **named: tensor
    options = {"weights_backbone": None} if networks.has_backbone(torchvision, name) else {}
    if name in ("inception_v3", "googlenet"):
        options["init_weights"] = False
    if name == "googlenet":  # its published weights come without the branches for training, which are not exported
        options["aux_logits"] = False
    model = networks_of.get_model(name, weights=None, **options).eval()
    drawn.update(before)
    if before:
        tensors = [*model.parameters(), *(each for each in model.buffers() if each.is_floating_point())]
        for number, tensor in enumerate(tensors):
            tensor.data.fill_(0.01 + number * 1e-5)
    return model


def facts_of(torchvision, name, model):
    facts = {
        "kind": networks.kind_of(torchvision, name),
        "input": networks.own_input(torchvision, name),
        "parameters": sum(each.numel() for each in model.parameters()),
    }
    weights = networks.figures_of(torchvision, name)
    if weights:
        facts["meta_parameters"] = weights.meta["num_params"]
        facts["meta_gigaops"] = weights.meta.get("_ops")
        facts["weights"] = weights.name
    return facts


def without_weights(data):
    """Only small tensors keep their values: shapes may be computed from them."""
    import onnx
    from simplify import weight

    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 1024:
            tensor.CopyFrom(weight(tensor.name, tensor.data_type, tensor.dims))
    return model.SerializeToString()


def inputs_of(torch, kind, shape):
    if kind == "detection":  # a list of images, each without a batch
        return ([torch.rand(*shape)],)
    if kind == "optical_flow":
        return (torch.rand(*shape), torch.rand(*shape))
    return (torch.zeros(*shape),)


def export(torch, torchvision, name, folder):
    """Writes the files that are not there yet; facts.json last."""
    from nn_meter.torch_models import traced_onnx

    folder.mkdir(parents=True, exist_ok=True)
    model = make(torch, torchvision, name)
    facts = facts_of(torchvision, name, model)
    kind, shape = facts["kind"], facts["input"]
    sizes, input_names = networks.open_sizes(kind, name), networks.input_names(kind)
    second = networks.has_second_size(sizes, facts.get("meta_gigaops"))
    wanted = {} if sizes and not second else {"fixed.onnx": (shape, {})}
    if sizes:
        wanted["open.onnx"] = (shape, {"dynamic_axes": {input_names[0]: sizes}})
    if second:
        wanted["other.onnx"] = (networks.other_shape(shape, sizes), {})
    for file, (size, options) in wanted.items():
        if not (folder / file).exists():
            if name.startswith(networks.WITH_VALUES):
                options["export_params"] = True
            graph = traced_onnx(model, inputs_of(torch, kind, size), input_names=input_names, **options)
            (folder / file).write_bytes(without_weights(graph) if options.get("export_params") else graph)
    (folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")


def main(folder, names):
    warnings.simplefilter("ignore")
    torchvision = import_torchvision()
    import torch

    libraries = declare_detection_operators(torch)
    failed = False
    for name in names:
        start = time.monotonic()
        try:
            export(torch, torchvision, name, folder / name)
            print(f"{name}: {time.monotonic() - start:.1f} s", flush=True)
        except Exception as error:  # whatever torch raises; the others go on
            print(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            failed = True
    del libraries
    return failed


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
