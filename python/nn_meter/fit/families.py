"""Varied networks of the usual families, as benchmark graphs: {"id", "family", "ops"}. Most are convolutional; HYBRIDS are of
convolutions and attention.

Every operator is a list [kind, [numbers of the operators it reads], parameters ...], batch 1, channels last:
  input [height, width, channels] | conv channels, window, stride, padding | dwconv window, stride, padding | bn | relu | relu6
  maxpool, avgpool window, stride, padding | mean | reshape [1, ...] | transpose [1, ...] | fc channels | add | mul
  add_const | mul_const | concat | split (two halves, whose readers take turns)
and between tokens, [tokens, channels]:
  dense channels | bmm [1, ...] | softmax | layernorm | hswish | split [1, ...] (one part, the last axis cut)
Widths, windows and depths are drawn at random: generate(count, seed) gives the same graphs every time.
"""

import json
import random

SAME, VALID = "SAME", "VALID"
HALF = (0.5, 0.65, 0.8, 1.0, 1.0, 1.25, 1.5)


class Graph:
    """Builds the list of operators; methods return the number of the operator that they add."""

    def __init__(self, seed, size=224, channels=3):
        self.random = random.Random(seed)
        self.ops, self.shapes = [], []
        self.last = self._add("input", [], (size, size, channels), [size, size, channels])

    def _add(self, kind, inputs, shape, *parameters):
        self.ops.append([kind, list(inputs), *parameters])
        self.shapes.append(tuple(shape))
        self.last = len(self.ops) - 1
        return self.last

    # ---- what a family draws

    def width(self, channels, multiple=8):
        """A number of channels around the usual one."""
        scaled = channels * self.random.choice(HALF)
        return max(multiple, round(scaled / multiple) * multiple)

    def choose(self, *values):
        return self.random.choice(values)

    # ---- operators

    def channels(self, x):
        return self.shapes[x][-1]

    def _window(self, shape, window, stride, padding):
        rows, columns, channels = shape
        out = [-(-n // stride) if padding == SAME else (n - window) // stride + 1 for n in (rows, columns)]
        if min(out) < 1:
            raise ValueError(f"a window of {window} on {rows} x {columns}")
        return (*out, channels)

    def conv(self, x, channels, window=1, stride=1, padding=SAME):
        shape = self._window(self.shapes[x], window, stride, padding)
        return self._add("conv", [x], (*shape[:2], channels), channels, window, stride, padding)

    def dwconv(self, x, window, stride=1, padding=SAME):
        return self._add("dwconv", [x], self._window(self.shapes[x], window, stride, padding), window, stride, padding)

    def pool(self, kind, x, window, stride, padding=SAME):
        return self._add(kind, [x], self._window(self.shapes[x], window, stride, padding), window, stride, padding)

    def plain(self, kind, x):
        return self._add(kind, [x], self.shapes[x])

    def add(self, x, y):
        return self._add("add", [x, y], self.shapes[x])

    def mul(self, x, y):
        return self._add("mul", [x, y], max(self.shapes[x], self.shapes[y]))

    def concat(self, *inputs):
        shape = self.shapes[inputs[0]]
        return self._add("concat", inputs, (*shape[:2], sum(self.channels(x) for x in inputs)))

    def split(self, x):
        shape = self.shapes[x]
        return self._add("split", [x], (*shape[:2], shape[2] // 2))

    def reshape(self, x, shape):
        return self._add("reshape", [x], shape, [1, *shape])

    def transpose(self, x):
        shape = self.shapes[x]
        shape = (*shape[:-2], shape[-1], shape[-2])
        return self._add("transpose", [x], shape, [1, *shape])

    def fc(self, x, channels):
        return self._add("fc", [x], (channels,), channels)

    # ---- operators between tokens: shapes (tokens, channels), (heads, tokens, channels of a head)

    def dense(self, x, channels):
        return self._add("dense", [x], (*self.shapes[x][:-1], channels), channels)

    def exchange_heads(self, x):
        """(a, b, c) to (b, a, c)"""
        first, second, channels = self.shapes[x]
        return self._add("transpose", [x], (second, first, channels), [1, second, first, channels])

    def parts(self, x, sizes):
        shapes = [(*self.shapes[x][:-1], size) for size in sizes]
        return [self._add("split", [x], shape, [1, *shape]) for shape in shapes]

    def product(self, x, y, columns):
        shape = (*self.shapes[x][:-1], columns)
        return self._add("bmm", [x, y], shape, [1, *shape])

    # ---- what families have in common

    def conv_relu(self, x, channels, window=1, stride=1, bn=True, relu="relu"):
        x = self.conv(x, channels, window, stride)
        return self.plain(relu, self.plain("bn", x) if bn else x)

    def hard_swish(self, x):
        gate = self.plain("relu6", self.plain("add_const", x))
        return self.plain("mul_const", self.mul(x, gate))

    def squeeze(self, x, channels):
        """Squeeze-and-excite."""
        pooled = self.pool("avgpool", x, self.shapes[x][0], 1, VALID)
        hidden = self.plain("relu", self.conv(pooled, channels))
        gate = self.plain("add_const", self.conv(hidden, self.channels(x)))
        gate = self.plain("mul_const", self.plain("relu6", gate))
        return self.mul(gate, x)

    def head(self, x, hidden=(), classes=1000):
        x = self.plain_mean(x)
        for width in hidden:
            x = self.plain("relu", self.fc(x, width))
        return self.fc(x, classes)

    def plain_mean(self, x):
        channels = self.channels(x)
        return self.reshape(self._add("mean", [x], (channels,)), (channels,))

    def inverted(self, x, channels, window, stride, expansion, act="relu6", squeeze=0):
        """A block of mobilenetv2 and its kin."""
        inputs, activate = self.channels(x), self.hard_swish if act == "hswish" else lambda y: self.plain(act, y)
        y = x
        if expansion != 1:
            y = activate(self.plain("bn", self.conv(y, max(8, round(inputs * expansion)))))
        y = self.plain("bn", self.dwconv(y, window, stride))
        if squeeze:
            y = self.squeeze(y, max(8, self.channels(y) // squeeze))
        y = activate(y)
        y = self.plain("bn", self.conv(y, channels))
        return self.add(y, x) if stride == 1 and channels == inputs else y

    def to_tokens(self, x):
        rows, columns, channels = self.shapes[x]
        return self.reshape(x, (rows * columns, channels))

    def to_image(self, x):
        """Of a square."""
        tokens, channels = self.shapes[x]
        return self.reshape(x, (round(tokens**0.5), round(tokens**0.5), channels))

    def attention(self, x, heads, size, value):
        """Multi-head attention with a bias to the scores; size, value: channels of a head."""
        tokens, channels = self.shapes[x]
        y = self.dense(self.plain("layernorm", x), heads * (2 * size + value))
        y = self.exchange_heads(self.reshape(y, (tokens, heads, 2 * size + value)))
        queries, keys, values = self.parts(y, (size, size, value))
        scores = self.plain("mul_const", self.product(queries, keys, tokens))
        scores = self.plain("softmax", self.plain("add_const", scores))
        y = self.exchange_heads(self.product(scores, values, value))
        y = self.plain("hswish", self.reshape(y, (tokens, heads * value)))
        return self.add(self.dense(y, channels), x)

    def feed_forward(self, x, expansion):
        channels = self.channels(x)
        y = self.plain("hswish", self.dense(self.plain("layernorm", x), channels * expansion))
        return self.add(self.dense(y, channels), x)


# ------------------------------------------------------------------------------------------------ families


def alexnet(g):
    x = g.plain("relu", g.conv(0, g.width(64), g.choose(7, 9, 11), 4, VALID))
    x = g.pool("maxpool", x, 3, 2)
    x = g.conv_relu(x, g.width(192), g.choose(3, 5), bn=False)
    x = g.pool("maxpool", x, 3, 2, VALID)
    for channels in (384, 256, 256):
        x = g.conv_relu(x, g.width(channels), g.choose(3, 3, 5), bn=False)
    return g.head(g.pool("maxpool", x, 3, 2, VALID), (g.width(4096), g.width(4096)))


def vgg(g):
    x, depth = 0, g.choose(1, 1, 2)
    for stage, channels in enumerate((64, 128, 256, 512, 512)):
        width = g.width(channels)
        for _ in range(depth + (stage > 1)):
            x = g.conv_relu(x, width, g.choose(3, 3, 3, 5) if stage else 3)
        x = g.pool("maxpool", x, 2, 2, VALID)
    return g.head(x, (g.width(4096), g.width(4096)))


def resnet(g):
    x = g.pool("maxpool", g.conv_relu(0, g.width(64), g.choose(5, 7), 2), 3, 2)
    depths = g.choose((2, 2, 2, 2), (3, 4, 6, 3), (1, 2, 2, 1))
    bottleneck = g.choose(False, False, True)
    for stage, (channels, depth) in enumerate(zip((64, 128, 256, 512), depths)):
        width = g.width(channels)
        for block in range(depth):
            stride = 2 if stage and not block else 1
            out = width * 4 if bottleneck else width
            y = g.conv_relu(x, width, 1 if bottleneck else 3, stride)
            if bottleneck:
                y = g.conv_relu(y, width, 3)
            y = g.plain("bn", g.conv(y, out, 1 if bottleneck else 3))
            if stride > 1 or g.channels(x) != out:
                x = g.plain("bn", g.conv(x, out, 1, stride))
            x = g.plain("relu", g.add(y, x))
    return g.head(x)


def densenet(g):
    growth = g.width(32)
    x = g.pool("maxpool", g.conv_relu(0, growth * 2, 7, 2), 3, 2)
    depths = g.choose((6, 12, 24, 16), (4, 8, 12, 8), (6, 8, 12, 6))
    for stage, depth in enumerate(depths):
        for _ in range(depth):
            y = g.conv(g.plain("relu", g.plain("bn", x)), growth * 4)
            y = g.conv(g.plain("relu", g.plain("bn", y)), growth, 3)
            x = g.concat(x, y)
        x = g.plain("relu", g.plain("bn", x))
        if stage < 3:
            x = g.pool("avgpool", g.conv(x, g.channels(x) // 2), 2, 2)
    return g.head(x)


def googlenet(g):
    x = g.pool("maxpool", g.conv_relu(0, g.width(64), 7, 2), 3, 2)
    x = g.pool("maxpool", g.conv_relu(g.conv_relu(x, g.width(64)), g.width(192), 3), 3, 2)
    for stage, (scale, blocks) in enumerate(((1.0, 2), (1.6, 5), (2.6, 2))):
        for _ in range(blocks):
            parts = [g.conv_relu(x, g.width(64 * scale))]
            for channels, window in ((96, 3), (24, 5)):
                y = g.conv_relu(x, g.width(channels * scale))
                parts.append(g.conv_relu(y, g.width(channels * 1.3 * scale), g.choose(window, 3)))
            parts.append(g.conv_relu(g.pool("maxpool", x, 3, 1), g.width(32 * scale)))
            x = g.concat(*parts)
        if stage < 2:
            x = g.pool("maxpool", x, 3, 2)
    return g.head(x)


def squeezenet(g):
    x = g.pool("maxpool", g.conv_relu(0, g.width(96), g.choose(3, 7), 2, bn=False), 3, 2)
    for number, channels in enumerate((64, 64, 128, 128, 192, 192, 256, 256)):
        width = g.width(channels)
        squeezed = g.conv_relu(x, max(8, width // 4), bn=False)
        x = g.concat(g.conv_relu(squeezed, width, bn=False), g.conv_relu(squeezed, width, 3, bn=False))
        if number in (2, 6):
            x = g.pool("maxpool", x, 3, 2)
    return g.head(g.conv_relu(x, g.width(512), bn=False))


def mobilenetv1(g):
    x = g.conv_relu(0, g.width(32), 3, 2)
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
    widths = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
    for channels, stride in zip(widths, strides):
        x = g.plain("relu", g.plain("bn", g.dwconv(x, g.choose(3, 3, 5, 7), stride)))
        x = g.conv_relu(x, g.width(channels))
    return g.head(x)


def _stages(g, x, stages, **options):
    for channels, depth, stride, window in stages:
        width = g.width(channels)
        for block in range(depth):
            size = g.choose(3, 5, 7) if window is None else window
            x = g.inverted(x, width, size, 1 if block else stride, g.choose(3, 6, 6), **options)
    return x


def mobilenetv2(g):
    x = g.inverted(g.conv_relu(0, g.width(32), 3, 2, relu="relu6"), g.width(16), 3, 1, 1)
    stages = ((24, 2, 2, 3), (32, 3, 2, 3), (64, 4, 2, 3), (96, 3, 1, 3), (160, 3, 2, 3), (320, 1, 1, 3))
    return g.head(g.conv_relu(_stages(g, x, stages), g.width(1280)))


def mnasnet(g):
    x = g.inverted(g.conv_relu(0, g.width(32), 3, 2), g.width(16), 3, 1, 1, "relu")
    x = _stages(g, x, ((24, 3, 2, 3),), act="relu")
    x = _stages(g, x, ((40, 3, 2, 5),), act="relu", squeeze=4)
    x = _stages(g, x, ((80, 3, 2, None),), act="relu")
    x = _stages(g, x, ((96, 2, 1, 3), (192, 4, 2, 5)), act="relu", squeeze=g.choose(0, 4))
    return g.head(g.conv_relu(_stages(g, x, ((320, 1, 1, 3),), act="relu"), g.width(1280)))


def proxylessnas(g):
    x = g.inverted(g.conv_relu(0, g.width(32), 3, 2, relu="relu6"), g.width(16), 3, 1, 1)
    depths = [g.choose(1, 2, 3, 4) for _ in range(5)]
    stages = [
        (channels, depth, stride, None)
        for channels, depth, stride in zip((32, 40, 80, 96, 192), depths, (2, 2, 2, 1, 2))
    ]
    return g.head(g.conv_relu(_stages(g, x, [*stages, (320, 1, 1, None)]), g.width(1280)))


def mobilenetv3(g):
    x = g.hard_swish(g.plain("bn", g.conv(0, g.width(16), 3, 2)))
    x = g.inverted(x, g.width(16), 3, 1, 1, "relu")
    x = _stages(g, x, ((24, 2, 2, 3),), act="relu")
    x = _stages(g, x, ((40, 3, 2, 5),), act="relu", squeeze=4)
    x = _stages(g, x, ((80, 4, 2, 3),), act="hswish")
    x = _stages(g, x, ((112, 2, 1, None), (160, 3, 2, 5)), act="hswish", squeeze=4)
    return g.head(g.hard_swish(g.plain("bn", g.conv(x, g.width(1280)))))


def _shuffle(g, x):
    rows, columns, channels = g.shapes[x]
    x = g.transpose(g.reshape(x, (rows, columns, 2, channels // 2)))
    return g.reshape(x, (rows, columns, channels))


def shufflenetv2(g):
    window = g.choose(3, 3, 5)
    x = g.pool("maxpool", g.conv_relu(0, 24, 3, 2), 3, 2)
    for channels, depth in zip((116, 232, 464), g.choose((4, 8, 4), (2, 4, 2))):
        half = g.width(channels // 2)
        near = g.conv_relu(g.plain("bn", g.dwconv(x, window, 2)), half)
        far = g.plain("bn", g.dwconv(g.conv_relu(x, half), window, 2))
        x = _shuffle(g, g.concat(near, g.conv_relu(far, half)))
        for _ in range(depth - 1):
            halves = g.split(x)
            y = g.conv_relu(halves, half)
            y = g.conv_relu(g.plain("bn", g.dwconv(y, window)), half)
            x = _shuffle(g, g.concat(y, halves))
    return g.head(g.conv_relu(x, g.width(1024)))


def nasbench201(g):
    """Cells of four nodes; on each of the six edges nothing, the value itself, a convolution or a pooling."""
    operators = [g.choose("conv1", "conv3", "pool", "skip", "none") for _ in range(6)]
    operators[3] = g.choose("conv1", "conv3", "skip")  # the way from the first to the last node is never cut
    channels = g.choose(8, 16, 24, 32)
    x = g.plain("bn", g.conv(0, channels, 3))
    for stage in range(3):
        if stage:
            channels *= 2
            y = g.plain("bn", g.conv(g.plain("relu", x), channels, 3, 2))
            y = g.plain("bn", g.conv(g.plain("relu", y), channels, 3))
            x = g.add(y, g.conv(g.pool("avgpool", x, 2, 2), channels))
        for _ in range(g.choose(3, 5)):
            x = _cell(g, x, channels, operators)
    return g.head(g.plain("relu", g.plain("bn", x)), classes=10)


def _cell(g, x, channels, operators):
    nodes, edge = [x], 0
    for target in range(1, 4):
        parts = []
        for source in range(target):
            value, kind = nodes[source], operators[edge]
            edge += 1
            if value is None or kind == "none":
                continue
            if kind == "skip":
                parts.append(value)
            elif kind == "pool":
                parts.append(g.pool("avgpool", value, 3, 1))
            else:
                parts.append(g.plain("bn", g.conv(g.plain("relu", value), channels, 1 if kind == "conv1" else 3)))
        total = parts[0] if parts else None
        for part in parts[1:]:
            total = g.add(total, part)
        nodes.append(total)
    return nodes[3]


def levit(g):
    """Convolutions down to 14 or 28 pixels, then attention between tokens, with bottlenecks where the image shrinks."""
    x = 0
    for channels in g.choose((16, 32, 64, 128), (16, 32, 64)):
        x = g.plain("hswish", g.plain("bn", g.conv(x, g.width(channels), 3, 2)))
    expansion, value, scale = g.choose(2, 2, 3, 4), g.choose(16, 32, 64), g.choose(1.0, 1.5, 2.0)
    for stage, depth in enumerate(g.choose((2, 3, 3), (1, 2, 2))):
        width = g.width(128 * (1, 1.5, 2)[stage] * scale)
        x = g.inverted(x, width, 3, 2 if stage else 1, g.choose(4, 6), "hswish", squeeze=4)
        x = g.to_tokens(x)
        for _ in range(depth):
            x = g.attention(x, max(2, width // g.choose(16, 32, 64)), 16, value)
            x = g.feed_forward(x, expansion)
        x = g.to_image(x)
    return g.head(x)


HYBRIDS = {"levit": levit}
FAMILIES = {
    family.__name__: family
    for family in (
        alexnet,
        densenet,
        googlenet,
        mnasnet,
        mobilenetv1,
        mobilenetv2,
        mobilenetv3,
        nasbench201,
        proxylessnas,
        resnet,
        shufflenetv2,
        squeezenet,
        vgg,
    )
}


def make(family, number, seed=0):
    """The graph FAMILY_NUMBER, of FAMILIES or HYBRIDS."""
    g = Graph(f"{seed}:{family}:{number}", size=32 if family == "nasbench201" else 224)
    (FAMILIES | HYBRIDS)[family](g)
    return {"id": f"{family}_{number}", "family": family, "ops": g.ops}


def generate(count, seed=0, families=None):
    """`count` graphs of the families (names; None: FAMILIES, which every device runs) in turn."""
    families = list(families or FAMILIES)
    return [make(families[i % len(families)], i // len(families), seed) for i in range(count)]


def as_line(graph):
    """One line of a JSONL file, bytes."""
    return json.dumps(graph, separators=(",", ":")).encode() + b"\n"
