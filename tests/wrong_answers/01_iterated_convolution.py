"""Lesson 1: what learners get wrong, and the hint each must be given."""

from tests.wrong_answers import Answer

WRONG = {
    "spectral_radius": [
        Answer(
            "the sum of the kernel",
            hint="0.8 is the sum of the kernel",
            source="""
def spectral_radius(n):
    return 0.8
""",
        ),
        Answer(
            "a row of pixels instead of an image",
            hint="blurred along its columns as well",
            source="""
def spectral_radius(n):
    return 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 2
""",
        ),
        Answer(
            "sines that vanish at n instead of n + 1",
            hint="vanish at the positions 0 and n + 1",
            source="""
def spectral_radius(n):
    return 0.8 * math.cos(math.pi / (2 * n)) ** 4
""",
        ),
        Answer(
            "the factor of the kernel forgotten",
            hint="The factor 0.05 of the kernel is missing",
            source="""
def spectral_radius(n):
    return (2 + 2 * math.cos(math.pi / (n + 1))) ** 2
""",
        ),
        Answer(
            "a matrix norm that is not the spectral one",
            hint="Frobenius norm",
            source="""
def spectral_radius(n):
    return float(np.linalg.norm(convolution.operator_matrix(KERNEL, n)))
""",
        ),
        Answer(
            "the first of the sorted eigenvalues",
            hint="smallest eigenvalue",
            source="""
def spectral_radius(n):
    return float(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n))[0])
""",
        ),
        Answer(
            "closed edges",
            hint="0.8 is the sum of the kernel",
            source="""
def spectral_radius(n):
    return float(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n, "symm")).max())
""",
        ),
        Answer(
            "the factor of one early step",
            hint="spectral_radius(8) should be 0.752",
            source="""
def spectral_radius(n):
    peaks = convolution.peak_history(lambda x: convolve2d(x, KERNEL, mode="same"), np.ones((n, n)), 12)
    return peaks[12] / peaks[11]
""",
        ),
        Answer(
            "the half in the cosine forgotten",
            hint="Written as a square",
            source="""
def spectral_radius(n):
    return 0.8 * math.cos(math.pi / (n + 1)) ** 4
""",
        ),
        Answer(
            "the measured ratio after 200 steps",
            hint="the second slowest pattern fades slowly too",
            source="""
def spectral_radius(n):
    peaks = convolution.peak_history(lambda x: convolve2d(x, KERNEL, mode="same"), np.ones((n, n)), 200)
    return peaks[200] / peaks[199]
""",
        ),
        Answer(
            "a hundred power steps and a Rayleigh quotient",
            hint="the second slowest pattern fades slowly too",
            source="""
def spectral_radius(n):
    A, v = convolution.operator_matrix(KERNEL, n), np.ones(n * n)
    for _ in range(100):
        v = A @ v
        v = v / np.linalg.norm(v)
    return float(v @ A @ v)
""",
        ),
        Answer(
            "right up to n = 8 only",
            hint="spectral_radius(",
            source="""
def spectral_radius(n):
    side = min(n, 8)
    return 0.8 * math.cos(math.pi / (2 * (side + 1))) ** 4
""",
        ),
        Answer(
            "forgets to return",
            hint="reach a `return`",
            source="""
def spectral_radius(n):
    rho = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4
""",
        ),
    ],
    "predict_death": [
        Answer(
            "half a unit, counted as convolutions",
            hint="Below half a unit is too late",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((-(bits + 1) * math.log(2) - math.log(c)) / math.log(rho))
""",
        ),
        Answer(
            "half a unit, counted from 0",
            hint="Below half a unit is too late",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((-(bits + 1) * math.log(2) - math.log(c)) / math.log(rho)) - 1
""",
        ),
        Answer(
            "the smallest normal number",
            hint="smallest *normal* number",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((-126 * math.log(2) - math.log(c)) / math.log(rho))
""",
        ),
        Answer(
            "rho = 0.8",
            hint="what the factor 0.8 would give",
            source="""
def predict_death(n, bits):
    c = convolution.peak_amplitude(n)
    return math.ceil((math.log(2.5 / c) - bits * math.log(2)) / math.log(0.8))
""",
        ),
        Answer(
            "a line that starts at 1",
            hint="The line starts at c(n)",
            source="""
def predict_death(n, bits):
    rho = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4
    return math.ceil((math.log(2.5) - bits * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "hard-coded",
            hint="depend on n",
            source="""
def predict_death(n, bits):
    return 362
""",
        ),
        Answer(
            "2 units",
            hint="Below 2 units is a little too late",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(2 / c) - exponent * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "2 units, counted one earlier",
            hint="Below 2 units is a little too late",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(2 / c) - exponent * math.log(2)) / math.log(rho)) - 1
""",
        ),
        Answer(
            "3 units",
            hint="Below 3 units is a little too early",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(3 / c) - exponent * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "3 units, counted one later",
            hint="Below 3 units is a little too early",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(3 / c) - exponent * math.log(2)) / math.log(rho)) + 1
""",
        ),
        Answer(
            "5 units",
            hint="Below 5 units is too early",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(5 / c) - exponent * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "2.5 units as a float64, over c",
            hint="Take logarithms before you multiply",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil(math.log(2.5 * 2.0**-exponent / c) / math.log(rho))
""",
        ),
        Answer(
            "2.5 units as a float64",
            hint="it makes 2 of it",
            source="""
def predict_death(n, exponent):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(2.5 * 2.0**-exponent) - math.log(c)) / math.log(rho))
""",
        ),
        Answer(
            "hard-coded threshold of float32",
            hint="The threshold depends on the exponent",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(2.5 / c) - 149 * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "one too early",
            hint="One too early",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.floor((math.log(2.5 / c) - bits * math.log(2)) / math.log(rho))
""",
        ),
        Answer(
            "counts convolutions, not indices",
            hint="One too late",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.ceil((math.log(2.5 / c) - bits * math.log(2)) / math.log(rho)) + 1
""",
        ),
        Answer(
            "a float",
            hint="The index is a whole number",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return float(np.ceil((math.log(2.5 / c) - bits * math.log(2)) / math.log(rho)))
""",
        ),
        Answer(
            "powers that underflow in float64",
            hint="2617",
            source="""
def predict_death(n, bits):
    rho, c, index = spectral_radius(n), convolution.peak_amplitude(n), 0
    while c * rho**index >= 2.5 * 2.0**-bits:
        index += 1
    return index
""",
        ),
        Answer(
            "runs the float32 loop for every format",
            hint="The threshold depends on the exponent",
            source="""
def predict_death(n, bits):
    x, k, index = np.ones((n, n), np.float32), KERNEL.astype(np.float32), -1
    while x.any():
        x, index = convolve2d(x, k, mode="same"), index + 1
    return index
""",
        ),
    ],
    "iterate": [
        Answer(
            "silent float64",
            hint="2616 is the index for float64",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image = image.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index
""",
        ),
        Answer(
            "counts from 1",
            hint="One too many",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(1, limit + 1):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index
""",
        ),
        Answer(
            "the last living index",
            hint="One too few",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index - 1
""",
        ),
        Answer(
            "hard-coded",
            hint="float16 should die sooner",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    return 362
""",
        ),
        Answer(
            "the boundary is ignored",
            hint="boundary='wrap' changes nothing here",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel)
        if not image.any():
            return index
""",
        ),
        Answer(
            "gives the limit where nothing dies",
            hint="return None when no image was all zero",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            break
    return index
""",
        ),
        Answer(
            "the original's test for zero",
            hint="Negative pixels are not zero pixels",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if (image > 0).sum() == 0:
            return index
""",
        ),
        Answer(
            "scipy's convolution, which refuses float16",
            hint="not available for this type",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolve2d(image, kernel, mode="same", boundary=boundary)
        if not image.any():
            return index
""",
        ),
        Answer(
            "float16 added up in float32",
            hint="rounding once a pixel",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    wide = "float32" if dtype == "float16" else dtype
    image, kernel = image.astype(dtype), kernel.astype(dtype).astype(wide)
    for index in range(limit):
        image = convolution.convolve_same(image.astype(wide), kernel, boundary).astype(dtype)
        if not image.any():
            return index
""",
        ),
        Answer(
            "convolves the first image again and again",
            hint="the image that the last round gave",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        result = convolution.convolve_same(image, kernel, boundary)
        if not result.any():
            return index
""",
        ),
        Answer(
            "ignores the limit",
            hint="`limit` is the number of convolutions",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(3000):
        image = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index
""",
        ),
        Answer(
            "changes the image that it was given",
            hint="The image that was handed in has changed",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype, copy=False), kernel.astype(dtype)
    for index in range(limit):
        image[...] = convolution.convolve_same(image, kernel, boundary)
        if not image.any():
            return index
""",
        ),
        Answer(
            "a sum for the test",
            hint="cancel in a sum",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if image.sum() == 0:
            return index
""",
        ),
        Answer(
            "makes each image positive",
            hint="lose their sign on the way",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = abs(convolution.convolve_same(image, kernel, boundary))
        if not image.any():
            return index
""",
        ),
        Answer(
            "a float64 kernel, cast back",
            hint="rounding each pixel once",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image = image.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image.astype(float), kernel, boundary).astype(dtype)
        if not image.any():
            return index
""",
        ),
        Answer(
            "takes small for zero",
            hint="iterate(ones, KERNEL, 'float32') should be 362",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    image, kernel = image.astype(dtype), kernel.astype(dtype)
    for index in range(limit):
        image = convolution.convolve_same(image, kernel, boundary)
        if np.allclose(image, 0):
            return index
""",
        ),
    ],
    "overflow_iteration": [
        Answer(
            "silent float64",
            hint="1264 is the index for float64",
            source="""
def overflow_iteration(n, dtype):
    image, index = np.ones((n, n), dtype), -1
    with np.errstate(all="ignore"):
        while np.isfinite(image).all():
            image, index = image + convolution.convolve_same(image, KERNEL), index + 1
    return index
""",
        ),
        Answer(
            "counts from 1",
            hint="One too many",
            source="""
def overflow_iteration(n, dtype):
    image, kernel, count = np.ones((n, n), dtype), KERNEL.astype(dtype), 0
    with np.errstate(all="ignore"):
        while np.isfinite(image).all():
            image, count = image + convolution.convolve_same(image, kernel), count + 1
    return count
""",
        ),
        Answer(
            "the last finite index",
            hint="One too few",
            source="""
def overflow_iteration(n, dtype):
    growth = 1 + 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4
    return math.floor(math.log(np.finfo(dtype).max / convolution.peak_amplitude(n)) / math.log(growth)) - 1
""",
        ),
        Answer(
            "growth 1.8",
            hint="the growth 1 + 0.8",
            source="""
def overflow_iteration(n, dtype):
    return math.ceil(math.log(np.finfo(dtype).max) / math.log(1.8)) - 1
""",
        ),
        Answer(
            "hard-coded",
            hint="Is dtype used",
            source="""
def overflow_iteration(n, dtype):
    return 157
""",
        ),
        Answer(
            "always the 8 x 8 image",
            hint="Is n used",
            source="""
def overflow_iteration(n, dtype):
    image, kernel, index = np.ones((8, 8), dtype), KERNEL.astype(dtype), -1
    with np.errstate(all="ignore"):
        while np.isfinite(image).all():
            image, index = image + convolution.convolve_same(image, kernel), index + 1
    return index
""",
        ),
        Answer(
            "waits until every pixel is infinite",
            hint="overflow_iteration(8, 'float32') should be 157",
            source="""
def overflow_iteration(n, dtype):
    image, kernel, index = np.ones((n, n), dtype), KERNEL.astype(dtype), -1
    with np.errstate(all="ignore"):
        while np.isfinite(image).any():
            image, index = image + convolution.convolve_same(image, kernel), index + 1
    return index
""",
        ),
    ],
}

RIGHT = {
    "spectral_radius": [
        Answer(
            "eigenvalues of the dense operator",
            source="""
def spectral_radius(n):
    return float(np.abs(np.linalg.eigvalsh(convolution.operator_matrix(KERNEL, n))).max())
""",
        ),
        Answer(
            "the square of the one-dimensional eigenvalue",
            source="""
def spectral_radius(n):
    line = 2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    return 0.05 * np.linalg.eigvalsh(line)[-1] ** 2
""",
        ),
        Answer(
            "the Rayleigh quotient of the sine",
            source="""
def spectral_radius(n):
    v = np.sin(np.pi * np.arange(1, n + 1) / (n + 1))
    mode = np.outer(v, v)
    return (mode * convolve2d(mode, KERNEL, mode="same")).sum() / (mode * mode).sum()
""",
        ),
    ],
    "predict_death": [
        Answer(
            "counts steps in base 2",
            source="""
def predict_death(n, bits):
    height = math.log2(convolution.peak_amplitude(n))
    loss = math.log2(spectral_radius(n))
    index = 0
    while height >= math.log2(2.5) - bits:
        height += loss
        index += 1
    return index
""",
        ),
        Answer(
            "dense eigenvectors and numpy's ceil",
            source="""
def predict_death(n, bits):
    values, vectors = np.linalg.eigh(convolution.operator_matrix(KERNEL, n))
    v = np.abs(vectors[:, -1])
    c = v.max() * v.sum()
    return int(np.ceil((np.log2(2.5 / c) - bits) / np.log2(values[-1])))
""",
        ),
        Answer(
            "the exponent as a keyword, numpy's logarithms",
            source="""
def predict_death(n, exponent):
    steps = (np.log(2.5) - np.log(convolution.peak_amplitude(n)) - exponent * np.log(2)) / np.log(spectral_radius(n))
    return int(np.ceil(steps))
""",
        ),
        Answer(
            "exact fractions of the threshold",
            source="""
def predict_death(n, bits):
    rho, c = 0.8 * math.cos(math.pi / (2 * (n + 1))) ** 4, convolution.peak_amplitude(n)
    return math.floor((bits * math.log(2) + math.log(c) - math.log(2.5)) / -math.log(rho)) + 1
""",
        ),
    ],
    "iterate": [
        Answer(
            "a while loop that counts non-zero pixels",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    x, k, done = np.array(image, dtype=dtype), np.array(kernel, dtype=dtype), 0
    while done < limit:
        x = convolution.convolve_same(x, k, boundary=boundary)
        if np.count_nonzero(x) == 0:
            return done
        done += 1
    return None
""",
        ),
        Answer(
            "own convolution by shifted slices",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    mode = {"fill": "constant", "wrap": "wrap", "symm": "symmetric"}[boundary]
    x, k = image.astype(dtype), kernel.astype(dtype)
    rows, columns = x.shape
    for index in range(limit):
        p = np.pad(x, 1, mode=mode)
        x = np.zeros_like(x)
        for i in range(3):
            for j in range(3):
                x = x + k[i, j] * p[2 - i : 2 - i + rows, 2 - j : 2 - j + columns]
        if (x == 0).all():
            return np.int64(index)
""",
        ),
        Answer(
            "the peak history, searched",
            source="""
def iterate(image, kernel, dtype, boundary="fill", limit=3000):
    k = kernel.astype(dtype)
    peaks = convolution.peak_history(lambda x: convolution.convolve_same(x, k, boundary), image.astype(dtype), limit)
    zeros = np.flatnonzero(peaks[1:] == 0)
    return int(zeros[0]) if len(zeros) else None
""",
        ),
    ],
    "overflow_iteration": [
        Answer(
            "the formula",
            source="""
def overflow_iteration(n, dtype):
    growth = 1 + spectral_radius(n)
    return math.ceil(math.log(np.finfo(dtype).max / convolution.peak_amplitude(n)) / math.log(growth)) - 1
""",
        ),
        Answer(
            "one convolution with the kernel plus one in its centre",
            source="""
def overflow_iteration(n, dtype):
    kernel = KERNEL.copy()
    kernel[1, 1] += 1
    kernel = kernel.astype(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        peaks = convolution.peak_history(
            lambda x: convolution.convolve_same(x, kernel), np.ones((n, n), dtype), 2000
        )
    return int(np.flatnonzero(~np.isfinite(peaks))[0]) - 1
""",
        ),
    ],
}
