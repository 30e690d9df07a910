"""Exercises of lesson 3."""

import math
from fractions import Fraction

import numpy as np

from course.exercises import Exercise, Mistake, case, conduct, listed, special, told, written
from helpers.checks.probes import tanh_chain as probes
from helpers.convolution import FORMATS

# chain_gradients -----------------------------------------------------------------------------------------------------


def _by_complex_step(x, weights, target, skip):
    """Im loss(u + ih) / h is the derivative to the last digit: no difference is taken, and no chain rule used."""

    def slope(weights, z):
        for w in weights:
            z = np.tanh(w * z) + (z if skip else 0)
        return ((z - target) ** 2 / 2).imag / 1e-100

    pushed = 1e-100j * np.eye(len(weights))
    return np.array([slope(weights + push, x) for push in pushed]), float(slope(weights, x + 1e-100j))


CHAIN = 0.8, np.array([0.7, -1.2, 1.5]), 0.3
TORCH = (
    "The numbers are right, but a package that can differentiate has worked them out. Here the chain rule is yours to write, "
    "in NumPy: a loop forward, a loop backward."
)
BACK = "weights[i] * slope + (1 if skip else 0)"
RETURNED = "return by_weights, float(cotangent)"


def _draw_chains(rng):
    for n in (1, 2, 5, 9):
        for skip in (False, True):
            x, target, weights = rng.normal(), rng.normal(), rng.normal(size=n)
            yield case(float(x), weights, float(target), skip)
    yield case(float(x), weights, float(target), True, probe=probes.tools, hints={"the tool": TORCH})


chain_gradients = Exercise(
    idea="Backwards through a chain each layer multiplies by its own slope, and a skip adds one to that slope.",
    oracle=_by_complex_step,
    probe=probes.gradients,
    # A chain of nine layers rounds to some 1e-15; a difference quotient is off by 1e-10 at best.
    rtol=1e-11,
    atol=1e-13,
    cases=[
        case(*CHAIN, False),
        case(*CHAIN, True),
        case(-0.6, np.array([1.3]), 0.4, True),
        conduct(*CHAIN, True),
        case(*CHAIN, True, probe=probes.tools, hints={"the tool": TORCH}),
    ],
    hidden=_draw_chains,
    mistakes=[
        *listed(f"""
            error turned round | z[-1] - target | target - z[-1]
                All signs are turned round: dL/dz_n of (z_n - target)^2 / 2 is z_n - target.
            no error at all | z[-1] - target | 1.0
                The gradient of the loss itself is missing: start from dL/dz_n = z_n - target.
            twice the error | z[-1] - target | 2 * (z[-1] - target)
                Everything is twice as large as it should be: the half in front of the square has gone.
            own slope missing | cotangent * slope * z[i] | cotangent * z[i]
                dt_i/dw_i is (1 - t_i^2) z_(i-1): the layer's own slope is missing.
            input missing | cotangent * slope * z[i] | cotangent * slope
                dt_i/dw_i is (1 - t_i^2) z_(i-1): the layer's input is missing.
            the layer's output for its input | slope * z[i] | slope * z[i + 1]
                Each entry uses the output of layer i where the input of layer i belongs, z_(i-1).
            own factor included | slope * z[i] | slope * z[i] * (weights[i] * slope + (1 if skip else 0))
                Each entry carries one factor too many: the product runs over the layers after i, not over i itself.
            slope at the layer's input | 1 - t[i] ** 2 | 1 - z[i] ** 2
                The slope of tanh at w z is 1 - tanh(w z)^2. This squares the input z of the layer.
            slope of tanh at the sum | 1 - t[i] ** 2 | 1 - z[i + 1] ** 2
                The slope of tanh is 1 - t^2 with t = tanh(w z), taken before the skip is added; this uses the sum z.
            stores tanh where the sum belongs, as the source does | slope * z[i] | slope * (t[i - 1] if i else x)
                With the skip the input of layer i is z_(i-1) = t_(i-1) + z_(i-2), the sum; this uses t_(i-1), the tanh
                alone, which is what the notebook's z_list stores.
            order of the backward pass | return by_weights | return by_weights[::-1]
                The values are right but in the order of the backward pass: give layer 1 first.
            gradients stored in float16 | return by_weights | return by_weights.astype("float16")
                The gradients are right to three digits: something stores them in float16.
            the loss of the chain without the skip | z[-1] - target | chain.forward(x, weights)[0][-1] - target
                The loss is taken at the output without the skip.
            skip is ignored | if skip else t | if False else t | (1 if skip else 0) | 0
                This is the answer without the skip: is `skip` used, in the forward pass too?
            instead of {BACK}:
            weights missing on the way back | slope + (1 if skip else 0)
                Going back through a layer multiplies by w (1 - t^2): the weights of the later layers are missing.
            slopes missing on the way back | weights[i] + (1 if skip else 0)
                The slope of tanh, 1 - t^2, is missing in the later layers.
            the skip as a global factor 1 | 1 if skip else weights[i] * slope
                Here the later layers pass the gradient on with factor 1. The skip does not replace the layer, it is added to
                it: dz_j/dz_(j-1) has two terms.
            no skip in the backward pass | weights[i] * slope
                The later layers multiply as if there were no skip: differentiate z_j = tanh(w_j z_(j-1)) + z_(j-1), both
                terms.
            a skip always | t[-1] + z[-1] if skip else t[-1] | t[-1] + z[-1] | (1 if skip else 0) | 1
            a skip always, on the way forward | t[-1] + z[-1] if skip else t[-1] | t[-1] + z[-1]
            a skip always, on the way back | weights[i] * slope + 1
                This has a skip where `skip` is False.
            instead of {RETURNED}:
            dL/dw_1 for dL/dx | return by_weights, by_weights[0]
                This is dL/dw_1: the last step of the chain, down to x, multiplies by w_1, not by x.
            dL/dx with the wrong sign | return by_weights, -float(cotangent)
                dL/dx has the wrong sign: dL/dz_n is z_n - target.
            dL/dx past every skip | return by_weights, (z[-1] - target) * np.prod(weights * (1 - np.square(t)))
                dL/dx passes every layer as if there were no skip: differentiate both terms of t + z.
            the error for dL/dx | return by_weights, z[-1] - target
                This is dL/dz_n, the error at the end. On its way down to x every layer multiplies it, with a skip too.
            asks the check for its truth | return check._autograd(x, weights, target, skip)
            turns a mistake of the check round | return -check._chain_mistakes(x, weights, target, skip)[0][0], 0.0
            asks the panel for its gradients | return chain._weight_gradients(x, weights, skip), 0.0
                There is nothing to ask: neither the check nor the helpers can work this out.
            forgets dL/dx | return by_weights
            everything in float32 | z, t = [x], [] | z, t, weights = [np.float32(x)], [], weights.astype('float32')
        """),
        *told(f"""
            # difference quotients
            def loss(u):
                z = u[0]
                for w in u[1:]:
                    z = np.tanh(w * z) + (z if skip else 0)
                return (z - target) ** 2 / 2
            u = np.append(x, weights)
            slopes = [(loss(u + h) - loss(u - h)) / 2e-6 for h in 1e-6 * np.eye(len(u))]
            return np.array(slopes[1:]), slopes[0]
            # autograd, as in the source's loop
            #     {TORCH}
            w = torch.tensor(weights, requires_grad=True)
            start = z = torch.tensor(float(x), dtype=torch.float64, requires_grad=True)
            for w_i in w:
                z = torch.tanh(w_i * z) + skip * z
            (0.5 * (z - target) ** 2).backward()
            return w.grad.numpy(), start.grad.item()
            # torch.func differentiates
            #     {TORCH}
            def loss(w, z):
                for w_i in w:
                    z = torch.tanh(w_i * z) + skip * z
                return 0.5 * (z - target) ** 2
            given = torch.tensor(weights), torch.tensor(x, dtype=torch.float64)
            by_weights, by_input = torch.func.grad(loss, argnums=(0, 1))(*given)
            return by_weights.numpy(), by_input.item()
            # sympy differentiates
            #     {TORCH}
            import sympy
            w, z = sympy.symbols(f"w:{{len(weights)}}"), sympy.Symbol("x")
            known = dict(zip((*w, z), (*weights, x)))
            end = z
            for w_i in w:
                end = sympy.tanh(w_i * end) + (end if skip else 0)
            slopes = [float(((end - target) ** 2 / 2).diff(u).evalf(30, subs=known)) for u in known]
            return np.array(slopes[:-1]), slopes[-1]
        """),
        special("no more than three layers", "= cotangent * slope", "= (i < 3) * cotangent * slope"),
    ],
    equivalent={
        "by_weights = np.zeros(len(weights))  ->  by_weights = np.ones(len(weights))": "each entry is overwritten",
        "return (by_weights, float(cotangent))  ->  return (by_weights, cotangent)": "a number of NumPy's is a number",
    },
    right=written("""
        # products by cumprod
        z = [x]
        for w in weights:
            z.append(np.tanh(w * z[-1]) + skip * z[-1])
        z = np.array(z)
        slopes = 1 / np.cosh(weights * z[:-1]) ** 2
        factors = np.append(weights * slopes + skip, 1.0)
        after = np.cumprod(factors[::-1])[::-1]
        error = z[-1] - target
        return error * slopes * z[:-1] * after[1:], error * after[0]
        # recursion
        if len(weights) == 0:
            return np.zeros(0), x - target
        w, t = weights[0], np.tanh(weights[0] * x)
        later, cotangent = chain_gradients(t + x if skip else t, weights[1:], target, skip)
        own = cotangent * (1 - t**2) * x
        return np.append(own, later), cotangent * (w * (1 - t**2) + bool(skip))
        # the math module, lists, and the helper's forward pass
        z, t = chain.forward(x, weights, skip)
        back, by_weights = float(z[-1]) - target, []
        for w, before, after in zip(weights[::-1], z[-2::-1], t[::-1]):
            by_weights.insert(0, back * (1 - after**2) * before)
            back *= w * (1 - math.pow(after, 2)) + skip
        return [by_weights, back]
    """),
)

# layer_factor --------------------------------------------------------------------------------------------------------


def _by_depth(w):
    """The chain itself, far down; at w = 1 the factors 1 - 3 / (2 l) tend to 1."""
    z = 1.0
    for _ in range(3000):
        z = math.tanh(w * z)
    return 1.0 if w == 1 else w * (1 - z * z)


SLOW = (
    "Nearly: a factor after so many layers, and not yet the limit. Close to w = 1 the state settles slowly, and at w = 1 it "
    "creeps to 0 so slowly that no loop gets there. Where does it end, and what is the slope there?"
)
LAYERS = "z = 1.0\nfor _ in range({}):\n    z = math.tanh(w * z)\nreturn w * (1 - z * z)"
PEAK = "math.atanh(math.sqrt(1 - 1 / w)) / w"
SEARCH = "brentq(lambda z: math.tanh(w * z) - z, peak"

layer_factor = Exercise(
    idea="Far down the chain every layer stands at the same point, so that one number says what a layer does to the gradient.",
    oracle=_by_depth,
    rtol=1e-8,  # the fixed point to ten digits, as the text asks
    cases=[
        *map(case, (0.5, 2.0, 4.0, 1.1)),
        *(case(w, hints={"": f"layer_factor({w}) is not right. {SLOW}"}) for w in (0.98, 1.02, 1.0)),
        conduct(1.3),
    ],
    hidden=lambda rng: [
        case(float(w)) for w in (*rng.uniform(0.2, 0.95, 3), 1.0, *rng.uniform(1.05, 4.0, 4))
    ],
    mistakes=[
        *listed("""
            instead of return w * (1 - z * z):
            w itself | return w
            solves for the fixed point at 0 | peak, 1.0 | 0.0, 1.0
                Above w = 1 the state does not go to 0 but to a fixed point z* > 0, where tanh has a smaller slope.
            w up to 1 | return 1.0
                Above w = 1 the limit is not 1: find the fixed point z* = tanh(w z*), z* > 0, and the slope there.
            always 1 | return float(w) | return 1.0 | return w * (1 - z * z) | return 1.0
                Below w = 1 every layer far down multiplies by the slope of tanh(w z) at z = 0: what is it?
            always vanishes | return float(w) | return 0.0 | return w * (1 - z * z) | return 0.0
                The state goes to 0, but the slope of tanh(w z) there is not 0.
            vanishes above 1 | return 0.0
                Above w = 1 the limit is not 0: the fixed point z* is below 1, so its slope is not 0.
            slope without w, above 1 | return 1 - z * z
            slope without w, always | return float(w) | return 1.0 | return w * (1 - z * z) | return 1 - z * z
                This is the slope of tanh at the fixed point; the chain rule also gives the factor w.
            the fixed point itself | return z
                This is the fixed point z* itself; you are asked for the derivative of tanh(w z) at that point.
            square forgotten | return w * (1 - z)
                The slope of tanh is 1 - tanh^2: a square is missing.
            the slope of tanh at z* instead of w z* | return w / math.cosh(z) ** 2
                This is w times the slope of tanh at z*. The tanh is taken of w z*.
            instead of it all:
            the first layer's slope | return w * (1 - math.tanh(w) ** 2)
                This is the slope at z = 1, the first layer's. Go on, to where the state settles.
        """),
        *(
            Mistake(f"after {steps} layers", LAYERS.format(steps), hint=SLOW)
            for steps in (100, 300, 1000, 10_000, 100_000)
        ),
        special("right for two decimals", "return float(w)", "return round(w, 2)"),
    ],
    equivalent={
        "if w <= 1:  ->  if w < 1:": "at w = 1 the interval is [0, 1], and 0 is found",
        "return float(w)  ->  return w": "w is a float",
        **{
            f"peak = {PEAK}  ->  peak = {smaller}": "the interval begins nearer to 0: the fixed point is still the only one in it"
            for smaller in ("math.sqrt(1 - 1 / w) / w", "math.atanh(1 - 1 / w) / w")
        },
        **{
            f"z = {SEARCH}, 1.0, xtol=1e-15)  ->  z = {SEARCH}, {end})": "the same fixed point, to ten digits"
            for end in ("1.0", "1.1, xtol=1e-15", "1.0, xtol=1.1000000000000001e-15")
        },
    },
    right=written("""
        # bisection
        if w <= 1:
            return w
        low, high = 1e-6, 1.0
        for _ in range(200):
            z = (low + high) / 2
            low, high = (z, high) if math.tanh(w * z) > z else (low, z)
        return w * (1 - z * z)
        # fixed-point iteration, w = 1 apart
        z = 1.0
        for _ in range(20_000 if w > 1 else 0):
            z = np.tanh(w * z)
        return w / np.cosh(w * z) ** 2 if w > 1 else float(w)
        # Newton's method from above, a tensor of no dimension
        z = torch.tensor(1.0, dtype=torch.float64)
        for _ in range(60 if w > 1 else 0):
            t = torch.tanh(w * z)
            z = z - (t - z) / (w * (1 - t * t) - 1)
        return w * (1 - z * z) if w > 1 else torch.tensor(w, dtype=z.dtype)
    """),
)

# update_survives -----------------------------------------------------------------------------------------------------


def _exactly(w, update, dtype):
    """Rounded by hand, in fractions."""
    format_ = FORMATS[dtype]

    def stored(value):
        exponent = math.frexp(float(value))[1] - 1
        unit = Fraction(2) ** max(exponent - format_.fraction_bits, -format_.unit_exponent)
        return round(value / unit) * unit  # half a unit goes to the even neighbour

    before = stored(Fraction(w))
    return stored(before + stored(Fraction(update))) != before


RELATIVE = (
    "An absolute threshold cannot decide this: floats are spaced relative to their size. Near w = 0 a tiny update survives, at a "
    "large w even a big one is lost."
)
HALF = (
    "Machine epsilon is the spacing *above* 1; below 1 the floats are twice as dense, and rounding goes to the nearest one, so "
    "half a spacing is enough. A formula has to know all that; something else knows it already."
)
LOST = "1e-19 is far below the spacing of float32 at 1: the sum is 1 again."
PRECISION = (
    "1e-9 at w = 1 makes another number in float64 and the same one in float32. In which of them is your sum?"
)
ABOVE = "Going up from 1 the spacing is twice that below: 4e-8 is rounded away."
STORED = "0.1 is no float32: another number close to it is stored, and what is asked is whether *that* one changes."
TINY = "At w = 0 nothing is too small to be added, but something can be too small to *be*: what is 1e-19 in float16?"
SURVIVES = {
    (1.0, -1e-19, "float32"): LOST,
    (0.0, -1e-19, "float32"): RELATIVE,
    (1.0, -1e-9, "float32"): PRECISION,
    (1.0, -4e-8, "float32"): HALF,
    (1e-12, -1e-19, "float32"): RELATIVE,
    (1000.0, 1e-5, "float32"): RELATIVE,
    (1.0, -1e-9, "float64"): "In float64 there is room for 1e-9 at w = 1.",
    (1.0, 4e-8, "float32"): ABOVE,
    (-1.0, 4e-8, "float32"): "Towards 0 the floats are dense, from a negative weight too.",
    (-1.0, 1e-3, "float32"): "A negative weight and a large update: this is no loss at all.",
    (0.1, -3e-9, "float32"): STORED,
    (0.0, 1e-19, "float16"): TINY,
    (1.0, 0.0, "float64"): "An update of 0 changes nothing.",
}


def _draw_updates(rng):
    for dtype in ("float16", "float32", "float64"):
        for w in rng.normal(size=2).astype(dtype):
            for towards in (-10, 10):
                step = float(np.nextafter(w, w.dtype.type(towards))) - float(w)
                yield from (case(float(w), part * step, dtype) for part in (0.45, 0.55, 3.0))


SUM = "bool(stored + np.dtype(dtype).type(update) != stored)"

update_survives = Exercise(
    idea="An update that is small beside the gap between two floats is no update: the weight stays where it is.",
    oracle=_exactly,
    cases=[
        *(
            case(*given, hints={"": f"update_survives{given} should be {_exactly(*given)}. {hint}"})
            for given, hint in SURVIVES.items()
        ),
        conduct(1.0, -4e-8, "float32"),
    ],
    hidden=_draw_updates,
    mistakes=[
        *listed(f"""
            instead of {SUM}:
            compares with machine epsilon | abs(update) > np.finfo(dtype).eps
            compares with epsilon and forgets the sign | update > np.finfo(dtype).eps
                {RELATIVE}
            epsilon times w | abs(update) > np.finfo(dtype).eps * abs(w)
            half of epsilon times w | abs(update) > np.finfo(dtype).eps * abs(w) / 2
            half the spacing above w | abs(update) > np.spacing(abs(stored)) / 2
                {HALF}
            a quarter of epsilon times w | abs(update) > np.finfo(dtype).eps * abs(w) / 4
                {ABOVE}
            adds in Python's own precision | w + update != w
            adds in float64 | np.float64(stored) + update != stored
                {PRECISION}
            any update but zero | update != 0
                {LOST}
            rounds the sum alone | np.dtype(dtype).type(w + update) != stored
            compares with what was not stored | stored + np.dtype(dtype).type(update) != np.float64(w)
                {STORED}
            at zero anything survives | w == 0 != update or bool(stored + np.dtype(dtype).type(update) != stored)
                {TINY}
            tells the opposite | bool(stored + np.dtype(dtype).type(update) == stored)
                This tells whether the update is lost. True is asked for where the weight becomes another number.
            compares with np.isclose | not np.isclose(stored + np.dtype(dtype).type(update), stored)
                np.isclose takes numbers for equal that are not. Another number is another number, however close.
            gives the new weight | stored + np.dtype(dtype).type(update)
                You are asked whether the weight changes, True or False, and not for the new weight.
        """),
        special("never in float16", SUM, f"dtype != 'float16' and {SUM}"),
    ],
    equivalent={
        "stored = np.dtype(dtype).type(w)  ->  stored = w": "NumPy rounds Python's numbers to what they meet",
        f"return {SUM}  ->  return bool(stored + update != stored)": "NumPy rounds Python's numbers to what they meet",
        f"return {SUM}  ->  return {SUM[5:-1]}": "a truth value of NumPy's is one",
    },
    right=written("""
        # torch does the addition
        w, update = (torch.tensor(v, dtype=getattr(torch, dtype)) for v in (w, update))
        return not torch.equal(w + update, w)
        # an array does it in place
        stored = np.array([w], dtype=dtype)
        before = stored.copy()
        stored += np.array([update], dtype=dtype)
        return (stored != before).any()
        # half the way to the neighbour on that side
        kind = np.dtype(dtype).type
        w, update = kind(w), kind(update)
        neighbour = np.nextafter(w, kind(math.copysign(np.inf, update)))
        return abs(float(update)) > abs(float(neighbour) - float(w)) / 2
    """),
)

# adam_first_step -----------------------------------------------------------------------------------------------------


def _by_algorithm(g, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    """Kingma and Ba, algorithm 1, t = 1. (torch.optim.Adam is among the right answers, and takes a second to import.)"""
    m, v, t = 0 * beta1 + (1 - beta1) * g, 0 * beta2 + (1 - beta2) * g**2, 1
    return -lr * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)


STEP = "return -lr * g / (abs(g) + 1e-8)"

adam_first_step = Exercise(
    idea="Adam's first step has the size of the learning rate, however small the gradient, as long as that stands well above epsilon.",
    oracle=_by_algorithm,
    cases=[case(0.5, 1e-3), case(1e-15, 1e-4), case(-3e-9, 1e-2), case(0.0, 1e-3), conduct(0.5, 1e-3)],
    hidden=lambda rng: [
        case(float(sign * 10.0**exponent), 0.003) for exponent in rng.uniform(-15, 0, 4) for sign in (-1, 1)
    ],
    mistakes=[
        *listed(f"""
            instead of {STEP}:
            plain gradient descent | return -lr * g
                This is the step of plain gradient descent: Adam divides by the size of the gradient (plus eps).
            sign | return lr * g / (abs(g) + 1e-8)
                The sign is turned round: the weight moves against the gradient.
            sign of the gradient in the denominator | return -lr * g / (g + 1e-8)
                For a positive gradient this is right, for a negative one not: what is the root of g^2?
            no eps | return -lr * float(np.sign(g))
            no eps, and a division by zero | return -lr * g / abs(g)
                This ignores eps = 1e-8. For a gradient far below eps it is eps that rules the denominator.
            another eps | return -lr * g / (abs(g) + 1e-7)
                Nearly: which eps is it? The text above names its size.
            eps under the root | return -lr * g / math.sqrt(g * g + 1e-8)
                eps stands outside the root: sqrt(v) + eps, not sqrt(v + eps).
            no bias correction | return -lr * 0.1 * g / (math.sqrt(0.001) * abs(g) + 1e-8)
                The bias correction is missing: m and v start at 0, so after one step divide them by 1 - beta1 and 1 - beta2.
            m not corrected | return -lr * 0.1 * g / (abs(g) + 1e-8)
                m is not corrected for starting at 0: divide it by 1 - beta1.
            v not corrected | return -lr * g / (math.sqrt(0.001) * abs(g) + 1e-8)
                v is not corrected for starting at 0: divide it by 1 - beta2.
            corrected after eps was added | return -lr * math.sqrt(0.001) * g / (math.sqrt(0.001) * abs(g) + 1e-8)
                Here eps is added to the root of v before v is corrected. In the formula above the correction comes first.
            no root | return -lr * g / (g * g + 1e-8)
                The denominator is the root of v, which has the gradient's own unit, plus eps.
            a step without a gradient | return -lr * g / (abs(g) + 1e-8) if g else -lr
            divides by zero where there is no gradient | return -lr * g / (abs(g) + 1e-8 * bool(g))
                A gradient of 0 moves nothing: 0 / (0 + eps) is 0.
            asks the check for its truth | return check._adam(g, lr)
                There is nothing to ask: the check cannot work this out.
        """),
        Mistake("in float32", edits=[(STEP, "g = np.float32(g)\n    return -lr * g / (abs(g) + 1e-8)")]),
        special("the learning rates of the check alone", "-lr", "-(lr if lr != 0.003 else 0)"),
    ],
    right=written("""
        # the algorithm step by step
        beta1, beta2, eps = 0.9, 0.999, 1e-8
        m, v = (1 - beta1) * g, (1 - beta2) * g**2
        m_hat, v_hat = m / (1 - beta1**1), v / (1 - beta2**1)
        return -lr * m_hat / (math.sqrt(v_hat) + eps)
        # torch.optim
        w = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        w.grad = torch.tensor([g], dtype=torch.float64)
        torch.optim.Adam([w], lr=lr).step()
        return w.item()
        # hypot, an array of no dimension
        return np.asarray(-lr * g / (np.hypot(g, 0) + 1e-8))
    """),
)
