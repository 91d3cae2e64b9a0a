"""Two real ONNX networks with SAM's inputs and outputs, small enough to be made in a moment.

They are not SAM: what they take for the product is what has the colour of a point on it, more than that of a point
that is none of it, within the box. So the mask depends on every hint, through rembg's own session and onnxruntime.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HEIGHT, WIDTH = 684, 1024
_PIXELS = HEIGHT * WIDTH
_FAR = 1e9
# Squared distance of colours (0 … 255) within which a pixel is like a point.
_LIKE = 60.0**2


def save(encoder: Path, decoder: Path) -> None:
    """Write both networks."""
    encoder.write_bytes(_encoder().SerializeToString())
    decoder.write_bytes(_decoder().SerializeToString())


def _value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(
    nodes: list[onnx.NodeProto], given: list[onnx.ValueInfoProto], out: list[onnx.ValueInfoProto], **constants: object
) -> onnx.ModelProto:
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "small", given, out, initializer=stored)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made, full_check=True)
    return made


def _encoder() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Transpose", ["input_image"], ["planes"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["planes", "first"], ["image_embeddings"]),
    ]
    given = [_value("input_image", HEIGHT, WIDTH, 3)]
    return _model(nodes, given, [_value("image_embeddings", 1, 3, HEIGHT, WIDTH)], first=np.array([0], np.int64))


def _decoder() -> onnx.ModelProto:
    rows, columns = np.indices((HEIGHT, WIDTH), dtype=np.float32).reshape(2, -1)
    node = helper.make_node
    labels = [
        made
        for name in ("product", "other", "near", "far")
        for made in (
            node("Equal", ["labels", f"is_{name}"], [f"at_{name}"]),
            node("Cast", [f"at_{name}"], [f"sum_{name}"], to=TensorProto.FLOAT),
            node("ReduceMax", [f"sum_{name}"], [f"any_{name}"], keepdims=0),
        )
    ]
    nodes = [
        node("Reshape", ["point_labels", "flat"], ["labels"]),
        *labels,
        # The colour under each point, and how far each pixel's is from it.
        node("Reshape", ["point_coords", "pairs"], ["points"]),
        node("Floor", ["points"], ["corners"]),
        node("MatMul", ["corners", "strides"], ["places"]),
        node("Clip", ["places", "first", "final"], ["held"]),
        node("Cast", ["held"], ["numbers"], to=TensorProto.INT64),
        node("Reshape", ["image_embeddings", "three"], ["colours"]),
        node("Gather", ["colours", "numbers"], ["wanted"], axis=1),
        node("Unsqueeze", ["wanted", "last"], ["wanted3"]),
        node("Unsqueeze", ["colours", "middle"], ["colours3"]),
        node("Sub", ["colours3", "wanted3"], ["apart"]),
        node("ReduceSumSquare", ["apart"], ["distance"], axes=[0], keepdims=0),
        *(
            made
            for name in ("product", "other")
            for made in (
                node("Unsqueeze", [f"at_{name}", "middle"], [f"rows_{name}"]),
                node("Where", [f"rows_{name}", "distance", "never"], [f"distance_{name}"]),
                node("ReduceMin", [f"distance_{name}"], [f"from_{name}"], axes=[0], keepdims=0),
            )
        ),
        node("Min", ["from_other", "like"], ["limit"]),
        node("Sub", ["limit", "from_product"], ["closeness"]),
        node("Cast", ["any_product"], ["pointed"], to=TensorProto.BOOL),
        node("Where", ["pointed", "closeness", "limit"], ["coloured"]),
        # The box: how deep each pixel lies in it.
        *(
            made
            for name in ("near", "far")
            for made in (
                node("Unsqueeze", [f"sum_{name}", "middle"], [f"column_{name}"]),
                node("Mul", ["points", f"column_{name}"], [f"only_{name}"]),
                node("ReduceSum", [f"only_{name}", "zero"], [f"corner_{name}"], keepdims=1),
            )
        ),
        node("Sub", ["grid", "corner_near"], ["from_near"]),
        node("Sub", ["corner_far", "grid"], ["from_far"]),
        node("Min", ["from_near", "from_far"], ["depth2"]),
        node("ReduceMin", ["depth2"], ["depth"], axes=[1], keepdims=0),
        node("Cast", ["any_near"], ["boxed"], to=TensorProto.BOOL),
        node("Where", ["boxed", "depth", "never"], ["inside"]),
        node("Min", ["coloured", "inside"], ["mask"]),
        node("Reshape", ["mask", "picture"], ["masks"]),
        node("ReduceMax", ["masks"], ["iou"], axes=[2, 3], keepdims=0),
        node("Identity", ["mask_input"], ["low_res_masks"]),
    ]
    given = [
        _value("image_embeddings", 1, 3, HEIGHT, WIDTH),
        _value("point_coords", 1, "n", 2),
        _value("point_labels", 1, "n"),
        _value("mask_input", 1, 1, 256, 256),
        _value("has_mask_input", 1),
        _value("orig_im_size", 2),
    ]
    out = [_value("masks", 1, 1, HEIGHT, WIDTH), _value("iou", 1, 1), _value("low_res_masks", 1, 1, 256, 256)]
    return _model(
        nodes,
        given,
        out,
        flat=np.array([-1], np.int64),
        pairs=np.array([-1, 2], np.int64),
        three=np.array([3, _PIXELS], np.int64),
        picture=np.array([1, 1, HEIGHT, WIDTH], np.int64),
        zero=np.array([0], np.int64),
        middle=np.array([1], np.int64),
        last=np.array([2], np.int64),
        strides=np.array([1, WIDTH], np.float32),
        grid=np.stack((columns, rows), axis=1),
        first=np.float32(0),
        final=np.float32(_PIXELS - 1),
        never=np.float32(_FAR),
        like=np.float32(_LIKE),
        is_product=np.float32(1),
        is_other=np.float32(0),
        is_near=np.float32(2),
        is_far=np.float32(3),
    )
