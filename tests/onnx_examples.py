"""The examples that ONNX publishes for its operators, with their numbers, and its reference for calls of our own."""

import functools
import importlib
from typing import Any, NamedTuple

import numpy as np


class Example(NamedTuple):
    """One published example of an operator."""

    name: str
    attributes: dict[str, Any]
    inputs: list[np.ndarray]
    outputs: list[np.ndarray]


@functools.cache
def published(operator):
    """Return the examples of a module of onnx.backend.test.case.node, such as ``maxpool``, in order."""
    import onnx

    module = importlib.import_module(f"onnx.backend.test.case.node.{operator}")
    found = []

    def expect(node, inputs, outputs, name, **_):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        found.append(Example(name, attributes, list(inputs), list(outputs)))

    kept, module.expect = module.expect, expect
    try:
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__:
                for member in vars(value):
                    if member.startswith("export"):
                        getattr(value, member)()
    finally:
        module.expect = kept
    assert found, f"no example in {module.__name__}"
    return found


def evaluate(operator, *inputs, outputs=1, **attributes):
    """Run one operator in onnx.reference on arrays of float64 and return its outputs."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    feeds = {f"x{i}": value for i, value in enumerate(inputs)}
    names = [f"y{i}" for i in range(outputs)]
    node = onnx.helper.make_node(operator, list(feeds), names, **attributes)
    double = onnx.TensorProto.DOUBLE
    infos = [onnx.helper.make_tensor_value_info(name, double, value.shape) for name, value in feeds.items()]
    results = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in names]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], operator, infos, results))
    return ReferenceEvaluator(model).run(None, feeds)
