"""random_models.py - seeded random models of the operators that are imported, one of each kind in turn.

Each is (kind, model bytes, [(input name, kind of element, dims, values)], tolerance): floats may differ by tolerance
relative to the largest of their output, or, for quantised outputs, by one step and no more than one in a hundred.
"""
import random

import onnx_bytes as ob
from onnx_bytes import FLOAT, INT8, INT32, INT64, UINT8

RELATIVE = 1e-4
RELATIVE_TREES = 1e-5


class Graph:
    def __init__(self, rng, opset=13):
        self.rng, self.opset = rng, opset
        self.nodes, self.constants, self.inputs, self.outputs, self.values, self.n = [], [], [], [], [], 0

    def name(self):
        self.n += 1
        return f"t{self.n}"

    def input(self, dims, values=None, kind=FLOAT, batch=True):
        count = 1
        for d in dims:
            count *= d
        if values is None:
            values = [self.rng.gauss(0, 1) for _ in range(count)]
        self.inputs.append(ob.port("x", kind, ["batch" if batch and dims[0] == 1 else dims[0], *dims[1:]]))
        self.values.append(("x", kind, dims, values))
        return "x"

    def constant(self, dims, values, kind=FLOAT):
        name = self.name()
        self.constants.append(ob.tensor(name, kind, dims, values))
        return name

    def weights(self, dims, fan_in):
        count = 1
        for d in dims:
            count *= d
        return self.constant(dims, [self.rng.gauss(0, fan_in ** -0.5) for _ in range(count)])

    def add(self, op, inputs, domain="", n_outputs=1, **attributes):
        outputs = [self.name() for _ in range(n_outputs)]
        self.nodes.append(ob.node(op, inputs, outputs, domain, **attributes))
        return outputs[0] if n_outputs == 1 else outputs

    def output(self, name, kind, rank):
        self.outputs.append(ob.port(name, kind, [f"d{i}_{name}" for i in range(rank)]))

    def bytes(self):
        return ob.model(self.nodes, self.constants, self.inputs, self.outputs, self.opset)


def activation(g, x):
    op = g.rng.choice(["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Elu", "Selu", "HardSigmoid", "Softplus", "Clip", "PRelu", ""])
    if op == "":
        return x
    if op == "LeakyRelu":
        return g.add(op, [x], alpha=g.rng.choice([0.01, 0.2]))
    if op == "Clip":
        return g.add(op, [x, g.constant([], [-0.5]), g.constant([], [g.rng.choice([1.0, 6.0])])])
    if op == "PRelu":
        return g.add(op, [x, g.constant([1], [0.25])])
    return g.add(op, [x])


def dense(g, x, k, m):
    if g.rng.random() < 0.5:
        trans = g.rng.random() < 0.5
        w = g.weights([m, k] if trans else [k, m], k)
        return g.add("Gemm", [x, w, g.weights([m], 4)], transB=int(trans))
    return g.add("Add", [g.add("MatMul", [x, g.weights([k, m], k)]), g.weights([m], 4)])


def mlp(g):
    batch, k = g.rng.choice([1, 1, 3]), g.rng.randint(1, 40)
    x = g.input([batch, k])
    for _ in range(g.rng.randint(1, 4)):
        m = g.rng.randint(1, 48)
        x = activation(g, dense(g, x, k, m))
        if g.rng.random() < 0.2:
            x = g.add("Dropout", [x])
        k = m
    if g.rng.random() < 0.4:
        x = g.add(g.rng.choice(["Softmax", "LogSoftmax"]), [x], axis=-1)
    g.output(x, FLOAT, 2)
    return RELATIVE


def batch_norm(g, x, c):
    return g.add("BatchNormalization", [x, g.constant([c], [g.rng.uniform(0.5, 1.5) for _ in range(c)]), g.weights([c], 1),
                                        g.weights([c], 1), g.constant([c], [g.rng.uniform(0.2, 2) for _ in range(c)])])


def conv(g, x, c, m, spatial, groups=1):
    kernel = [g.rng.choice([1, 3, 5]) for _ in range(spatial)]
    w = [m, c // groups, *kernel]
    size = c // groups
    for n in kernel:
        size *= n
    inputs = [x, g.weights(w, size)] + ([g.weights([m], 4)] if g.rng.random() < 0.7 else [])
    how = {"pads": [n // 2 for n in kernel] * 2} if g.rng.random() < 0.7 else {"auto_pad": g.rng.choice(["SAME_UPPER", "SAME_LOWER"])}
    if "pads" in how and g.rng.random() < 0.3:
        how["dilations"] = [2] * spatial
        how["pads"] = [n - n % 2 for n in kernel] * 2
    return g.add("Conv", inputs, kernel_shape=kernel, group=groups, strides=[g.rng.choice([1, 1, 2])] * spatial, **how)


def cnn(g, spatial):
    c, size = g.rng.choice([1, 2, 4, 8]), [g.rng.randint(17, 40) if spatial == 1 else g.rng.randint(9, 16) for _ in range(spatial)]
    x = g.input([1, c, *size])
    for layer in range(g.rng.randint(1, 3)):
        groups = 2 if layer > 0 and c % 2 == 0 and g.rng.random() < 0.3 else 1
        m = g.rng.choice([4, 6, 8])
        x = conv(g, x, c, m, spatial, groups)
        c = m
        if g.rng.random() < 0.5:
            x = batch_norm(g, x, c)
        x = activation(g, x)
        if layer == 0 and g.rng.random() < 0.6:
            op = g.rng.choice(["MaxPool", "AveragePool"])
            more = {"count_include_pad": g.rng.randint(0, 1)} if op == "AveragePool" else {}
            x = g.add(op, [x], kernel_shape=[3] * spatial, strides=[2] * spatial, pads=[1] * (2 * spatial),
                      ceil_mode=g.rng.randint(0, 1), **more)
        if g.rng.random() < 0.2:
            x = g.add("Add", [x, g.add("Tanh", [x])])
    how = g.rng.randint(0, 3)
    if how == 0:
        x = g.add(g.rng.choice(["GlobalAveragePool", "GlobalMaxPool"]), [x])
        x = g.add("Flatten", [x])
        x = dense(g, x, c, 5)
    elif how == 1:
        x = g.add("ReduceMean", [x], axes=list(range(2, 2 + spatial)), keepdims=0)
        x = g.add("Softmax", [dense(g, x, c, 4)], axis=1)
    elif how == 2:
        x = g.add("Flatten", [x])
        x = g.add("Slice", [x, g.constant([1], [0], INT64), g.constant([1], [12], INT64), g.constant([1], [1], INT64)])
    else:
        flat = g.add("Reshape", [x, g.constant([3], [0, c, -1], INT64)])
        x = g.add("Transpose", [flat], perm=[0, 2, 1])
        x = g.add("Concat", [x, g.add("Sigmoid", [x])], axis=2)
        g.output(x, FLOAT, 3)
        return RELATIVE
    g.output(x, FLOAT, 2)
    return RELATIVE


def cnn1d(g):
    return cnn(g, 1)


def cnn2d(g):
    return cnn(g, 2)


def autoencoder(g):
    c, size, spatial = g.rng.choice([1, 3, 8]), g.rng.choice([16, 24]), g.rng.choice([1, 1, 2])
    x = g.input([1, c, *[size] * spatial])
    for m in (8, 4):
        x = g.add("Conv", [x, g.weights([m, c, *[3] * spatial], 3 * c), g.weights([m], 4)], strides=[2] * spatial, pads=[1] * (2 * spatial))
        x, c = activation(g, x), m
    for m in (6, g.rng.choice([1, 3])):
        kernel = g.rng.choice([2, 3, 4])
        more = {2: {}, 3: {"pads": [1] * (2 * spatial), "output_padding": [1] * spatial}, 4: {"pads": [1] * (2 * spatial)}}[kernel]
        x = g.add("ConvTranspose", [x, g.weights([c, m, *[kernel] * spatial], 2 * c), g.weights([m], 4)], strides=[2] * spatial, **more)
        if g.rng.random() < 0.5:
            x = batch_norm(g, x, m)
        x, c = activation(g, x), m
    g.output(x, FLOAT, 2 + spatial)
    return RELATIVE


# ---- ai.onnx.ml ----

def grow(g, features, depth, leaf):
    """Nodes of one tree in some order; leaf(id) is called for each leaf."""
    lists = {k: [] for k in ("nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing")}
    ids = iter(range(10 ** 6))

    def make(d):
        me = next(ids)
        at = len(lists["nodeids"])
        is_leaf = d == 0 or (d < depth and g.rng.random() < 0.2)
        for k, v in (("nodeids", me), ("featureids", 0 if is_leaf else g.rng.randrange(features)),
                     ("modes", "LEAF" if is_leaf else g.mode), ("values", 0.0 if is_leaf else g.rng.choice([g.rng.gauss(0, 1), 0.5, 0.0])),
                     ("truenodeids", 0), ("falsenodeids", 0), ("missing", 0 if is_leaf else g.rng.randint(0, 1))):
            lists[k].append(v)
        if is_leaf:
            leaf(me)
            return me
        lists["truenodeids"][at] = make(d - 1)
        lists["falsenodeids"][at] = make(d - 1)
        return me
    make(depth)
    return lists


def forest(g, features, leaf):
    """leaf(tree, id). The attributes of all nodes."""
    g.mode = g.rng.choice(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"])
    out = {k: [] for k in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids", "missing")}
    for tree in range(g.rng.randint(1, 25)):
        one = grow(g, features, g.rng.randint(1, 5), lambda i, t=tree: leaf(t, i))
        out["treeids"] += [tree] * len(one["nodeids"])
        for k, v in one.items():
            out[k] += v
    out["missing_value_tracks_true"] = out.pop("missing")
    return {f"nodes_{k}": v for k, v in out.items()}


def features_of(g):
    n, rows = g.rng.randint(2, 20), g.rng.choice([1, 1, 5])
    values = [g.rng.choice([g.rng.gauss(0, 1), 0.5, 0.0]) for _ in range(n * rows)]
    if g.rng.random() < 0.3:
        values[g.rng.randrange(len(values))] = float("nan")
    return n, g.input([rows, n], values)


def tree_regressor(g):
    n, x = features_of(g)
    targets, leaves = g.rng.choice([1, 1, 3]), {"treeids": [], "nodeids": [], "ids": [], "weights": []}

    def leaf(tree, i):
        for t in range(targets) if g.rng.random() < 0.7 else [g.rng.randrange(targets)]:
            for k, v in (("treeids", tree), ("nodeids", i), ("ids", t), ("weights", g.rng.gauss(0, 1))):
                leaves[k].append(v)
    nodes = forest(g, n, leaf)
    more = {"base_values": [g.rng.gauss(0, 1) for _ in range(targets)]} if g.rng.random() < 0.5 else {}
    y = g.add("TreeEnsembleRegressor", [x], "ai.onnx.ml", n_targets=targets,
              aggregate_function=g.rng.choice(["SUM", "SUM", "AVERAGE", "MIN", "MAX"]), **nodes,
              **{f"target_{k}": v for k, v in leaves.items()}, **more)
    g.output(y, FLOAT, 2)
    return RELATIVE_TREES


def tree_classifier(g, kind):
    n, x = features_of(g)
    classes = {"binary": 2, "both": 2, "many": g.rng.randint(3, 6)}[kind]
    positive = g.rng.random() < 0.5
    binary_class = g.rng.randint(0, 1)
    leaves = {"treeids": [], "nodeids": [], "ids": [], "weights": []}

    def leaf(tree, i):
        ids = [binary_class] if kind == "binary" else range(classes)
        for c in ids:
            w = g.rng.random() / 10 if positive else g.rng.gauss(0, 1)
            for k, v in (("treeids", tree), ("nodeids", i), ("ids", c), ("weights", w)):
                leaves[k].append(v)
    nodes = forest(g, n, leaf)
    posts = ["NONE", "LOGISTIC"] if kind == "binary" else ["NONE", "SOFTMAX", "LOGISTIC"]
    labels = {"classlabels_int64s": [10 + c for c in range(classes)]}
    # With weights for both of two classes, or the second alone, ONNX Runtime leaves base values out or mixes them up.
    more = {"base_values": [g.rng.gauss(0, 1) for _ in range(1 if kind == "binary" else classes)]} if g.rng.random() < 0.4 else {}
    if kind == "both" or (kind == "binary" and binary_class == 1):
        more = {}
    y, scores = g.add("TreeEnsembleClassifier", [x], "ai.onnx.ml", 2, post_transform=g.rng.choice(posts), **labels, **nodes,
                      **{f"class_{k}": v for k, v in leaves.items()}, **more)
    g.output(y, INT64, 1)
    g.output(scores, FLOAT, 2)
    return RELATIVE_TREES


def trees_binary(g):
    return tree_classifier(g, "binary")


def trees_both(g):
    return tree_classifier(g, "both")


def trees_many(g):
    return tree_classifier(g, "many")


def pipeline(g):
    n, rows = g.rng.randint(2, 12), g.rng.choice([1, 4])
    values = [g.rng.gauss(0, 2) for _ in range(n * rows)]
    x = g.input([rows, n], values)
    if g.rng.random() < 0.5:
        values[g.rng.randrange(len(values))] = float("nan")
        x = g.add("Imputer", [x], "ai.onnx.ml", imputed_value_floats=[g.rng.gauss(0, 1) for _ in range(n)], replaced_value_float=float("nan"))
    if g.rng.random() < 0.7:
        x = g.add("Scaler", [x], "ai.onnx.ml", offset=[g.rng.gauss(0, 1) for _ in range(n)], scale=[g.rng.uniform(0.3, 2) for _ in range(n)])
    if g.rng.random() < 0.5:
        x = g.add("Normalizer", [x], "ai.onnx.ml", norm=g.rng.choice(["MAX", "L1", "L2"]))
    if g.rng.random() < 0.3:
        keep = sorted(g.rng.sample(range(n), g.rng.randint(1, n)))
        x, n = g.add("ArrayFeatureExtractor", [x, g.constant([len(keep)], keep, INT64)], "ai.onnx.ml"), len(keep)
    if g.rng.random() < 0.4:
        m = g.rng.randint(1, 3)
        y = g.add("LinearRegressor", [x], "ai.onnx.ml", coefficients=[g.rng.gauss(0, 1) for _ in range(n * m)],
                  intercepts=[g.rng.gauss(0, 1) for _ in range(m)], targets=m)
        g.output(y, FLOAT, 2)
        return RELATIVE
    m = g.rng.randint(2, 4)
    y, scores = g.add("LinearClassifier", [x], "ai.onnx.ml", 2, coefficients=[g.rng.gauss(0, 1) for _ in range(n * m)],
                      intercepts=[g.rng.gauss(0, 1) for _ in range(m)], classlabels_ints=list(range(m)),
                      multi_class=0, post_transform=g.rng.choice(["NONE", "SOFTMAX", "LOGISTIC"]))
    g.output(y, INT64, 1)
    g.output(scores, FLOAT, 2)
    return RELATIVE


# ---- QDQ int8 ----

def scale_of(g, kind):
    zero = g.rng.randint(-40, 40) + (128 if kind == UINT8 else 0)
    return g.constant([], [g.rng.uniform(0.02, 0.05)]), g.constant([], [zero], kind)


def round_trip(g, x, kind):
    s, z = scale_of(g, kind)
    g.last_scale = s
    return g.add("DequantizeLinear", [g.add("QuantizeLinear", [x, s, z]), s, z])


def quantised_weights(g, dims, fan_in, axis, per_channel):
    count = 1
    for d in dims:
        count *= d
    m = dims[axis]
    scales = [g.rng.uniform(0.8, 1.2) * fan_in ** -0.5 / 50 for _ in range(m if per_channel else 1)]
    w = g.constant(dims, [max(-127, min(127, round(g.rng.gauss(0, 50)))) for _ in range(count)], INT8)
    if per_channel:
        return g.add("DequantizeLinear", [w, g.constant([m], scales), g.constant([m], [0] * m, INT8)], axis=axis), scales
    return g.add("DequantizeLinear", [w, g.constant([], scales), g.constant([], [0], INT8)]), scales * m


def qdq(g, is_conv):
    kind, per_channel = g.rng.choice([INT8, UINT8]), g.rng.random() < 0.5
    k, length = g.rng.randint(2, 24), 20
    x = g.input([1, k, length] if is_conv else [1, k])
    x = round_trip(g, x, kind)
    for _ in range(g.rng.randint(1, 3)):
        m = g.rng.randint(2, 24)
        if is_conv:
            taps = g.rng.choice([1, 3, 5])
            w, _ = quantised_weights(g, [m, k, taps], k * taps, 0, per_channel)
            x = g.add("Conv", [x, w, g.constant([m], [0.0] * m)], kernel_shape=[taps], pads=[taps // 2] * 2, strides=[g.rng.choice([1, 1, 2])])
        elif g.rng.random() < 0.5:
            w, _ = quantised_weights(g, [m, k], k, 0, per_channel)
            x = g.add("Gemm", [x, w, g.weights([m], 4)], transB=1)
        else:
            w, _ = quantised_weights(g, [k, m], k, 1, per_channel)
            x = g.add("Add", [g.add("MatMul", [x, w]), g.weights([m], 4)])
        if g.rng.random() < 0.6:
            x = g.add("Relu", [x])
        x = round_trip(g, x, kind)
        k = m
    g.output(x, FLOAT, 3 if is_conv else 2)
    return 0.05 * 1.01  # one step of the greatest scale


def qdq_mlp(g):
    return ("step", qdq(g, False))


def qdq_cnn(g):
    return ("step", qdq(g, True))


KINDS = [mlp, cnn1d, cnn2d, autoencoder, tree_regressor, trees_binary, trees_both, trees_many, pipeline, qdq_mlp, qdq_cnn]


def make(seed):
    """The model of this seed: (kind, bytes, inputs, (how, tolerance))."""
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    g = Graph(rng)
    tolerance = kind(g)
    return kind.__name__, g.bytes(), g.values, tolerance if isinstance(tolerance, tuple) else ("relative", tolerance)
