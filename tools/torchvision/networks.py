"""Which networks of torchvision are shipped, and at which input sizes. One place for the exporter and its checks."""

KINDS = ("classification", "segmentation", "detection", "video", "optical_flow")
FRAMES = 16  # of a video
DETECTION_SIZE = 800  # of square images, where the network scales them itself to about that

SECOND_SIZE_GIGAOPS = 6

# Of these torch exports no graph for images of any size: attention over windows or patches is written down with the
# number of them, and pooling to more than one pixel with the size of what is pooled.
FIXED_IMAGE = ("vit", "swin", "maxvit", "alexnet", "vgg")

# Of these some shapes are computed from constants that torch takes for weights: they are exported with their values.
WITH_VALUES = ("swin_v2",)

# Why a network is not shipped; docs/torchvision.md says it.
LEFT_OUT = {
    "keypointrcnn_resnet50_fpn": "sizes depend on what is found in the image",
    "maskrcnn_resnet50_fpn": "sizes depend on what is found in the image",
    "maskrcnn_resnet50_fpn_v2": "sizes depend on what is found in the image",
    "mvit_v1_b": "not tried, for the memory that exporting mvit_v2_s takes",
    "mvit_v2_s": "torch takes more than 24 GB of memory to export it",
    "raft_large": "no network for one image: a search between two",
    "raft_small": "no network for one image: a search between two",
    "swin3d_b": "not tried, for the memory that exporting mvit_* takes",
    "swin3d_s": "not tried, for the memory that exporting mvit_* takes",
    "swin3d_t": "not tried, for the memory that exporting mvit_* takes",
}


def module_of(torchvision, kind):
    return torchvision.models if kind == "classification" else getattr(torchvision.models, kind)


def names(torchvision):
    """[(name, kind)] of what is shipped, the classification networks first. Quantised ones are not exported by torch."""
    listed = {kind: torchvision.models.list_models(module=module_of(torchvision, kind)) for kind in KINDS}
    return [(name, kind) for kind in KINDS for name in listed[kind] if name not in LEFT_OUT]


def kind_of(torchvision, name):
    return dict(names(torchvision))[name]


def has_backbone(torchvision, name):
    return kind_of(torchvision, name) in ("segmentation", "detection")


def transform_setting(weights, name):
    """A setting of the preprocessing that torchvision evaluates these weights with; None when it has none."""
    settings = getattr(weights.transforms, "keywords", {})
    value = settings.get(name)
    return value[0] if isinstance(value, (list, tuple)) else value


def figures_of(torchvision, name):
    """The weights whose metadata speaks of the network as it is shipped: those for the smallest images."""
    published = list(torchvision.models.get_model_weights(name))
    if not published:
        return None
    return min(published, key=lambda weights: transform_setting(weights, "crop_size") or 0)


def own_input(torchvision, name):
    """Dimensions of the input at which torchvision gives the network's figures."""
    kind = kind_of(torchvision, name)
    weights = figures_of(torchvision, name)
    if kind == "classification":
        size = transform_setting(weights, "crop_size")
        return [1, 3, size, size]
    if kind == "segmentation":
        size = transform_setting(weights, "resize_size")
        return [1, 3, size, size]
    if kind == "video":
        size = transform_setting(weights, "crop_size")
        return [1, 3, FRAMES, size, size]
    if kind == "detection":
        size = next((int(part) for part in ("300", "320") if part in name), DETECTION_SIZE)
        return [3, size, size]
    return [1, 3, 256, 256]


def input_names(kind):
    return ["image1", "image2"] if kind == "optical_flow" else ["input"]


def open_sizes(kind, name):
    """{axis: name} of the input's sizes that the shipped graph leaves open."""
    if kind not in ("classification", "segmentation"):
        return {}
    if name.startswith(FIXED_IMAGE):
        return {0: "batch"}
    return {0: "batch", 2: "height", 3: "width"}


def has_second_size(sizes, gigaops):
    """Whether the network is exported at a second size as well: of a family that is enough for its small members."""
    return bool(sizes) and (gigaops or 0) <= SECOND_SIZE_GIGAOPS


def other_shape(shape, sizes):
    """A second shape, for checking that what is left open is open indeed."""
    other = list(shape)
    other[0] = 2
    if 2 in sizes:
        other[2:] = [160, 192]
    return other
