#!/usr/bin/env python3
"""Writes one network with random weights as ONNX. tools/hybrids/hybrids.py calls it, a process each.

usage: make_network.py SOURCE NETWORK dynamo|ts FILE    writes FILE; prints a line of JSON: {"size": side of the image in
                                                        pixels, "macs": multiply-adds as torch counts them}

SOURCE: timm, or transformers. A NETWORK of transformers is a row of CONFIGURATIONS: its class and what differs from the
class's own default configuration.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # torchvision_import stands beside this folder

SEED = 1
DEIT_TINY = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768}
LEVIT_192 = {"hidden_sizes": [192, 288, 384], "num_attention_heads": [3, 5, 6], "key_dim": [32, 32, 32]}
CONFIGURATIONS = {  # network: (class of the model, class of its configuration, what differs from the default)
    "deit_tiny": ("DeiTForImageClassification", "DeiTConfig", DEIT_TINY),
    "vit_tiny": ("ViTForImageClassification", "ViTConfig", DEIT_TINY),
    "levit_128s": (
        "LevitForImageClassification",
        "LevitConfig",
        {"depths": [2, 3, 4], "num_attention_heads": [4, 6, 8]},
    ),
    "levit_192": ("LevitForImageClassification", "LevitConfig", LEVIT_192),
    "swin_tiny": ("SwinForImageClassification", "SwinConfig", {}),
    "mobilevit_s": ("MobileViTForImageClassification", "MobileViTConfig", {}),
    "mobilevitv2": ("MobileViTV2ForImageClassification", "MobileViTV2Config", {"image_size": 256}),
}


def make_timm(network):
    """(module, side of its image)."""
    from torchvision_import import import_torchvision

    import_torchvision()  # timm imports it
    import timm

    model = timm.create_model(network, pretrained=False)
    return model, model.default_cfg["input_size"][-1]


def make_transformers(network):
    """(module that returns the logits alone, side of its image)."""
    from torchvision_import import import_torchvision

    import_torchvision()
    import torch
    import transformers

    class Logits(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, image):
            return self.model(image, return_dict=False)[0]

    model_class, configuration_class, changes = CONFIGURATIONS[network]
    configuration = getattr(transformers, configuration_class)(num_labels=1000, **changes)
    return Logits(getattr(transformers, model_class)(configuration)), configuration.image_size


def count_multiply_adds(model, image):
    """Multiply-adds of convolutions and matrix products, by torch's own counter, which counts each as two operations.
    It does not know the attention of a CPU, so that is computed in its parts."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(image)
    return counter.get_total_flops() // 2


def main(source, network, exporter, path):
    import torch

    torch.manual_seed(SEED)
    model, size = {"timm": make_timm, "transformers": make_transformers}[source](network)
    model.eval()
    for module in model.modules():  # with the zeros and ones of a fresh network exporters drop what a trained one keeps
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for values in (module.weight.data, module.bias.data, module.running_mean, module.running_var):
                values.uniform_(0.5, 1.5)
    image = torch.rand(1, 3, size, size)
    with torch.no_grad():
        macs = count_multiply_adds(model, image)
        torch.onnx.export(model, (image,), path, dynamo=exporter == "dynamo", verbose=False)
    print(json.dumps({"size": size, "macs": macs}))


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("timm", "transformers") or sys.argv[3] not in ("dynamo", "ts"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
