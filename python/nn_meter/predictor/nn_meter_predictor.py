"""load_latency_predictor(name).predict(model, model_type): milliseconds."""

from .._core import Error, Predictor, predictors
from ..errors import PredictorNotFound, fault
from ..logs import logger
from ..models import INPUT_SHAPE, open_model
from ..report import Report
from .prediction.predict_by_kernel import nn_predict

__all__ = ["list_latency_predictors", "load_latency_predictor", "load_predictor_config", "nnMeterPredictor"]

CATEGORIES = ("cpu", "gpu", "vpu", "npu")


def _as_number(version):
    try:
        return float(version)
    except ValueError:
        return version


def _category(name):
    """The kind of device, which names end in before the runtime: "cortexA76cpu_tflite21"."""
    return next((kind for kind in CATEGORIES if kind in name.lower()), "")


def list_latency_predictors():
    """[{"name", "version", "category", "kind", "origin", "card"}] of the predictors there are: built in, then registered."""
    return [
        {"name": name, "version": _as_number(version), "category": _category(name), "kind": kind}
        | {"origin": origin, "card": card}
        for name, version, kind, origin, card in predictors()
    ]


def _not_found(predictor_name, predictor_version):
    names = ", ".join(dict.fromkeys(entry["name"] for entry in list_latency_predictors()))
    which = f"'{predictor_name}'" + (f", version {predictor_version}" if predictor_version is not None else "")
    return fault(
        PredictorNotFound,
        "not found",
        "No predictor that meets the required name and version, please try again. "
        f"({which} was asked for; there are: {names})",
    )


def load_predictor_config(predictor_name: str, predictor_version: float = None):
    """The entry of list_latency_predictors() of that name, in upper or lower case; the newest version when none is given.

    Raises PredictorNotFound (a NotImplementedError as well)."""
    wanted = None if predictor_version is None else _as_number(str(predictor_version))
    found = [
        entry
        for entry in list_latency_predictors()
        if entry["name"].lower() == predictor_name.lower() and wanted in (None, entry["version"])
    ]
    if not found:
        raise _not_found(predictor_name, predictor_version)
    newest = max(found, key=lambda entry: (isinstance(entry["version"], float), entry["version"]))
    if len(found) > 1:
        print(f"WARNING: There are multiple version for {predictor_name}, use the latest one ({newest['version']})")
    return newest


def load_latency_predictor(predictor_name: str, predictor_version: float = None):
    """An nnMeterPredictor of the predictor of that name (upper or lower case), built in or registered; the newest version
    when none is given. A path of a predictor file works too.

    Raises PredictorNotFound (a NotImplementedError as well), nn_meter.Error."""
    try:
        predictor = Predictor(predictor_name, None if predictor_version is None else str(predictor_version))
    except Error as error:
        if error.status != "not found":
            raise
        raise _not_found(predictor_name, predictor_version) from None
    logger.info("load predictor %s %s (%s)", predictor.name, predictor.version, predictor.origin)
    return nnMeterPredictor(predictor, None)


class nnMeterPredictor:
    """Predicts how many milliseconds models take on a device.

    predictors: an nn_meter.Predictor; or, as in nn-Meter 2.0, {kernel name: object with predict(rows)}, whose kernels and
        rows are made as nn-Meter 2.0 made them, under the fusion rules of that path.
    """

    def __init__(self, predictors, fusionrule):
        self.kernel_predictors = predictors
        self.fusionrule = fusionrule

    @property
    def predictor(self):
        """The nn_meter.Predictor, None when there are only objects for single kernels."""
        return self.kernel_predictors if isinstance(self.kernel_predictors, Predictor) else None

    @property
    def kd(self):
        """A kernel detector under the fusion rules."""
        from ..kernel_detector import KernelDetector

        return KernelDetector(self.fusionrule or self.kernel_predictors.rules)

    def predict(self, model, model_type, input_shape=INPUT_SHAPE, apply_nni=False, *, detail=False, compat=None):
        """Milliseconds that one run of the model takes; a Report with all there is to know about it, with detail=True.

        model, model_type, input_shape: as open_model() takes them; model_type None tells it from the content.
        apply_nni: accepted for scripts of nn-Meter 2.0; torch modules need NNI no more.
        compat: how kernels are made, "own" or "nn-meter-2.0"; None: as the predictor was trained.

        Raises nn_meter.Error.
        """
        opened = open_model(model, model_type, input_shape, apply_nni)
        logger.info("Start latency prediction ...")
        if self.predictor is None:
            if detail:
                raise fault(
                    Error, "argument", "detail: objects for single kernels say no more than the sum; leave it out"
                )
            latency_ms = self._sum_of_kernels(opened)
        else:
            prediction = self.predictor.predict(opened, compat)
            latency_ms = prediction.latency_ms
            for note in prediction.notes:
                logger.info("Note: %s", note)
        logger.info("Predict latency: %s ms", latency_ms)
        return Report(opened, self.predictor, prediction) if detail else latency_ms

    def _sum_of_kernels(self, model):
        from ..kernel_detector import KernelDetector

        detector = KernelDetector(self.fusionrule)
        detector.load_model(model)
        return nn_predict(self.kernel_predictors, detector.get_kernels())

    def predict_many(self, models, model_type=None, jobs=None, *, detail=False, keep_going=False):
        """Predicts each of an iterable of models, on several cores; an iterator over the results, in the order of the models.

        models, model_type: each as predict() takes them; nothing is logged: detail=True gives coverage and notes.
        jobs: threads; None: one per core. The work is done without Python's lock.
        keep_going: give the nn_meter.Error of a model in its place instead of raising it.
        """
        from ..many import in_order

        def one(model):
            opened = open_model(model, model_type)
            prediction = self.predictor.predict(opened)
            return Report(opened, self.predictor, prediction) if detail else prediction.latency_ms

        if self.predictor is None:
            raise fault(Error, "argument", "predict_many: needs a predictor of load_latency_predictor()")
        return in_order(one, models, jobs, keep_going)
