"""Exercises of lesson 1."""

import math

import numpy as np

from course.exercises import Exercise, Mistake, case, changed, conduct, listed, told, written
from helpers import convolution

KERNEL = convolution.binomial_kernel()
ONES = np.ones((8, 8))
RHO = "0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4"

# spectral_radius -----------------------------------------------------------------------------------------------------


def _by_eigenvalues(n):
    return np.abs(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n))).max()


RATIO = """
peaks = convolution.peak_history(lambda x: convolve2d(x, KERNEL, mode="same"), np.ones((n, n)), {0})
return peaks[{0}] / peaks[{0} - 1]
"""
EARLY = "Close, and not there: a ratio of two images still holds patterns that fade faster. Which number does it tend to?"
SLOW = (
    "Nearly. Is it a ratio of two images after some steps? In a large image the second slowest pattern fades slowly too: "
    "the ratio is not there yet, and no fixed number of steps is enough for each n."
)

spectral_radius = Exercise(
    idea="In the long run an iterated linear map is one number, the largest modulus among its eigenvalues; 0.8 is only its limit for large images.",
    oracle=_by_eigenvalues,
    cases=[
        case(8),
        case(3),
        case(1),
        case(20, hints={"": f"spectral_radius(20) is not right. {SLOW}"}),
        conduct(5),
    ],
    hidden=lambda rng: map(case, rng.integers(2, 25, 4).tolist()),
    mistakes=[
        *listed(f"""
            instead of {RHO}:
            the sum of the kernel | 0.8
            closed edges | np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n, "symm")).max()
                0.8 is the sum of the kernel: the factor far away from every edge. What do the zeros around the image take
                away?
            a row of pixels instead of an image | 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 2
                This is right for a row of pixels. The image is blurred along its columns as well: A is a Kronecker product.
            sines that vanish at n instead of n + 1 | 0.8 * math.cos(math.pi / (2 * n)) ** 4
                Nearly: the sines vanish at the positions 0 and n + 1, just outside of the image. How far apart are these?
            the half in the cosine forgotten | 0.8 * math.cos(math.pi / (n + 1)) ** 4
                Nearly: the eigenvalue of T is 2 + 2 cos of an angle. Written as a square, it is the cosine of which angle?
            the factor of the kernel forgotten | (2 + 2 * math.cos(math.pi / (n + 1))) ** 2
                The factor 0.05 of the kernel is missing.
            a matrix norm that is not the spectral one | np.linalg.norm(convolution.operator_matrix(KERNEL, n))
                That is the Frobenius norm. The spectral radius is the largest |eigenvalue|.
            the first of the sorted eigenvalues | np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n))[0]
                That is the smallest eigenvalue. Which one wins when the matrix is applied many times?
        """),
        Mistake("the ratio of two steps, 200 steps on", RATIO.format(200), hint=SLOW),
        *told(f"""
            # a hundred power steps and a Rayleigh quotient
            #     {SLOW}
            A, v = convolution.operator_matrix(KERNEL, n), np.ones(n * n)
            for _ in range(100):
                v = A @ v / np.linalg.norm(A @ v)
            return float(v @ A @ v)
        """),
        Mistake("the ratio of two early steps", RATIO.format(12), hint=EARLY),
        Mistake("forgets to return", f"rho = {RHO}"),
        Mistake(
            "right up to n = 8, and at 20", f"n = n if n == 20 else min(n, 8)\nreturn {RHO}", special=True
        ),
    ],
    right=written("""
        # eigenvalues of the dense operator
        return float(np.abs(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n))).max())
        # the square of the one-dimensional eigenvalue
        line = 2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
        return 0.05 * np.linalg.eigvalsh(line)[-1] ** 2
        # the Rayleigh quotient of the sine
        v = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
        mode = np.outer(v, v)
        return (mode * convolve2d(mode, KERNEL, mode="same")).sum() / (mode * mode).sum()
        # a tensor of no dimension
        return 0.8 * torch.cos(torch.tensor(math.pi / (2 * (n + 1)), dtype=torch.float64)) ** 4
    """),
)

# predict_death -------------------------------------------------------------------------------------------------------


def _counted(n, exponent):
    values, vectors = np.linalg.eigh(convolution.operator_matrix(KERNEL, n))
    slowest = np.abs(vectors[:, -1])
    log2_peak = math.log2(slowest.sum() * slowest.max())
    index = 0
    while log2_peak + index * math.log2(values[-1]) >= math.log2(2.5) - exponent:
        index += 1
    return index


END = "math.log(rho))"
COUNTED = (("", ""), (" - 1", ", counted one earlier"), (" + 1", ", counted one later"))
UNITS = {
    "0.5": "Below half a unit is too late. Which is the largest product that a pixel of m units hands on, and when does "
    "*that* round to zero?",
    "1": "One unit is not the threshold: a pixel of 2 units dies as well. Look at the table of products.",
    "2": "Below 2 units is a little too late. The rule compares the line with a number of units that no pixel has: an "
    "image just below it still rounds to which whole number?",
    "3": "Below 3 units is a little too early: where the line is at 2.7 units, the largest pixel is 3, and the table of "
    "products says that 3 units hand something on.",
    "5": "Below 5 units is too early: a pixel of 3 or 4 units still hands something on to itself. Look at the table.",
}
DEPENDS = "n = 4 gives the same index as n = 8. The amplitude and the spectral radius depend on n."
SAME = "float64 (exponent = 1074) gives the same index as float32. The threshold depends on the exponent."

predict_death = Exercise(
    idea="A signal that shrinks by a constant factor ends where its line meets the end of the format, and logarithms find that place.",
    oracle=_counted,
    cases=[case(8, 149), case(4, 149), case(8, 24), case(8, 1074), case(4, 1074), conduct(6, 133)],
    hidden=lambda rng: map(
        case,
        rng.permutation(np.arange(3, 13))[:5].tolist(),
        (133, 24, 149, 1074, int(rng.integers(200, 900))),
    ),
    mistakes=[
        *listed(f"""
            one too early | {END} | {END} - 1
                One too early: after k convolutions the next one has index k.
            counts convolutions | {END} | {END} + 1
                One too late: after k convolutions the next one has index k.
            a float | {END} | {END} * 1.0
                The index is a whole number: math.ceil gives an int, np.ceil a float.
        """),
        *changed(
            *(
                (f"{units} units{how}", "2.5", units, END, END + after, hint)
                for units, hint in UNITS.items()
                for after, how in COUNTED
            )
        ),
        *listed(f"""
            the smallest normal number | math.log(2.5) - exponent | -126
                2**-126 is the smallest *normal* number of float32. Below it there are the subnormal ones, down to 2**-exponent.
            rho = 0.8 | {RHO} | 0.8
                This is what the factor 0.8 would give. Use the spectral radius for this n.
            a line that starts at 1 | convolution.peak_amplitude(n) | 1
                The line starts at c(n), not at 1: see convolution.peak_amplitude.
            the line of an 8 x 8 image | (n + 1) | (8 + 1) | amplitude(n) | amplitude(8)
                {DEPENDS}
            the threshold of float32 | exponent * math | 149 * math
                {SAME}
        """),
        Mistake("hard-coded", "return 362", hint=DEPENDS),
        *told(f"""
            # runs the float32 loop for every format
            #     {SAME}
            x, k, index = np.ones((n, n), np.float32), KERNEL.astype(np.float32), -1
            while x.any():
                x, index = convolve2d(x, k, mode="same"), index + 1
            return index
        """),
        *listed("""
            2.5 units as a float64, over c | (log_threshold - math.log(convolution.peak_amplitude(n))) | math.log(2.5 * 2.0**-exponent / convolution.peak_amplitude(n))
                Right, except where exponent = 1074: float64 cannot hold 2.5 times its own smallest number, nor a part of it.
                Take logarithms before you multiply, not after.
            2.5 units as a float64 | log_threshold = math.log(2.5) - exponent * math.log(2) | log_threshold = math.log(2.5 * 2.0**-exponent)
                Right, except for one of the two cases with exponent = 1074: float64 cannot hold 2.5 times its own smallest
                number, it makes 2 of it. Take logarithms before you multiply, not after.
        """),
        *told("""
            # powers that underflow in float64
            #     Right, except where exponent = 1074: there the powers end in float64's last few numbers. Take
            #     logarithms before you multiply, not after.
            rho, c, index = spectral_radius(n), convolution.peak_amplitude(n), 0
            while c * rho**index >= 2.5 * 2.0**-exponent:
                index += 1
            return index
        """),
    ],
    right=written("""
        # counts steps in base 2
        height, loss, index = math.log2(convolution.peak_amplitude(n)), math.log2(spectral_radius(n)), 0
        while height >= math.log2(2.5) - exponent:
            height += loss
            index += 1
        return index
        # dense eigenvectors and numpy's ceil
        values, vectors = np.linalg.eigh(convolution.operator_matrix(KERNEL, n))
        v = np.abs(vectors[:, -1])
        return int(np.ceil((np.log2(2.5 / (v.max() * v.sum())) - exponent) / np.log2(values[-1])))
        # numpy's logarithms and an integer of numpy
        steps = (np.log(2.5) - np.log(convolution.peak_amplitude(n)) - exponent * np.log(2)) / np.log(spectral_radius(n))
        return np.int64(np.ceil(steps))
        # floor and one
        rho, c = spectral_radius(n), convolution.peak_amplitude(n)
        return math.floor((exponent * math.log(2) + math.log(c) - math.log(2.5)) / -math.log(rho)) + 1
    """),
)

# iterate -------------------------------------------------------------------------------------------------------------


def _by_slices(image, kernel, dtype, boundary="fill", limit=3000):
    mode = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
    x, k = np.asarray(image).astype(dtype), np.asarray(kernel).astype(dtype)
    rows, columns = x.shape
    for index in range(limit):
        p = np.pad(x, 1, mode=mode)
        x = np.zeros_like(x)
        for i in range(3):
            for j in range(3):
                x = x + k[i, j] * p[2 - i : 2 - i + rows, 2 - j : 2 - j + columns]
        if (x == 0).all():
            return index
    return None


OPPOSED = np.repeat([[1.0, -1.0]], 2, axis=1) * np.ones((4, 1))


def _draw_images(rng):
    for dtype, boundary, scale in (
        ("float32", "fill", -0.4),
        ("float64", "symm", 0.03),
        ("float32", "wrap", 0.2),
    ):
        what = f"iterate(6 x 6 noise, {scale} * KERNEL, {dtype!r}, {boundary!r})"
        yield case(rng.normal(size=(6, 6)), scale * KERNEL, dtype, boundary, what=what)


iterate = Exercise(
    idea="Cast everything once and ask for zero itself: then the loop tells what the format does, and nothing else.",
    oracle=_by_slices,
    cases=[
        case(ONES, KERNEL, "float32", what="iterate(ones, KERNEL, 'float32')"),
        case(ONES, KERNEL, "float16", what="iterate(ones, KERNEL, 'float16')"),
        case(ONES, KERNEL, "float32", "wrap", 500, what="iterate(..., boundary='wrap', limit=500)"),
        case(ONES, KERNEL, "float32", "fill", 10, what="iterate(..., limit=10)"),
        case(ONES, KERNEL, "float16", "fill", 56, what="iterate(ones, KERNEL, 'float16', limit=56)"),
        case(ONES, KERNEL, "float16", "fill", 55, what="iterate(ones, KERNEL, 'float16', limit=55)"),
        case(ONES, -KERNEL, "float32", what="iterate(ones, -KERNEL, 'float32')"),
        case(
            OPPOSED,
            1.25 * KERNEL,
            "float32",
            what="iterate(+1 in the left half and -1 in the right half of a 4 x 4 image, 1.25 * KERNEL, 'float32')",
        ),
        conduct(ONES.astype("float32"), KERNEL.astype("float32"), "float32", "fill", 12),
    ],
    hidden=_draw_images,
    mistakes=listed("""
        silent float64 | image.astype(dtype), kernel.astype(dtype) | image.astype(dtype), kernel
            2616 is the index for float64: image and kernel are float64, and float64 wins every product. Cast both of them.
        counts from 1 | range(limit) | range(1, limit + 1)
            One too many: the loop counts from 0.
        the last living index | return index | return index - 1
            One too few: the index is that of the convolution which *gives* the zeros.
        the boundary is ignored | kernel, boundary) | kernel)
            boundary='wrap' changes nothing here. Is the boundary handed on to the convolution?
        gives the limit where nothing dies | return None | return limit
        gives the last index where nothing dies | return None | return limit - 1
            With boundary='wrap' nothing dies: return None when no image was all zero within `limit` convolutions.
        the original's test for zero | not image.any() | (image > 0).sum() == 0
        the largest pixel for the test | not image.any() | image.max() <= 0
            Negative pixels are not zero pixels: ask whether *any* pixel differs from zero.
        scipy's convolution | convolution.convolve_same(image, kernel, boundary) | convolve2d(image, kernel, mode="same", boundary=boundary)
            Something on the way does not take float16. The text above names a convolution that does.
        the first image again and again | image = convolution.conv | result = convolution.conv | not image | not result
            The image does die in float32. Does the loop convolve the image that the last round gave, and look at it
            each time?
        one round too many | range(limit) | range(limit + 1)
            Within 55 convolutions this image does not die: the one that gives the zeros is the 56th, of index 55.
        one round too few | range(limit) | range(limit - 1)
            The last of the `limit` convolutions is not tried: the image dies in the 56th of 56.
        ignores the limit | range(limit) | range(3000)
            `limit` is the number of convolutions to try, and 10 are not enough to kill the image.
        changes the image that it was given | image.astype(dtype), k | image.astype(dtype, copy=False), k | image = conv | image[...] = conv
            The image that was handed in has changed. Work on a copy.
        a sum for the test | not image.any() | image.sum() == 0
            Here positive and negative pixels cancel in a sum, and the image is not zero. Ask whether *any* pixel differs
            from zero.
        makes each image positive | convolution.convolve_same(image, kernel, boundary) | abs(convolution.convolve_same(image, kernel, boundary))
            This is the index if pixels lose their sign on the way. Take abs for the test at most, not for the image.
        takes small for zero | not image.any() | np.allclose(image, 0)
            Too early: a pixel of 1e-9 is small, and it is not zero. Which test asks for zero itself?
        float16 added up in float32 | convolution.convolve_same(image, kernel, boundary) | convolution.convolve_same(image.astype(np.float32 if dtype == "float16" else dtype), kernel, boundary).astype(dtype)
            64 comes of adding up in a wider format and rounding once a pixel. Let every product be float16.
        a float64 kernel, cast back | convolution.convolve_same(image, kernel, boundary) | convolution.convolve_same(image.astype(float), kernel, boundary).astype(dtype) | , kernel.astype(dtype) | , kernel
            370 comes of computing in float64 and rounding each pixel once, at the end. Round the kernel to dtype as well:
            then each product is rounded.
        instead of it all:
        hard-coded | return 362
            float16 should die sooner than float32. Is dtype used for image and kernel?
    """),
    right=written("""
        # a while loop that counts non-zero pixels
        x, k, done = np.array(image, dtype=dtype), np.array(kernel, dtype=dtype), 0
        while done < limit:
            x = convolution.convolve_same(x, k, boundary=boundary)
            if np.count_nonzero(x) == 0:
                return done
            done += 1
        # own convolution by shifted slices
        mode = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
        x, k = image.astype(dtype), kernel.astype(dtype)
        for index in range(limit):
            p = np.pad(x, 1, mode=mode)
            x = sum(k[i, j] * p[2 - i : len(p) - i, 2 - j : p.shape[1] - j] for i in range(3) for j in range(3))
            if (x == 0).all():
                return np.int64(index)
        # the peak history, searched
        k = kernel.astype(dtype)
        peaks = convolution.peak_history(lambda x: convolution.convolve_same(x, k, boundary), image.astype(dtype), limit)
        zeros = np.flatnonzero(peaks[1:] == 0)
        return int(zeros[0]) if len(zeros) else None
    """),
)

# overflow_iteration --------------------------------------------------------------------------------------------------


def _by_growth(n, dtype):
    growth = 1 + np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n)).max()
    steps = math.log(np.finfo(dtype).max / convolution.peak_amplitude(n)) / math.log(growth)
    return math.ceil(steps) - 1


overflow_iteration = Exercise(
    idea="A bare shortcut turns the factor ρ into 1 + ρ: what died now explodes.",
    oracle=_by_growth,
    cases=[case(8, "float32"), case(8, "float64"), case(4, "float32"), conduct(5, "float32")],
    hidden=lambda rng: map(
        case, rng.permutation(np.arange(2, 13))[:4].tolist(), ["float32"] * 3 + ["float64"]
    ),
    mistakes=listed("""
        silent float64 | KERNEL.astype(dtype) | KERNEL
            1264 is the index for float64: the kernel is float64 and makes the image so. Cast both of them.
        counts from 1 | index = -1 | index = 0
            One too many: the loop counts from 0.
        the last finite index | index = -1 | index = -2
            One too few: the index is that of the step whose *result* is not finite.
        always the 8 x 8 image | np.ones((n, n), dtype) | np.ones((8, 8), dtype)
            n = 4 gives the same index as n = 8. Is n used?
        waits until every pixel is infinite | .all() | .any()
            A little late: the first pixel overflows before the last one does. Which of them does the exercise ask for?
        instead of it all:
        growth 1.8 | return math.ceil(math.log(np.finfo(dtype).max) / math.log(1.8)) - 1
            This is what the growth 1 + 0.8 would give. The zeros around the image slow it down: use the spectral radius.
        hard-coded | return 157
            float64 gives the same index as float32. Is dtype used?
    """),
    equivalent={
        f"with np.errstate(over='ignore', invalid='ignore'):  ->  with np.errstate({left}='ignore'):": "a warning more"
        for left in ("over", "invalid")
    },
    right=written("""
        # the formula
        growth = 1 + spectral_radius(n)
        return math.ceil(math.log(np.finfo(dtype).max / convolution.peak_amplitude(n)) / math.log(growth)) - 1
        # one convolution with the kernel plus one in its centre
        kernel = KERNEL.copy()
        kernel[1, 1] += 1
        kernel = kernel.astype(dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            peaks = convolution.peak_history(lambda x: convolution.convolve_same(x, kernel), np.ones((n, n), dtype), 2000)
        return int(np.flatnonzero(~np.isfinite(peaks))[0]) - 1
    """),
)
