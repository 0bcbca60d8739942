"""torchvision beside any torch: `import_torchvision()`. Used by tools/doors_networks.py, tools/hybrids/ and
tools/torchvision/."""

_KEPT = []  # what is declared is gone with the object that declared it


def import_torchvision():
    """torchvision's wheel may be built for another torch: then its compiled part does not load, and the import stops at
    the operators that it should have declared. Declaring them here is enough for the networks, which use none."""
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    _KEPT.append(library)
    for name in ("nms", "qnms"):
        try:
            library.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")
        except RuntimeError:  # it did load
            pass
    import torchvision.models  # a folder of that name on the path is no torchvision

    return torchvision
