"""Axis-aligned boxes: formats, overlap and its gradient, suppression, the regression encoding, average precision."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlref._arrays import index, number, option, public, real, reals, same_shape, shaped
from dlref._compile import inline, kernel, prange
from dlref._math import exp, log
from dlref.metrics.retrieval import _average

__all__ = [
    "BoxOverlapGradients",
    "box_convert",
    "box_decode",
    "box_encode",
    "box_iou",
    "box_overlap",
    "box_overlap_backward",
    "detection_average_precision",
    "non_maximum_suppression",
]

FORMATS = ("xyxy", "xywh", "cxcywh")
KINDS = ("iou", "giou", "diou")


class BoxOverlapGradients(NamedTuple):
    """The gradients of an overlap with respect to both boxes."""

    a: NDArray
    b: NDArray


@public
def box_convert(boxes: ArrayLike, source: str, target: str) -> NDArray:
    """Return the same boxes in another format.

    Parameters
    ----------
    boxes : array_like of float32 or float64, shape (..., 4)
        Boxes in the format `source`.
    source, target : {"xyxy", "xywh", "cxcywh"}
        Two corners; the upper left corner, width and height; the center, width and height.

    Returns
    -------
    ndarray
        The boxes in the format `target`.

    Raises
    ------
    TypeError
        If the boxes are neither real nor integer.
    ValueError
        If the last axis has not four entries or a format is not known.

    See Also
    --------
    box_iou : Takes corners.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88(2).

    Examples
    --------
    >>> box_convert([10, 20, 30, 40], "xywh", "xyxy")
    array([10., 20., 40., 60.])
    """
    boxes = real("boxes", boxes, -1)
    if boxes.shape[-1] != 4:
        raise ValueError(f"boxes: expected four numbers in the last axis, got shape {boxes.shape}")
    source, target = option("source", source, FORMATS), option("target", target, FORMATS)
    if source == target:
        return boxes.copy()
    out = np.empty_like(boxes)
    _convert(boxes.reshape(-1, 4), FORMATS.index(source), FORMATS.index(target), out.reshape(-1, 4))
    return out


@kernel
def _convert(boxes, source, target, out):
    half = boxes.dtype.type(0.5)
    for i in prange(len(boxes)):
        box, new = boxes[i], out[i]
        for k in range(2):  # along x, then along y
            size = box[k + 2] - box[k] if source == 0 else box[k + 2]
            low = box[k] - half * size if source == 2 else box[k]
            new[k] = low + half * size if target == 2 else low
            new[k + 2] = low + size if target == 0 else size


@public
def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray:
    """Return the intersection over union of every box with every other.

    Parameters
    ----------
    a : array_like of float32 or float64, shape (N, 4)
        Boxes by their corners x1, y1, x2, y2, as intervals: a box from 0 to 2 is 2 wide.
    b : array_like, shape (M, 4)
        More boxes.

    Returns
    -------
    ndarray, shape (N, M)
        From 0 to 1; NaN for two boxes without area.

    Raises
    ------
    TypeError
        If the boxes are neither real nor integer.
    ValueError
        If they are not of shape (any, 4), or a corner is on the wrong side of the other.

    See Also
    --------
    box_overlap : Pairs of boxes, with a gradient.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88(2).

    Examples
    --------
    >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [0, 0, 2, 2], [5, 5, 6, 6]]).round(4)
    array([[0.3333, 1.    , 0.    ]])
    """
    a, b = _checked("a", a, "b", b)
    out = np.empty((len(a), len(b)), a.dtype)
    _iou(a, b, out)
    return out


@kernel
def _iou(a, b, out):
    side = b.T.copy()
    left, top, right, bottom = side[0], side[1], side[2], side[3]
    zero = a.dtype.type(0)
    for i in prange(len(a)):
        x1, y1, x2, y2 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        area = (x2 - x1) * (y2 - y1)
        row = out[i]
        for j in range(row.size):
            # A NaN that a minimum or maximum drops comes back with the areas.
            width = min(x2, right[j]) - max(x1, left[j])
            height = min(y2, bottom[j]) - max(y1, top[j])
            common = max(width, zero) * max(height, zero)
            other = (right[j] - left[j]) * (bottom[j] - top[j])
            row[j] = common / (area + other - common)


@public
def box_overlap(a: ArrayLike, b: ArrayLike, /, kind: str = "iou") -> NDArray:
    r"""Return the overlap of each box with its partner.

    Parameters
    ----------
    a : array_like of float32 or float64, shape (N, 4)
        Boxes by their corners x1, y1, x2, y2.
    b : array_like, shape (N, 4)
        Their partners.
    kind : {"iou", "giou", "diou"}
        Intersection over union; minus the empty share of the smallest box around both; or minus the squared distance
        of the centers over the squared diagonal of that box.

    Returns
    -------
    ndarray, shape (N,)
        At most 1, for equal boxes. The least value is 0 for "iou" and above -1 for the others.

    Raises
    ------
    TypeError
        If the boxes are neither real nor integer.
    ValueError
        If the shapes differ, a corner is on the wrong side of the other, or the kind is not known.

    See Also
    --------
    box_iou : Every box with every other.

    References
    ----------
    Rezatofighi et al. (2019), "Generalized Intersection Over Union", CVPR. Zheng et al. (2020), "Distance-IoU Loss",
    AAAI.

    Examples
    --------
    Boxes that do not touch: IoU does not know how far apart they are.

    >>> unit = [0, 0, 1, 1]
    >>> for kind in ("iou", "giou", "diou"):
    ...     print(kind, box_overlap([unit, unit], [[2, 0, 3, 1], [8, 0, 9, 1]], kind=kind).round(3))
    iou [0. 0.]
    giou [-0.333 -0.778]
    diou [-0.4  -0.78]
    """
    a, b = _checked("a", a, "b", b)
    same_shape("b", b, "a", a)
    out = np.empty(len(a), a.dtype)
    _overlap(a, b, KINDS.index(option("kind", kind, KINDS)), out)
    return out


@public
def box_overlap_backward(dy: ArrayLike, a: ArrayLike, b: ArrayLike, /, kind: str = "iou") -> BoxOverlapGradients:
    """Return the gradients of the overlap with respect to both boxes.

    Parameters
    ----------
    dy : array_like, shape (N,)
        Gradient with respect to the overlaps.
    a, b : array_like, shape (N, 4)
        As in the forward pass.
    kind : {"iou", "giou", "diou"}
        As in the forward pass.

    Returns
    -------
    BoxOverlapGradients
        `a` and `b`. Where two edges coincide the derivative has a kink; the edge of `b` takes the gradient. The
        intersection of boxes that do not overlap has the gradient zero.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes differ or a corner is on the wrong side of the other.

    See Also
    --------
    box_overlap : The forward pass.

    References
    ----------
    Rezatofighi et al. (2019), "Generalized Intersection Over Union", CVPR.

    Examples
    --------
    The generalized overlap of two boxes side by side rises when the left one grows to the right.

    >>> pair = [[0, 0, 1, 1]], [[2, 0, 3, 1]]
    >>> for kind in ("iou", "giou"):
    ...     print(kind, box_overlap_backward([1.0], *pair, kind=kind).a[0, 2].round(3))
    iou 0.0
    giou 0.333
    """
    a, b = _checked("a", a, "b", b)
    same_shape("b", b, "a", a)
    dy, a, b = reals("dy", dy, "a", a, "b", b)
    shaped("dy", dy, a.shape[:1])
    da, db = np.empty_like(a), np.empty_like(b)
    _overlap_backward(dy, a, b, KINDS.index(option("kind", kind, KINDS)), da, db)
    return BoxOverlapGradients(da, db)


@kernel
def _overlap(a, b, kind, out):
    zero, two = a.dtype.type(0), a.dtype.type(2)
    for i in range(out.size):
        p, q = a[i], b[i]
        width = min(p[2], q[2]) - max(p[0], q[0])
        height = min(p[3], q[3]) - max(p[1], q[1])
        apart = not (width > zero and height > zero)
        common = zero if apart else width * height
        union = (p[2] - p[0]) * (p[3] - p[1])
        union += (q[2] - q[0]) * (q[3] - q[1]) - common
        out[i] = common / union
        wide = max(p[2], q[2]) - min(p[0], q[0])
        high = max(p[3], q[3]) - min(p[1], q[1])
        if kind == 1:
            out[i] -= (wide * high - union) / (wide * high)
        elif kind == 2:
            across = (q[0] + q[2] - p[0] - p[2]) / two
            down = (q[1] + q[3] - p[1] - p[3]) / two
            diagonal = wide * wide + high * high
            out[i] -= (across * across + down * down) / diagonal


@kernel
def _overlap_backward(dy, a, b, kind, da, db):
    common, wide, apart = np.empty(2), np.empty(2), np.empty(2)
    for i in range(dy.size):
        p, q = a[i], b[i]
        for k in range(2):
            inner = min(p[k + 2], q[k + 2]) - max(p[k], q[k])
            common[k] = max(inner, 0.0)
            wide[k] = max(p[k + 2], q[k + 2]) - min(p[k], q[k])
            apart[k] = (q[k] + q[k + 2] - p[k] - p[k + 2]) / 2
        both, hull = common[0] * common[1], wide[0] * wide[1]
        union = (p[2] - p[0]) * (p[3] - p[1])
        union += (q[2] - q[0]) * (q[3] - q[1]) - both
        diagonal = wide[0] ** 2 + wide[1] ** 2
        far = apart[0] ** 2 + apart[1] ** 2
        g_union, g_hull, g_wide, g_apart = -dy[i] * both / union**2, 0.0, 0.0, 0.0
        if kind == 1:
            g_union += dy[i] / hull
            g_hull = -dy[i] * union / hull**2
        elif kind == 2:
            g_wide = 2 * dy[i] * far / diagonal**2
            g_apart = -2 * dy[i] / diagonal
        g_common = dy[i] / union - g_union if both > 0 else 0.0
        for k in range(2):
            n = 1 - k
            inner = g_common * common[n]
            outer = g_hull * wide[n] + g_wide * wide[k]
            center = g_apart * apart[k] / 2
            side_a = g_union * (p[n + 2] - p[n])
            side_b = g_union * (q[n + 2] - q[n])
            # The inner one of two edges bounds the intersection, the outer one
            # the hull; of equal ones it is that of b.
            low_a, low_b = _bounds(p[k] > q[k], p[k] < q[k], inner, outer)
            inside, outside = p[k + 2] < q[k + 2], p[k + 2] > q[k + 2]
            high_a, high_b = _bounds(inside, outside, inner, outer)
            da[i, k] = -side_a - center - low_a
            db[i, k] = -side_b + center - low_b
            da[i, k + 2] = side_a - center + high_a
            db[i, k + 2] = side_b + center + high_b


@inline
def _bounds(a_inside, a_outside, inner, outer):
    if a_inside:
        return inner, outer
    if a_outside:
        return outer, inner
    return 0.0, inner + outer


@public
def non_maximum_suppression(boxes: ArrayLike, scores: ArrayLike, threshold: float = 0.5) -> NDArray:
    """Return which boxes remain: from the highest score down, each that overlaps none of those kept too much.

    Parameters
    ----------
    boxes : array_like of float32 or float64, shape (N, 4)
        Boxes by their corners, of one class.
    scores : array_like, shape (N,)
        Their scores.
    threshold : float
        A box goes whose intersection over union with a kept one is larger than this.

    Returns
    -------
    ndarray of int64
        Numbers of the boxes that remain, by falling score; of equal scores the first comes first.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes do not fit or the threshold is not in [0, 1].

    See Also
    --------
    box_iou : The overlaps.

    References
    ----------
    Girshick et al. (2014), "Rich Feature Hierarchies for Accurate Object Detection", CVPR: R-CNN.

    Examples
    --------
    The second box goes, the third overlaps the first too little.

    >>> non_maximum_suppression([[0, 0, 4, 4], [1, 0, 5, 4], [3, 0, 7, 4]], [0.9, 0.8, 0.7])
    array([0, 2])
    """
    boxes, scores = reals("boxes", boxes, "scores", scores)
    (boxes,) = _checked("boxes", boxes)
    shaped("scores", scores, (len(boxes),))
    threshold = number("threshold", threshold, 0, 1)
    order = np.argsort(-scores, kind="stable")
    kept = np.empty(len(boxes), np.bool_)
    _suppress(boxes[order], boxes.dtype.type(threshold), kept)
    return order[kept]


@kernel
def _suppress(boxes, threshold, kept):
    kept[:] = True
    for i in range(kept.size):
        if kept[i]:
            for j in range(i + 1, kept.size):
                kept[j] = kept[j] and not _shared(boxes[i], boxes[j]) > threshold


@inline
def _shared(p, q):
    width = min(p[2], q[2]) - max(p[0], q[0])
    height = min(p[3], q[3]) - max(p[1], q[1])
    if not (width > 0 and height > 0):
        return width * 0
    common = width * height
    union = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1])
    return common / (union - common)


@public
def box_encode(boxes: ArrayLike, anchors: ArrayLike) -> NDArray:
    r"""Return what a detector regresses: the shift of the center in units of the anchor, and logarithms of scales.

    Parameters
    ----------
    boxes : array_like of float32 or float64, shape (N, 4)
        Center, width and height.
    anchors : array_like, shape (N, 4)
        The boxes that they are described by, in the same format.

    Returns
    -------
    ndarray, shape (N, 4)
        :math:`(x - x_a) / w_a, (y - y_a) / h_a, \log(w / w_a), \log(h / h_a)`; zero for the anchor itself.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    box_decode : The way back.

    References
    ----------
    Girshick et al. (2014), "Rich Feature Hierarchies for Accurate Object Detection", CVPR: R-CNN.

    Examples
    --------
    >>> box_encode([[5, 4, 4, 2]], [[4, 4, 2, 2]]).round(3)
    array([[0.5  , 0.   , 0.693, 0.   ]])
    """
    boxes, anchors = reals("boxes", boxes, "anchors", anchors)
    shaped("boxes", boxes, (None, 4))
    same_shape("anchors", anchors, "boxes", boxes)
    code = np.empty((4, len(boxes)), boxes.dtype)
    _encode(boxes.T.copy(), anchors.T.copy(), code)
    return code.T.copy()


@kernel
def _encode(boxes, anchors, code):
    for k in range(2):  # along x, then along y
        center, size = boxes[k], boxes[k + 2]
        anchor, scale = anchors[k], anchors[k + 2]
        shift, growth = code[k], code[k + 2]
        for i in range(center.size):
            shift[i] = (center[i] - anchor[i]) / scale[i]
            growth[i] = log(size[i] / scale[i])


@public
def box_decode(code: ArrayLike, anchors: ArrayLike) -> NDArray:
    """Return the boxes that a regression describes.

    Parameters
    ----------
    code : array_like of float32 or float64, shape (N, 4)
        As from `box_encode`.
    anchors : array_like, shape (N, 4)
        Center, width and height of the boxes that they refer to.

    Returns
    -------
    ndarray, shape (N, 4)
        Center, width and height; the sizes are positive whatever the code.

    Raises
    ------
    TypeError
        If an array is neither real nor integer.
    ValueError
        If the shapes differ.

    See Also
    --------
    box_encode : The way there.

    References
    ----------
    Girshick et al. (2014), "Rich Feature Hierarchies for Accurate Object Detection", CVPR: R-CNN.

    Examples
    --------
    >>> box_decode([[0.5, 0.0, 0.0, 0.0]], [[4, 4, 2, 2]])
    array([[5., 4., 2., 2.]])
    """
    code, anchors = reals("code", code, "anchors", anchors)
    shaped("code", code, (None, 4))
    same_shape("anchors", anchors, "code", code)
    boxes = np.empty((4, len(code)), code.dtype)
    _decode(code.T.copy(), anchors.T.copy(), boxes)
    return boxes.T.copy()


@kernel
def _decode(code, anchors, boxes):
    for k in range(2):  # along x, then along y
        shift, growth = code[k], code[k + 2]
        anchor, scale = anchors[k], anchors[k + 2]
        center, size = boxes[k], boxes[k + 2]
        for i in range(center.size):
            center[i] = anchor[i] + scale[i] * shift[i]
            size[i] = scale[i] * exp(growth[i])


@public
def detection_average_precision(
    boxes: ArrayLike,
    scores: ArrayLike,
    image: ArrayLike,
    truth: ArrayLike,
    truth_image: ArrayLike,
    threshold: float = 0.5,
    rule: str = "envelope",
    matching: str = "free",
) -> np.floating:
    """Return the average precision of the detections of one class.

    From the highest score down, a detection is right if it overlaps a true box of its image enough that no earlier
    one has taken.

    Parameters
    ----------
    boxes : array_like of float32 or float64, shape (N, 4)
        Detected boxes by their corners, after suppression.
    scores : array_like, shape (N,)
        Their scores; of equal ones the first comes first.
    image : array_like of integers, shape (N,)
        The image of each.
    truth : array_like, shape (M, 4)
        The true boxes.
    truth_image : array_like of integers, shape (M,)
        The image of each.
    threshold : float
        The least intersection over union of a right detection.
    rule : {"step", "envelope", "11 points", "101 points"}
        As in `average_precision`.
    matching : {"free", "best"}
        Among which true boxes the one with the largest overlap is looked for: those that are still free, or all, so
        that a detection whose best box is taken is wrong.

    Returns
    -------
    floating
        From 0 to 1; NaN without true boxes.

    Raises
    ------
    TypeError
        If an array is of the wrong kind.
    ValueError
        If the shapes do not fit or an option is not known.

    See Also
    --------
    average_precision : Of scores and labels.

    References
    ----------
    Everingham et al. (2010), "The Pascal Visual Object Classes (VOC) Challenge", IJCV 88(2).

    Examples
    --------
    Two true boxes in one image. The second detection doubles the first.

    >>> boxes = [[0, 0, 4, 4], [0, 0, 4, 5], [10, 0, 14, 4]]
    >>> truth = [[0, 0, 4, 4], [10, 1, 14, 4]]
    >>> print(round(detection_average_precision(boxes, [0.9, 0.8, 0.7], [0, 0, 0], truth, [0, 0]), 4))
    0.8333
    """
    boxes, scores, truth = reals("boxes", boxes, "scores", scores, "truth", truth)
    boxes, truth = _checked("boxes", boxes, "truth", truth)
    shaped("scores", scores, (len(boxes),))
    image = index("image", image, 2**62, scores.shape)
    truth_image = index("truth_image", truth_image, 2**62, (len(truth),))
    threshold = number("threshold", threshold, 0, 1)
    option("rule", rule, ("step", "envelope", "11 points", "101 points"))
    free_only = option("matching", matching, ("free", "best")) == "free"
    order = np.argsort(-scores, kind="stable")
    right = np.empty(len(boxes), np.bool_)
    taken = np.zeros(len(truth), np.bool_)
    _match(boxes[order], image[order], truth, truth_image, threshold, free_only, taken, right)
    tp, fp = np.cumsum(np.concatenate([[0.0], right])), np.cumsum(np.concatenate([[0.0], ~right]))
    return boxes.dtype.type(_average(fp, tp, float(len(truth)), rule))


@kernel
def _match(boxes, image, truth, truth_image, threshold, free_only, taken, right):
    for i in range(right.size):
        best, largest = -1, threshold
        for j in range(taken.size):
            if truth_image[j] == image[i] and not (free_only and taken[j]):
                overlap = _shared(boxes[i], truth[j])
                if overlap > largest or (best < 0 and overlap == largest):
                    best, largest = j, overlap
        right[i] = best >= 0 and not taken[best]
        if right[i]:
            taken[best] = True


def _checked(*names_and_values):
    arrays = reals(*names_and_values)
    for name, boxes in zip(names_and_values[::2], arrays, strict=True):
        shaped(name, boxes, (None, 4))
        crossed = _first_crossed(boxes)
        if crossed >= 0:
            raise ValueError(f"{name}: expected x1 <= x2 and y1 <= y2, got {boxes[crossed].tolist()}")
    return arrays


@kernel
def _first_crossed(boxes):
    for i in range(len(boxes)):
        if boxes[i, 2] < boxes[i, 0] or boxes[i, 3] < boxes[i, 1]:
            return i
    return -1
