"""Prints the public functions and methods of nn_meter's modules with their parameters, as JSON. Run by test_signatures.py
with nn-Meter 2.0 and with ours. Arguments: more folders to import from, behind those of the environment."""

import importlib
import inspect
import json
import sys

MODULES = """
nn_meter
nn_meter.predictor
nn_meter.predictor.nn_meter_predictor
nn_meter.predictor.utils
nn_meter.predictor.prediction.predict_by_kernel
nn_meter.predictor.prediction.extract_feature
nn_meter.predictor.prediction.utils
nn_meter.utils
nn_meter.utils.utils
nn_meter.utils.path
nn_meter.utils.pyutils
nn_meter.utils.import_package
nn_meter.utils.graph_tool
nn_meter.utils.config_manager
nn_meter.utils.nn_meter_cli.interface
nn_meter.utils.nn_meter_cli.registry
nn_meter.dataset
nn_meter.dataset.bench_dataset
nn_meter.dataset.gnn_dataloader
nn_meter.ir_converter
nn_meter.ir_converter.utils
nn_meter.ir_converter.onnx_converter
nn_meter.ir_converter.frozenpb_converter
nn_meter.ir_converter.torch_converter
nn_meter.kernel_detector
nn_meter.kernel_detector.kernel_detector
nn_meter.kernel_detector.rule_reader
""".split()


def parameters(function):
    """[[name, kind, default or None]]; paths of this machine are no defaults."""
    found = []
    for parameter in inspect.signature(function).parameters.values():
        default = None if parameter.default is parameter.empty else repr(parameter.default)
        found.append([parameter.name, parameter.kind.name, "PATH" if default and ".nn_meter" in default else default])
    return found


def methods(kind):
    return {
        name: parameters(value)
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name == "__init__")
    }


def module_of(name):
    importlib.import_module(name)
    return sys.modules[name]  # a function may hide a module of its name


def public(name):
    """{function: parameters, class: {method: parameters}} of one module; of a package also what it hands on."""
    module, found = module_of(name), {}
    whose = "nn_meter" if hasattr(module, "__path__") else name
    for key in dir(module):
        value = getattr(module, key)
        if key.startswith("_") or not str(getattr(value, "__module__", "")).startswith(whose):
            continue
        if inspect.isfunction(value):
            found[key] = parameters(value)
        elif inspect.isclass(value):
            found[key] = methods(value)
    return found


if __name__ == "__main__":
    sys.path += sys.argv[1:]
    answer = {name: public(name) for name in MODULES}
    print(json.dumps(answer, sort_keys=True), file=sys.stderr)  # the old tool speaks on standard output
