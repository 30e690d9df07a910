"""Lesson 3: what learners get wrong on the tanh chain, and the hint for it."""

from tests.wrong_answers import Answer

LOOP = """
def chain_gradients(x, weights, target, skip):
    z, t = [x], []
    for w in weights:
        t.append(np.tanh(w * z[-1]))
        z.append({forward})
    by_weights = np.zeros(len(weights))
    cotangent = {loss}
    for i in reversed(range(len(weights))):
        slope = {slope}
        by_weights[i] = {local}
        cotangent = cotangent * ({back})
    return {returned}
"""


def _loop(
    forward="t[-1] + z[-1] if skip else t[-1]",
    loss="z[-1] - target",
    slope="1 - t[i] ** 2",
    local="cotangent * slope * z[i]",
    back="weights[i] * slope + (1 if skip else 0)",
    returned="by_weights, float(cotangent)",
):
    return LOOP.format(forward=forward, loss=loss, slope=slope, local=local, back=back, returned=returned)


WRONG = {
    "chain_gradients": [
        Answer(
            "stores tanh where the sum belongs, as the source's z_list does",
            hint="which is what the notebook's z_list stores",
            source=_loop(local="cotangent * slope * (t[i - 1] if i else x)"),
        ),
        Answer(
            "the skip as a global factor 1",
            hint="The skip does not replace the layer",
            source=_loop(back="1 if skip else weights[i] * slope"),
        ),
        Answer(
            "no skip in the backward pass",
            hint="multiply as if there were no skip",
            source=_loop(back="weights[i] * slope"),
        ),
        Answer(
            "slope of tanh at the sum",
            hint="this uses the sum z",
            source=_loop(slope="1 - z[i + 1] ** 2"),
        ),
        Answer(
            "skip is ignored",
            hint="without the skip",
            source=_loop(forward="t[-1]", back="weights[i] * slope"),
        ),
        Answer("error turned round", hint="signs are turned round", source=_loop(loss="target - z[-1]")),
        Answer("no error at all", hint="gradient of the loss itself is missing", source=_loop(loss="1.0")),
        Answer(
            "weights missing on the way back",
            hint="the weights of the later layers are missing",
            source=_loop(back="slope + (1 if skip else 0)"),
        ),
        Answer(
            "slopes missing on the way back",
            hint="slope of tanh, 1 - t^2, is missing",
            source=_loop(back="weights[i] + (1 if skip else 0)"),
        ),
        Answer(
            "own slope missing",
            hint="the layer's own slope is missing",
            source=_loop(local="cotangent * z[i]"),
        ),
        Answer("input missing", hint="the layer's input is missing", source=_loop(local="cotangent * slope")),
        Answer(
            "the layer's output for its input",
            hint="where the input of layer i belongs",
            source=_loop(local="cotangent * slope * z[i + 1]"),
        ),
        Answer(
            "order of the backward pass",
            hint="give layer 1 first",
            source=_loop(returned="by_weights[::-1], cotangent"),
        ),
        Answer(
            "own factor included",
            hint="one factor too many",
            source=_loop(local="cotangent * slope * z[i] * (weights[i] * slope + (1 if skip else 0))"),
        ),
        Answer("forgets dL/dx", hint="should return two things", source=_loop(returned="by_weights")),
        Answer(
            "dL/dw_1 for dL/dx",
            hint="This is dL/dw_1",
            source=_loop(returned="by_weights, float(by_weights[0])"),
        ),
        Answer(
            "gradients stored in float16",
            hint="off most at",
            source=_loop(returned="by_weights.astype('float16'), cotangent"),
        ),
        Answer(
            "everything in float32",
            hint="is something rounded on the way?",
            source=_loop().replace(
                "    z, t = [x], []",
                "    x, weights = np.float32(x), weights.astype('float32')\n    z, t = [x], []",
            ),
        ),
        Answer(
            "autograd, as in the source's loop",
            hint="torch has worked them out",
            source="""
def chain_gradients(x, weights, target, skip):
    w = torch.tensor(weights, requires_grad=True)
    start = z = torch.tensor(float(x), dtype=torch.float64, requires_grad=True)
    for w_i in w:
        z = torch.tanh(w_i * z) + skip * z
    (0.5 * (z - target) ** 2).backward()
    return w.grad.numpy(), start.grad.item()
""",
        ),
        Answer(
            "torch.func differentiates",
            hint="torch has worked them out",
            source="""
def chain_gradients(x, weights, target, skip):
    def loss(w, z):
        for w_i in w:
            z = torch.tanh(w_i * z) + skip * z
        return 0.5 * (z - target) ** 2
    given = torch.tensor(weights), torch.tensor(x, dtype=torch.float64)
    by_weights, by_input = torch.func.grad(loss, argnums=(0, 1))(*given)
    return by_weights.numpy(), by_input.item()
""",
        ),
        Answer(
            "asks the check for its truth",
            hint="has no attribute '_autograd'",
            source="def chain_gradients(*given):\n    return check._autograd(*given)\n",
        ),
        Answer(
            "turns a mistake of the check round",
            hint="has no attribute '_chain_mistakes'",
            source="def chain_gradients(*given):\n    return -check._chain_mistakes(*given)[0][0], 0.0\n",
        ),
        Answer(
            "asks the panel for its gradients",
            hint="has no attribute '_weight_gradients'",
            source="def chain_gradients(x, weights, target, skip):\n    return chain._weight_gradients(x, weights, skip), 0.0\n",
        ),
    ],
    "layer_factor": [
        Answer(
            "w itself", hint="not go to 0 but to a fixed point", source="def layer_factor(w):\n    return w\n"
        ),
        Answer(
            "w up to 1", hint="the limit is not 1", source="def layer_factor(w):\n    return min(w, 1.0)\n"
        ),
        Answer(
            "slope without w",
            hint="also gives the factor w",
            source="""
def layer_factor(w):
    z = 1.0
    for _ in range(5000):
        z = math.tanh(w * z)
    return w if w <= 1 else 1 - z * z
""",
        ),
        Answer(
            "the fixed point itself",
            hint="This is the fixed point z* itself",
            source="""
def layer_factor(w):
    z = 1.0
    for _ in range(5000):
        z = math.tanh(w * z)
    return w if w <= 1 else z
""",
        ),
        Answer(
            "square forgotten",
            hint="a square is missing",
            source="""
def layer_factor(w):
    z = 1.0
    for _ in range(5000):
        z = math.tanh(w * z)
    return w if w <= 1 else w * (1 - z)
""",
        ),
        Answer(
            "the first layer's slope",
            hint="first layer's",
            source="def layer_factor(w):\n    return w * (1 - math.tanh(w) ** 2)\n",
        ),
        Answer(
            "too few iterations near w = 1",
            hint="not yet the limit",
            source="""
def layer_factor(w):
    z = 1.0
    for _ in range(300):
        z = math.tanh(w * z)
    return w * (1 - z * z)
""",
        ),
        Answer("always vanishes", hint="is not 0", source="def layer_factor(w):\n    return 0.0\n"),
    ],
    "update_survives": [
        Answer(
            "compares with machine epsilon",
            hint="absolute threshold",
            source="def update_survives(w, update, dtype):\n    return bool(abs(update) > np.finfo(dtype).eps)\n",
        ),
        Answer(
            "compares with epsilon and forgets the sign",
            hint="absolute threshold",
            source="def update_survives(w, update, dtype):\n    return bool(update > np.finfo(dtype).eps)\n",
        ),
        Answer(
            "epsilon times w",
            hint="half a spacing is enough",
            source="def update_survives(w, update, dtype):\n    return bool(abs(update) > np.finfo(dtype).eps * abs(w))\n",
        ),
        Answer(
            "adds in Python's own precision",
            hint="round to `dtype` first",
            source="def update_survives(w, update, dtype):\n    return w + update != w\n",
        ),
        Answer(
            "any update but zero",
            hint="far below the spacing",
            source="def update_survives(w, update, dtype):\n    return update != 0\n",
        ),
        Answer(
            "the update stays in float64",
            hint="round the update to `dtype` too",
            source="def update_survives(w, update, dtype):\n    return bool(np.float64(np.dtype(dtype).type(w)) + update != w) if w == 0 else bool(np.dtype(dtype).type(w) + np.dtype(dtype).type(update) != np.dtype(dtype).type(w))\n",
        ),
        Answer(
            "tells the opposite",
            hint="should be False",
            source="def update_survives(w, update, dtype):\n    t = np.dtype(dtype).type\n    return bool(t(w) + t(update) == t(w))\n",
        ),
        Answer(
            "compares with np.isclose",
            hint="should be True",
            source="def update_survives(w, update, dtype):\n    t = np.dtype(dtype).type\n    return not np.isclose(t(w) + t(update), t(w))\n",
        ),
    ],
    "adam_first_step": [
        Answer(
            "plain gradient descent",
            hint="plain gradient descent",
            source="def adam_first_step(g, lr):\n    return -lr * g\n",
        ),
        Answer(
            "sign",
            hint="sign is turned round",
            source="def adam_first_step(g, lr):\n    return lr * g / (abs(g) + 1e-8)\n",
        ),
        Answer(
            "sign of the gradient in the denominator",
            hint="what is the root of g^2?",
            source="def adam_first_step(g, lr):\n    return -lr * g / (g + 1e-8)\n",
        ),
        Answer(
            "asks the check for its truth",
            hint="has no attribute '_adam'",
            source="def adam_first_step(*given):\n    return check._adam(*given)\n",
        ),
        Answer(
            "no eps",
            hint="ignores eps",
            source="def adam_first_step(g, lr):\n    return -lr * float(np.sign(g))\n",
        ),
        Answer(
            "divides by zero",
            hint="ZeroDivisionError",
            source="def adam_first_step(g, lr):\n    return -lr * g / (abs(g) + 1e-8) if g else -lr * g / abs(g)\n",
        ),
        Answer(
            "eps under the root",
            hint="outside the root",
            source="def adam_first_step(g, lr):\n    return -lr * g / math.sqrt(g * g + 1e-8)\n",
        ),
        Answer(
            "no bias correction",
            hint="bias correction is missing",
            source="def adam_first_step(g, lr):\n    return -lr * 0.1 * g / (math.sqrt(0.001 * g * g) + 1e-8)\n",
        ),
        Answer(
            "m not corrected",
            hint="m is not corrected",
            source="def adam_first_step(g, lr):\n    return -lr * 0.1 * g / (abs(g) + 1e-8)\n",
        ),
        Answer(
            "v not corrected",
            hint="v is not corrected",
            source="def adam_first_step(g, lr):\n    return -lr * g / (math.sqrt(0.001) * abs(g) + 1e-8)\n",
        ),
        Answer(
            "no root",
            hint="root of v",
            source="def adam_first_step(g, lr):\n    return -lr * g / (g * g + 1e-8)\n",
        ),
    ],
}

RIGHT = {
    "chain_gradients": [
        Answer("the two loops", source=_loop()),
        Answer(
            "products by cumprod",
            source="""
def chain_gradients(x, weights, target, skip):
    z = [x]
    for w in weights:
        z.append(np.tanh(w * z[-1]) + skip * z[-1])
    z = np.array(z)
    slopes = 1 / np.cosh(weights * z[:-1]) ** 2
    factors = np.append(weights * slopes + skip, 1.0)
    after = np.cumprod(factors[::-1])[::-1]
    error = z[-1] - target
    return error * slopes * z[:-1] * after[1:], error * after[0]
""",
        ),
        Answer(
            "recursion",
            source="""
def chain_gradients(x, weights, target, skip):
    if len(weights) == 0:
        return np.zeros(0), x - target
    w, t = weights[0], np.tanh(weights[0] * x)
    later, cotangent = chain_gradients(t + x if skip else t, weights[1:], target, skip)
    own = cotangent * (1 - t**2) * x
    return np.append(own, later), cotangent * (w * (1 - t**2) + bool(skip))
""",
        ),
    ],
    "layer_factor": [
        Answer(
            "bisection",
            source="""
def layer_factor(w):
    if w <= 1:
        return w
    low, high = 1e-6, 1.0
    for _ in range(200):
        z = (low + high) / 2
        low, high = (z, high) if math.tanh(w * z) > z else (low, z)
    return w * (1 - z * z)
""",
        ),
        Answer(
            "fixed-point iteration, w = 1 apart",
            source="""
def layer_factor(w):
    z = 1.0
    for _ in range(100_000 if w > 1 else 0):
        z = np.tanh(w * z)
    return w / np.cosh(w * z) ** 2 if w > 1 else float(w)
""",
        ),
    ],
    "update_survives": [
        Answer(
            "torch does the addition",
            source="""
def update_survives(w, update, dtype):
    w, update = (torch.tensor(v, dtype=getattr(torch, dtype)) for v in (w, update))
    return not torch.equal(w + update, w)
""",
        ),
        Answer(
            "an array does it in place",
            source="""
def update_survives(w, update, dtype):
    stored = np.array([w], dtype=dtype)
    before = stored.copy()
    stored += np.array([update], dtype=dtype)
    return bool((stored != before).any())
""",
        ),
    ],
    "adam_first_step": [
        Answer(
            "the algorithm step by step",
            source="""
def adam_first_step(g, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    m, v = (1 - beta1) * g, (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**1), v / (1 - beta2**1)
    return -lr * m_hat / (math.sqrt(v_hat) + eps)
""",
        ),
        Answer(
            "torch.optim",
            source="""
def adam_first_step(g, lr):
    w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    w.grad = torch.tensor([g], dtype=torch.float64)
    torch.optim.Adam([w], lr=lr).step()
    return w.item()
""",
        ),
    ],
}
