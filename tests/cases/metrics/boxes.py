"""Boxes: overlap against counted pixels, suppression against ONNX, detections against COCO's judge and by hand."""

import contextlib
import io
from fractions import Fraction

import numpy as np
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from dlref.metrics import (
    box_convert,
    box_decode,
    box_encode,
    box_iou,
    box_overlap,
    box_overlap_backward,
    detection_average_precision,
    non_maximum_suppression,
)
from tests.bounds import Exact
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

nan = np.nan


def boxes(rng, count, side=8.0):
    """Boxes whose corners are quarters, each at least a quarter wide and high."""
    low = rng.integers(0, int(3 * side), (count, 2)) / 4
    return np.concatenate([low, low + rng.integers(1, 13, (count, 2)) / 4], axis=1)


def apart(rng, count=37):
    """Pairs without equal edges, some of which overlap: no kink."""
    a = boxes(rng, count)
    return a, boxes(rng, count) + np.array([0.125, 0.125, 0.1875, 0.1875])


def painted(box, size=160):
    """Return the pixels of a box on a grid of sixteenths."""
    x1, y1, x2, y2 = np.rint(np.asarray(box) * 16).astype(int)
    picture = np.zeros((size, size), bool)
    picture[y1:y2, x1:x2] = True
    return picture


def pixels(a, b):
    first, second = [painted(box) for box in a], [painted(box) for box in b]
    return np.array([[(p & q).sum() / (p | q).sum() for q in second] for p in first])


def counted(a, b, kind):
    """Overlap, hull and distance from painted pixels."""
    found = []
    for box, other in zip(a, b, strict=True):
        p, q = painted(box), painted(other)
        value = Fraction(int((p & q).sum()), int((p | q).sum()))
        rows, columns = np.flatnonzero((p | q).any(1)), np.flatnonzero((p | q).any(0))
        high, wide = (int(np.ptp(where)) + 1 for where in (rows, columns))
        if kind == "giou":
            value -= Fraction(wide * high - int((p | q).sum()), wide * high)
        if kind == "diou":
            centers = [np.argwhere(picture).mean(0) for picture in (p, q)]
            value -= Fraction(float(np.sum((centers[0] - centers[1]) ** 2))) / (wide**2 + high**2)
        found.append(float(value))
    return np.array(found)


def expression(a, b, kind):
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = (high - low).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - common
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    overlap = common / union
    if kind == "giou":
        return overlap - (hull.prod(1) - union) / hull.prod(1)
    if kind == "diou":
        return overlap - ((a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]) / 2).square().sum(1) / hull.square().sum(1)
    return overlap


def by_corner(values, source, target):
    """Each number from its meaning: left, top, right, bottom first."""
    x, y, u, v = np.moveaxis(values, -1, 0)
    corners = {
        "xyxy": (x, y, u, v),
        "xywh": (x, y, x + u, y + v),
        "cxcywh": (x - u / 2, y - v / 2, x + u / 2, y + v / 2),
    }
    x1, y1, x2, y2 = corners[source]
    made = {"xyxy": (x1, y1, x2, y2), "xywh": (x1, y1, x2 - x1, y2 - y1)}
    made["cxcywh"] = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    return np.stack(made[target], axis=-1)


def suppressed(frame, scores, threshold):
    """ONNX's NonMaxSuppression, one class, one image."""
    inputs = ["boxes", "scores", "most", "iou"]
    node = helper.make_node("NonMaxSuppression", inputs, ["kept"])
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT)
    infos = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(inputs, kinds, strict=True)]
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("kept", TensorProto.INT64, None)])
    run = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])).run
    data = (frame[None].astype(np.float32), scores[None, None].astype(np.float32), np.array([1000]))
    feed = dict(zip(inputs, (*data, np.array([threshold], np.float32)), strict=True))
    return run(None, feed)[0][:, 2]


def crowd(rng):
    return boxes(rng, 61), rng.permutation(61) / 64


def sizes(rng):
    return np.concatenate([rng.uniform(-5, 5, (2, 23, 2)), rng.uniform(0.5, 4, (2, 23, 2))], axis=2)


def regression(frame, anchors):
    """The formula in longdouble."""
    frame, anchors = frame.astype(np.longdouble), anchors.astype(np.longdouble)
    shift = (frame[:, :2] - anchors[:, :2]) / anchors[:, 2:]
    return np.concatenate([shift, np.log(frame[:, 2:] / anchors[:, 2:])], axis=1).astype(np.float64)


def restored(code, anchors):
    code, anchors = code.astype(np.longdouble), anchors.astype(np.longdouble)
    center = anchors[:, :2] + anchors[:, 2:] * code[:, :2]
    return np.concatenate([center, anchors[:, 2:] * np.exp(code[:, 2:])], axis=1).astype(np.float64)


def one_by_one(frame, scores, image, truth, truth_image, threshold, rule, matching):
    """The definition in lists: match, then average the envelope over every true box found."""
    free, calls = set(range(len(truth))), []
    overlaps = pixels(frame, truth)
    for k in sorted(range(len(frame)), key=lambda k: (-scores[k], k)):
        pool = [j for j in range(len(truth)) if truth_image[j] == image[k] and (j in free or matching == "best")]
        best = max(pool, key=lambda j: (overlaps[k, j], -j), default=None)
        right = best is not None and overlaps[k, best] >= threshold and best in free
        free -= {best} if right else set()
        calls.append(right)
    precision = [Fraction(sum(calls[: k + 1]), k + 1) for k in range(len(calls))]
    return float(sum(max(precision[k:]) for k, right in enumerate(calls) if right) / len(truth))


def coco(frame, scores, image, truth, truth_image, threshold, **_):
    """COCO's own judge, for one class and one threshold: the mean precision at its 101 recalls."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def rows(boxes, images, **more):
        sides = box_convert(boxes, "xyxy", "xywh")
        return [
            {
                "id": k + 1,
                "image_id": int(n),
                "category_id": 1,
                "bbox": side.tolist(),
                "area": side[2] * side[3],
                **more,
            }
            for k, (side, n) in enumerate(zip(sides, images, strict=True), 1)
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {"categories": [{"id": 1}], "annotations": rows(truth, truth_image, iscrowd=0)}
        known.dataset["images"] = [{"id": int(n)} for n in np.unique([*image, *truth_image])]
        known.createIndex()
        called = [row | {"score": float(s)} for row, s in zip(rows(frame, image), scores, strict=True)]
        judge = COCOeval(known, known.loadRes(called), "bbox")
        judge.params.iouThrs = np.array([threshold])
        judge.evaluate()
        judge.accumulate()
    return judge.eval["precision"][0, :, 0, 0, -1].mean()


def scene(rng):
    truth = boxes(rng, 12)
    found = np.concatenate([truth[rng.integers(0, 12, 31)] + rng.integers(-1, 2, (31, 1)) / 4, boxes(rng, 10)])
    image = rng.integers(0, 2, 41)
    found -= np.minimum(found.min(axis=1, keepdims=True), 0)
    return found, rng.permutation(41) / 64, image, truth, rng.integers(0, 2, 12)


CALL = np.zeros((1, 4)), [0.5], [0], np.zeros((1, 4)), [0]

CASES = [
    *(
        Case(
            box_convert,
            lambda rng: (rng.uniform(1, 9, (3, 7, 4)),),
            "the formats' meaning",
            by_corner,
            kwargs={"source": source, "target": target},
            label=f"{source} to {target}",
            refuses=[
                (([1.0, 2.0], "xyxy", "xywh"), {}, ValueError, r"boxes: expected four numbers in the last axis"),
                (([1.0, 2.0, 3.0, 4.0], "yxyx", "xywh"), {}, ValueError, "source: expected one of 'xyxy', 'xywh'"),
            ]
            * (source == "xyxy"),
        )
        for source, target in (("xyxy", "cxcywh"), ("xywh", "xyxy"), ("cxcywh", "xywh"))
    ),
    Case(
        box_iou,
        lambda rng: (boxes(rng, 17), boxes(rng, 29)),
        "areas counted in pixels",
        pixels,
        refuses=[
            (([[1, 0, 0, 1]], [[0, 0, 1, 1]]), {}, ValueError, "a: expected x1 <= x2 and y1 <= y2, got"),
            (([[0, 0, 1, 1]], [[0, 0, 1]]), {}, ValueError, r"b: expected shape \(any, 4\), got \(1, 3\)"),
        ],
    ),
    *(
        Case(
            box_overlap,
            apart,
            "areas counted in pixels",
            counted,
            kwargs={"kind": kind},
            gradient=expression,
            label=kind,
            refuses=[
                (
                    ([[0, 0, 1, 1]], [[0, 0, 1, 1]], "ciou"),
                    {},
                    ValueError,
                    "kind: expected one of 'iou', 'giou', 'diou'",
                ),
                (([[0, 0, 1, 1]], np.zeros((2, 4))), {}, ValueError, "b: expected the shape of a"),
            ]
            * (kind == "iou"),
        )
        for kind in ("iou", "giou", "diou")
    ),
    Case(
        non_maximum_suppression,
        crowd,
        "ONNX NonMaxSuppression",
        suppressed,
        kwargs={"threshold": 0.29},
        bound=Exact(),
        refuses=[(([[0, 0, 1, 1]], [0.5, 0.6]), {}, ValueError, r"scores: expected shape \(1,\), got \(2,\)")],
    ),
    Case(box_encode, lambda rng: tuple(sizes(rng)), "the formula in longdouble", regression),
    Case(box_decode, lambda rng: tuple(sizes(rng)), "the formula in longdouble", restored),
    *(
        Case(
            detection_average_precision,
            scene,
            "the definition in lists",
            one_by_one,
            kwargs={"threshold": 0.5, "rule": "envelope", "matching": matching},
            label=matching,
        )
        for matching in ("free", "best")
    ),
    Case(
        detection_average_precision,
        scene,
        "pycocotools' COCOeval",
        coco,
        kwargs={"threshold": 0.5, "rule": "101 points", "matching": "free"},
        label="COCO",
        refuses=[
            ((np.zeros((1, 4)), [0.5], [0, 1], np.zeros((1, 4)), [0]), {}, ValueError, r"image: expected shape \(1,\)"),
            ((np.zeros((1, 4)), [0.5], [-1], np.zeros((1, 4)), [0]), {}, ValueError, "image: expected integers from 0"),
            ((*CALL, 0.5, "area"), {}, ValueError, "rule: expected one of 'step', 'envelope'"),
            ((*CALL, 0.5, "step", "all"), {}, ValueError, "matching: expected one of 'free', 'best'"),
        ],
    ),
]


def by_hand(dtype):
    """Seven detections of four true boxes: right, wrong, right, right, wrong, wrong, wrong; precisions 1, 2/3, 3/4.

    Recalls 1/4, 2/4, 3/4. All steps: (1 + 3/4 + 3/4) / 4 = 5/8. Eleven points: recalls 0, 0.1, 0.2 have 1, the next
    five have 3/4, the last three 0: (3 + 15/4) / 11 = 27/44.
    """
    truth = np.array([[10 * k, 0, 10 * k + 4, 4] for k in range(4)], dtype)
    nowhere = np.array([0, 50, 4, 54], dtype)
    found = np.stack([truth[0], nowhere, truth[1], truth[2], truth[0], nowhere, nowhere])
    scores, image = np.arange(7, 0, -1).astype(dtype), np.zeros(7, int)
    wrong = 0
    for rule, want in (("envelope", 5 / 8), ("11 points", 27 / 44), ("step", (1 + 2 / 3 + 3 / 4) / 4)):
        got = detection_average_precision(found, scores, image, truth, np.zeros(4, int), rule=rule)
        wrong += abs(got - want) > np.finfo(dtype).eps
    return wrong, 3


PROOFS = [
    Proof([detection_average_precision], "worked by hand", "seven detections of four boxes", "count", 0, by_hand),
]

UNIT = [[0, 0, 1, 1]]

EDGES = [
    Edge(box_iou, (UNIT, [[1, 0, 2, 1]]), (np.array([[0.0]]),), "boxes that touch share no area", output="0"),
    Edge(
        box_iou,
        ([[1, 1, 1, 1]], [[1, 1, 1, 1]]),
        (np.array([[nan]]),),
        "two points: 0/0",
        output="nan",
    ),
    Edge(
        box_iou,
        ([[nan, 0, 1, 1], [0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, nan, 1]]),
        (np.array([[nan, nan], [1.0, nan]]),),
        "one edge is not known: nor is the area",
        input="[nan, 0, 1, 1], [0, 0, 1, 1]",
        output="nan",
    ),
    Edge(box_iou, ([[2, 0, 1, 1]], UNIT), ValueError, "the corners are exchanged"),
    Edge(
        box_overlap,
        (UNIT, [[0, 0, 2, 1]]),
        (np.array([0.5]),),
        "the smallest box around is one of the two: nothing is empty",
        kwargs={"kind": "giou"},
        input="[0, 0, 1, 1], [0, 0, 2, 1], kind='giou'",
        output="0.5",
    ),
    Edge(
        box_overlap_backward,
        ([1.0], UNIT, [[3, 0, 4, 1]]),
        (np.zeros((1, 4)), np.zeros((1, 4))),
        "apart: IoU does not say where to go",
        input="1, [0, 0, 1, 1], [3, 0, 4, 1]",
        output="0 everywhere",
    ),
    Edge(
        non_maximum_suppression,
        ([[0, 0, 2, 2], [0, 0, 2, 1]], [0.5, 0.9]),
        (np.array([1, 0]),),
        "an overlap equal to the threshold, 0.5, stays",
        output="[1, 0]",
    ),
    Edge(
        non_maximum_suppression,
        (np.zeros((0, 4)), np.zeros(0)),
        (np.array([], int),),
        "no box",
        input="no boxes",
        output="[]",
    ),
    Edge(
        detection_average_precision,
        (UNIT, [0.9], [0], np.zeros((0, 4)), np.zeros(0, int)),
        nan,
        "nothing to find: no recall",
        input="one detection, no true box",
    ),
]

SMALL = [[0, 0, 1, 1]], [[0, 0, 1, 0]]
DOUBLED = [[0, 0, 4, 4], [1, 0, 5, 4]], [[0.25, 0, 4.25, 4], [2.25, 0, 6.25, 4]]


def crowded(matching):
    found, truth = DOUBLED
    return lambda: detection_average_precision(
        found, [0.9, 0.8], [0, 0], truth, [0, 0], threshold=0.5, matching=matching
    )


def coco_crowded():
    found, truth = np.array(DOUBLED)
    return coco(found, [0.9, 0.8], [0, 0], truth, [0, 0], 0.5)


def inclusive():
    """The corners name the last pixel: half-open corners are one more."""
    a, b = (np.add(box, [[0, 0, 1, 1]]) for box in SMALL)
    return box_iou(a, b)[0, 0]


CONVENTIONS = [
    Convention(
        "bounding-box",
        "bounding-box-pixels",
        "What the second corner means",
        "the boxes 0, 0, 1, 1 and 0, 0, 1, 0",
        [
            Row(
                "dlref, COCO",
                "an edge: the width is x2 - x1",
                "0.0",
                lambda: box_iou(*SMALL)[0, 0],
            ),
            Row(
                "Pascal VOC's tools",
                "the last pixel: the width is x2 - x1 + 1",
                "0.5",
                inclusive,
            ),
        ],
    ),
    Convention(
        "bounding-box",
        "bounding-box-matching",
        "A detection whose best box is taken",
        "two detections that both overlap the first of two true boxes most, threshold 0.5",
        [
            Row(
                "dlref",
                '`matching="free"`: the best box that is free',
                "1.0000",
                crowded("free"),
                format="{:.4f}",
                package="dlref",
            ),
            Row("COCO, pycocotools", "the same", "1.0000", coco_crowded, format="{:.4f}", package="pycocotools"),
            Row(
                "dlref",
                '`matching="best"`, as Pascal VOC: a false positive',
                "0.5000",
                crowded("best"),
                format="{:.4f}",
                package="dlref",
            ),
        ],
    ),
]


def overlaps(size):
    def make(dtype):
        rng = np.random.default_rng(0)
        low = rng.uniform(0, 100, (2, size, 2))
        a, b = np.concatenate([low, low + rng.uniform(1, 40, (2, size, 2))], axis=2).astype(dtype)
        first, second = torch.from_numpy(a), torch.from_numpy(b)

        def theirs():
            high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
            side = (high - torch.maximum(first[:, None, :2], second[None, :, :2])).clamp(min=0)
            common = side[..., 0] * side[..., 1]
            area, other = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (first, second))
            return common / (area[:, None] + other - common)

        return lambda: box_iou(a, b), theirs

    return make


def pairs(dtype):
    a, b = (torch.from_numpy(x.astype(dtype)) for x in apart(np.random.default_rng(0), 10_000))
    return a, b


def overlap_giou(dtype):
    a, b = pairs(dtype)
    first, second = a.numpy(), b.numpy()
    return lambda: box_overlap(first, second, "giou"), lambda: expression(a, b, "giou")


def overlap_backward(dtype):
    a, b = (x.requires_grad_() for x in pairs(dtype))
    first, second, dy = a.detach().numpy(), b.detach().numpy(), np.ones(len(a), dtype)
    result, ones = expression(a, b, "giou"), torch.from_numpy(dy)
    return (
        lambda: box_overlap_backward(dy, first, second, "giou"),
        lambda: torch.autograd.grad(result, (a, b), ones, retain_graph=True),
    )


def converting(dtype):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 9, (10_000, 2))
    frame = np.concatenate([low, low + rng.uniform(1, 5, (10_000, 2))], axis=1).astype(dtype)
    tensor = torch.from_numpy(frame)

    def theirs():
        x1, y1, x2, y2 = tensor.unbind(-1)
        return torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=-1)

    return lambda: box_convert(frame, "xyxy", "cxcywh"), theirs


def frames(dtype):
    """Ten thousand boxes and as many anchors, by centers and sizes."""
    rng = np.random.default_rng(0)
    shape = (2, 10_000, 2)
    return np.concatenate([rng.uniform(-5, 5, shape), rng.uniform(0.5, 4, shape)], axis=2).astype(dtype)


def encoding(dtype):
    frame, anchors = frames(dtype)
    a, b = torch.from_numpy(frame), torch.from_numpy(anchors)

    def theirs():
        return torch.cat([(a[:, :2] - b[:, :2]) / b[:, 2:], torch.log(a[:, 2:] / b[:, 2:])], dim=1)

    return lambda: box_encode(frame, anchors), theirs


def decoding(dtype):
    code, anchors = frames(dtype)
    a, b = torch.from_numpy(code), torch.from_numpy(anchors)

    def theirs():
        return torch.cat([b[:, :2] + b[:, 2:] * a[:, :2], b[:, 2:] * torch.exp(a[:, 2:])], dim=1)

    return lambda: box_decode(code, anchors), theirs


def suppressing(dtype):
    rng = np.random.default_rng(0)
    frame, scores = boxes(rng, 300, side=40.0).astype(dtype), rng.permutation(300).astype(dtype)
    return lambda: non_maximum_suppression(frame, scores), lambda: suppressed(frame, scores, 0.5)


def judging(dtype):
    found, scores, image, truth, truth_image = scene(np.random.default_rng(0))
    found, scores, truth = (x.astype(dtype) for x in (found, scores, truth))
    return (
        lambda: detection_average_precision(found, scores, image, truth, truth_image, 0.5, "101 points"),
        lambda: coco(found, scores, image, truth, truth_image, 0.5),
    )


BENCH = [
    Bench("metrics.box_iou", "a torch expression", "100 by 100", overlaps(100), aim=10.0),
    Bench("metrics.box_iou", "a torch expression", "1,000 by 1,000", overlaps(1000), aim=10.0),
    Bench("metrics.box_overlap", "a torch expression, GIoU", "10,000", overlap_giou),
    Bench("metrics.box_overlap_backward", "torch, autograd of GIoU", "10,000", overlap_backward),
    Bench("metrics.box_convert", "a torch expression", "10,000", converting),
    Bench("metrics.box_encode", "a torch expression", "10,000", encoding),
    Bench("metrics.box_decode", "a torch expression", "10,000", decoding),
    Bench("metrics.non_maximum_suppression", "onnx.reference", "300", suppressing),
    Bench("metrics.detection_average_precision", "pycocotools' COCOeval", "41 of 12", judging),
]
