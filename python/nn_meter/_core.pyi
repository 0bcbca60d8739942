"""The C library as Python objects; python/ext/ has one file for each type."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Literal, NamedTuple, TypedDict

FEATURES: tuple[str, ...]
"""Names of a kernel's features, in the order of the rows."""
WORK: tuple[str, ...]
"""Names of the terms of a kernel's work, each of which has a cost in a predictor, in the order of the rows."""
KERNEL_TYPES: tuple[str, ...]
"""Names of the kernel types, in the order of their numbers."""
FORMATS: tuple[str, ...]
"""The model formats that can be read."""
TORCHVISION: tuple[str, ...]
"""The networks of torchvision whose graphs the library carries, by name."""
VERSION: str

class Error(Exception):
    """What the library refuses: one line, "file: place: message", the message ending in the remedy."""

    status: str
    """"memory", "io", "format", "limit", "graph", "shape", "unsupported", "not found" or "argument"."""
    file: str
    place: str
    message: str

class KernelRows(TypedDict):
    """Kernels in execution order; the arrays as bytes, in the machine's byte order."""

    names: list[str]
    members: list[tuple[str, ...]]
    """Names of the nodes of each kernel, as `nn-meter predict --json --breakdown` prints them."""
    types: bytes
    """int32 [kernel]: indices into KERNEL_TYPES."""
    turns: bytes
    """float64 [kernel]: how often it runs (1 outside of loops)."""
    work: bytes
    """float64 [kernel, term], WORK naming the columns, of one turn."""
    features: bytes
    """float32 [kernel, feature], FEATURES naming the columns."""

class DistinctRows(TypedDict):
    """Kernels that differ in what a predictor sees of them; as in KernelRows."""

    types: bytes
    work: bytes
    features: bytes

class Entries(TypedDict):
    """Which kernels the models of a table run, in the order in which the models were added."""

    models: bytes
    """uint32 [entry]"""
    rows: bytes
    """uint32 [entry]: index of a distinct row."""
    turns: bytes
    """float64 [entry]"""

class Rules:
    """A device's fusion rules: the content of a fusion_rules.json; name stands for it in messages. Raises Error."""

    def __init__(self, text: bytes, name: str | None = None) -> None: ...

class Model:
    """A model that was read, with its shapes. (A document of nn-Meter's IR whose shapes contradict each other can still be
    predicted with what nn-Meter 2.0 made of it.)

    source: a path, or the bytes of a file, which `name` then stands for in messages.
    format: one of FORMATS; None tells it from the content. "torchvision": source is one of TORCHVISION.
    batch_size: first dimension of inputs that leave it open; 0 when not given.
    input_shapes: {input name: dimensions}; the name "" means the only input. Raises Error.
    """

    def __init__(
        self,
        source: str | bytes | PathLike[str],
        name: str | None = None,
        format: str | None = None,
        batch_size: int = 0,
        input_shapes: Mapping[str, Sequence[int]] | None = None,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def format(self) -> str: ...
    def kernels(self, rules: Rules, /) -> KernelRows: ...
    def to_ir(self) -> str:
        """nn-Meter's IR as JSON, as nn-Meter 2.0's get_ir writes it. Raises Error."""
    def inspect(
        self,
        stage: Literal["graph", "shapes", "kernels", "features"],
        predictor: Predictor | None = None,
        fusion_rules: str | PathLike[str] | bytes | None = None,
        compat: Literal["own", "nn-meter-2.0"] | None = None,
    ) -> str:
        """One stage as JSON, as `nn-meter inspect --json` prints it; kernels and features need a predictor or a
        fusion_rules.json: its path, or what it holds as bytes. Raises Error."""

class Table:
    """Collects the kernels of many models under the fusion rules; equal kernels are kept once."""

    def __init__(self, rules: Rules) -> None: ...
    @property
    def model_count(self) -> int: ...
    def add(self, model: Model, kernel: int = -1) -> int:
        """The number of the table's new model. kernel: the one kernel that is wanted; -1: all. Raises Error, IndexError."""
    def rows(self) -> DistinctRows: ...
    def entries(self) -> Entries: ...

class Kernel(NamedTuple):
    """One kernel of a prediction."""

    name: str
    """Type and number within the model: "conv-bn-relu#3"."""
    type: str
    latency_ms: float
    in_range: bool
    """Whether the predictor was trained on kernels like it."""
    nodes: tuple[str, ...]
    """Names of its nodes in the model file."""
    multiply_adds: int
    inputs: tuple[tuple[int, ...] | None, ...]
    """Shapes, channels last for images; None: unknown."""
    output: tuple[int, ...] | None
    attributes: dict[str, int]
    """{"kernel_size": 3, "stride": 1, ...}"""

class Prediction(NamedTuple):
    """What a predictor says of a model; latencies in milliseconds."""

    latency_ms: float
    constant_ms: float
    """The part of latency_ms that belongs to no kernel."""
    interval_ms: tuple[float, float] | None
    """Lower and upper bound: nine of ten measurements are expected between them; None when the predictor has no
    interval, as imported ones have none."""
    coverage: float
    """0..1: share of the latency that comes from kernels within the training range."""
    notes: tuple[str, ...]
    """Everything guessed, extrapolated or left out."""
    kernels: list[Kernel]
    """In execution order."""

class Predictor:
    """An opened predictor: a built-in or registered one by name (version None: the newest), a file by its path, or its bytes.

    home: where predictors are registered; None: the user's folder (docs/registry.md). A pickled one is opened once more where
    it is unpickled, by the same name, path or bytes. Raises Error.
    """

    def __init__(
        self,
        name: str | bytes | PathLike[str],
        version: str | None = None,
        home: str | PathLike[str] | None = None,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def origin(self) -> str: ...
    @property
    def card(self) -> str: ...
    @property
    def rules(self) -> bytes:
        """The text of its fusion_rules.json."""
    @property
    def data(self) -> bytes:
        """The kind's section of the file; docs/predictor-format.md."""
    def predict(self, model: Model, compat: Literal["own", "nn-meter-2.0"] | None = None) -> Prediction:
        """compat: how kernels are made; None: as the predictor was trained. Raises Error."""

    def estimate(self, types: bytes, work: bytes, features: bytes, /) -> tuple[bytes, bytes, float]:
        """Of kernels as Table.rows() gives them: float64 [row] milliseconds of one turn, float64 [row] doubt (0 within the
        measured range, up to 2 outside), the constant of a model in ms.

        Raises Error for predictors that are not of kind network, ValueError for arrays that do not fit together.
        """

def detect_format(path: str | PathLike[str]) -> str:
    """The format of a model file, one of FORMATS, told from its content. Raises Error when it is no model."""

def predictors(home: str | PathLike[str] | None = None) -> list[tuple[str, str, str, str, str]]:
    """(name, version, kind, origin, card) of the predictors there are: built in, then registered."""

def compat_predictor(kernel: str, /) -> str:
    """The name of nn-Meter 2.0's predictor that a kernel of that name asks: "conv-bn-relu" for "conv-relu"."""

def compat_rows(kernels: bytes, /) -> str:
    """kernels: a JSON list of nn-Meter 2.0's kernel dictionaries. JSON: for each its {"predictor": name, "row": features} as
    nn-Meter 2.0 makes them, or null where it makes none. Raises Error."""

def search_sums(candidates: bytes, sizes: bytes, costs: bytes, next: bytes, constant: float, /) -> bytes:
    """float64 [candidate]: constant plus the costs along each candidate's path. candidates: int32 [candidate, layer], the
    choice in each layer; sizes: int32 [layer, 2], how many states and choices the layer has; costs: float64 and next: int32,
    [state, choice] of one layer after the other; every path begins in state 0. Raises ValueError for arrays that do not fit
    together, IndexError for a choice that there is not."""

def register(path: str | PathLike[str], home: str | PathLike[str] | None = None) -> str:
    """Registers the predictor that a YAML file of nn-Meter 2.0's form describes, or a predictor file; its name. It is opened
    once to see that it can be used. Raises Error."""

def unregister(name: str, version: str | None = None, home: str | PathLike[str] | None = None) -> int:
    """Removes what is registered under that name (version None: all versions); how many. Raises Error."""

def download(
    url: str,
    descriptor: int,
    size_limit_bytes: int,
    timeout_s: int,
    allow_http: bool = False,
    progress: Callable[[int, int], object] | None = None,
    home: str | PathLike[str] | None = None,
) -> int:
    """Downloads a file. What is received of one that breaks off is kept under home, and the next call goes on there.

    descriptor: an empty file open for writing, used where nothing can be kept. progress: told the bytes that are there and those
    that there will be, 0 when unknown. Returns the descriptor of the file that holds it: the caller's own, or another one that
    is the caller's to close. Raises Error, and what progress raises."""

def fetch(
    name: str,
    url: str | None = None,
    sha256: str | None = None,
    allow_http: bool = False,
    home: str | PathLike[str] | None = None,
) -> str:
    """Downloads a predictor and puts it where its name finds it; its path. url: the file, or what stands before /NAME.zip;
    None: the official place. Raises Error, and then no predictor is left behind."""
