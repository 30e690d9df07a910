"""Lesson 2: what learners get wrong, and the hint each must be given."""

from tests.wrong_answers import Answer

WRONG = {
    "separation": [
        Answer(
            "not scaled",
            hint="divided by its own largest absolute pixel",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a - b).max())
""",
        ),
        Answer(
            "one scale for both",
            hint="each image by its *own*",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a - b).max() / max(abs(a).max(), abs(b).max()))
""",
        ),
        Answer(
            "Euclidean norms, whose squares underflow",
            hint="Squares of small float32 pixels underflow",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / np.linalg.norm(a) - b / np.linalg.norm(b)).max())
""",
        ),
        Answer(
            "the Euclidean norm of the difference",
            hint="Euclidean norm of the difference",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(np.linalg.norm(a / abs(a).max() - b / abs(b).max()))
""",
        ),
        Answer(
            "the square root of the largest square",
            hint="Two faint images",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    peak = lambda x: np.sqrt((x * x).max())
    scaled = [x / peak(x) if peak(x) > 0 else x for x in (a, b)]
    return float(abs(scaled[0] - scaled[1]).max())
""",
        ),
        Answer(
            "a dead image gives NaN",
            hint="separation of two dead images",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / abs(a).max() - b / abs(b).max()).max())
""",
        ),
        Answer(
            "a number against division by zero that float32 cannot hold",
            hint="separation of two dead float32 images",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / (abs(a).max() + 1e-300) - b / (abs(b).max() + 1e-300)).max())
""",
        ),
        Answer(
            "the images at the start",
            hint="the two images at the start",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        p, q = step(a), step(b)
    return float(abs(a / abs(a).max() - b / abs(b).max()).max())
""",
        ),
        Answer(
            "the largest pixel instead of the largest absolute pixel",
            hint="largest *absolute* pixel",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / a.max() - b / b.max()).max())
""",
        ),
        Answer(
            "no absolute value around the difference",
            hint="absolute value of the difference",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float((a / abs(a).max() - b / abs(b).max()).max())
""",
        ),
        Answer(
            "the mean difference",
            hint="mean difference",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / abs(a).max() - b / abs(b).max()).mean())
""",
        ),
        Answer(
            "a small number against division by zero, larger than a faint image",
            hint="Two faint images",
            source="""
def separation(step, a, b, n):
    for _ in range(n):
        a, b = step(a), step(b)
    return float(abs(a / (abs(a).max() + 1e-12) - b / (abs(b).max() + 1e-12)).max())
""",
        ),
    ],
    "input_gradient": [
        Answer(
            "a cotangent of ones",
            hint="The cotangent is not used",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output)
    output.sum().backward()
    return start.grad
""",
        ),
        Answer(
            "one step too few",
            hint="2 steps instead of 3",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = start
    for _ in range(n - 1):
        output = step(output)
    return torch.autograd.grad(output, start, cotangent)[0]
""",
        ),
        Answer(
            "one step too many",
            hint="4 steps instead of 3",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = step(start)
    for _ in range(n):
        output = step(output)
    return torch.autograd.grad(output, start, cotangent)[0]
""",
        ),
        Answer(
            "forward mode: J v instead of its transpose",
            hint="the transpose's",
            source="""
def input_gradient(step, image, n, cotangent):
    def run(x):
        for _ in range(n):
            x = step(x)
        return x

    return torch.autograd.functional.jvp(run, image, cotangent)[1]
""",
        ),
        Answer(
            "the plain convolution whatever the step",
            hint="Is `step` used",
            source="""
def input_gradient(step, image, n, cotangent):
    for _ in range(n):
        cotangent = convolution.plain_step(cotangent)
    return cotangent
""",
        ),
        Answer(
            "the step applied to the cotangent",
            hint="input_gradient(residual_softmax_step, x, 2, v) is off",
            source="""
def input_gradient(step, image, n, cotangent):
    for _ in range(n):
        cotangent = step(cotangent)
    return cotangent
""",
        ),
        Answer(
            "detached between the steps",
            hint="raised RuntimeError",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output.detach())
    return torch.autograd.grad(output, start, cotangent)[0]
""",
        ),
        Answer(
            "the image instead of the gradient",
            hint="not the gradient",
            source="""
def input_gradient(step, image, n, cotangent):
    for _ in range(n):
        image = step(image)
    return image
""",
        ),
        Answer(
            "the norm of the gradient",
            hint="not its norm",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output)
    return float(torch.autograd.grad(output, start, cotangent)[0].abs().max())
""",
        ),
        Answer(
            "always float64",
            hint="should keep the dtype float32",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.double().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output)
    return torch.autograd.grad(output, start, cotangent.double())[0]
""",
        ),
        Answer(
            "the transposed Jacobian of the first layer for all layers",
            hint="input_gradient(residual_softmax_step, x, 2, v) is off",
            source="""
def input_gradient(step, image, n, cotangent):
    for _ in range(n):
        _, cotangent = torch.autograd.functional.vjp(step, image, cotangent)
    return cotangent
""",
        ),
        Answer(
            "records on the caller's tensor",
            hint="carries one in .grad",
            source="""
def input_gradient(step, image, n, cotangent):
    image.requires_grad_(True)
    image.grad = None
    output = image
    for _ in range(n):
        output = step(output)
    output.backward(cotangent)
    return image.grad
""",
        ),
        Answer(
            "marks the caller's tensor",
            hint="requires a gradient",
            source="""
def input_gradient(step, image, n, cotangent):
    output = image.requires_grad_(True)
    for _ in range(n):
        output = step(output)
    return torch.autograd.grad(output, image, cotangent)[0]
""",
        ),
        Answer(
            "writes into the image",
            hint="The image that was handed in has changed",
            source="""
def input_gradient(step, image, n, cotangent):
    start = image.clone().requires_grad_(True)
    output = start
    for _ in range(n):
        output = step(output)
    gradient = torch.autograd.grad(output, start, cotangent)[0]
    image.copy_(output.detach())
    return gradient
""",
        ),
    ],
    "dense_sum_as_residual": [
        Answer(
            "convolves the last map only",
            hint="the last map only",
            source="""
def dense_sum_as_residual(f, x, n):
    total, last = x, x
    for _ in range(n):
        last = f(last)
        total = total + last
    return total
""",
        ),
        Answer(
            "no sum at all",
            hint="nothing is added up",
            source="""
def dense_sum_as_residual(f, x, n):
    for _ in range(n):
        x = f(x)
    return x
""",
        ),
        Answer(
            "returns the last map",
            hint="This is the last map",
            source="""
def dense_sum_as_residual(f, x, n):
    total, last = x, x
    for _ in range(n):
        last = f(total)
        total = total + last
    return last
""",
        ),
        Answer(
            "one round too few",
            hint="The last map is missing",
            source="""
def dense_sum_as_residual(f, x, n):
    total = x
    for _ in range(n - 1):
        total = total + f(total)
    return total
""",
        ),
        Answer(
            "starts from nothing",
            hint="The first map, x itself",
            source="""
def dense_sum_as_residual(f, x, n):
    total = x
    for _ in range(n):
        total = total + f(total)
    return total - x
""",
        ),
        Answer(
            "always f of the first map",
            hint="f is given the first map in every round",
            source="""
def dense_sum_as_residual(f, x, n):
    return x + sum(f(x) for _ in range(n))
""",
        ),
        Answer(
            "adds in place",
            hint="x has changed",
            source="""
def dense_sum_as_residual(f, x, n):
    total = x
    for _ in range(n):
        total += f(total)
    return total
""",
        ),
        Answer(
            "always float64",
            hint="should keep the dtype",
            source="""
def dense_sum_as_residual(f, x, n):
    total = x.astype(float)
    for _ in range(n):
        total = total + f(total)
    return total
""",
        ),
    ],
    "tie_growth": [
        Answer(
            "the identity forgotten",
            hint="The identity is missing",
            source="""
def tie_growth(kernel):
    return (kernel[1, 1] + kernel[0, 1] - kernel[1, 0] - kernel[0, 0]) / 4
""",
        ),
        Answer(
            "the softmax forgotten",
            hint="The softmax is missing",
            source="""
def tie_growth(kernel):
    return 1 + kernel[1, 1] + kernel[0, 1] - kernel[1, 0] - kernel[0, 0]
""",
        ),
        Answer(
            "the equal pattern",
            hint="four equal values",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] + kernel[0, 1] + kernel[1, 0] + kernel[0, 0]) / 4
""",
        ),
        Answer(
            "the centre weight only",
            hint="the centre weight only",
            source="""
def tie_growth(kernel):
    return 1 + kernel[1, 1] / 4
""",
        ),
        Answer(
            "the chequered pattern",
            hint="This is the chequered pattern",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] - kernel[0, 1] - kernel[1, 0] + kernel[0, 0]) / 4
""",
        ),
        Answer(
            "p (1 - p)",
            hint="one entry of the softmax's Jacobian",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] + kernel[0, 1] - kernel[1, 0] - kernel[0, 0]) * 3 / 16
""",
        ),
        Answer(
            "hard-coded",
            hint="Is the argument used",
            source="""
def tie_growth(kernel):
    return 1.0375
""",
        ),
        Answer(
            "left against right only",
            hint="couples left and right more strongly",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] + kernel[0, 1] - kernel[1, 0] - kernel[0, 0]) / 4
""",
        ),
        Answer(
            "never chequered",
            hint="the chequered pattern grows fastest",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] + abs(kernel[0, 1] - kernel[1, 0]) - kernel[0, 0]) / 4
""",
        ),
        Answer(
            "the largest eigenvalue of the whole block",
            hint="all three *unequal* patterns shrink",
            source="""
def tie_growth(kernel):
    D = (np.eye(4) - 1 / 4) / 4
    return float(np.linalg.eigvals(np.eye(4) + D @ convolution.operator_matrix(np.asarray(kernel), 2)).real.max())
""",
        ),
        Answer(
            "absolute values of the couplings",
            hint="Did a sign get lost",
            source="""
def tie_growth(kernel):
    centre, across, down, corner = kernel[1, 1], kernel[1, 0], kernel[0, 1], kernel[0, 0]
    couplings = centre - across + down - corner, centre + across - down - corner, centre - across - down + corner
    return 1 + max(map(abs, couplings)) / 4
""",
        ),
        Answer(
            "ties over the whole image",
            hint="The tie is four-fold",
            source="""
def tie_growth(kernel):
    return 1 + (kernel[1, 1] + kernel[0, 1] - kernel[1, 0] - kernel[0, 0]) / 64
""",
        ),
    ],
}

RIGHT = {
    "separation": [
        Answer(
            "numpy functions and a helper",
            source="""
def separation(step, a, b, n):
    def shape(x):
        for _ in range(n):
            x = step(x)
        peak = np.max(np.abs(x))
        return np.asarray(x) / (peak if peak > 0 else 1)
    return np.max(np.abs(shape(a) - shape(b)))
""",
        ),
        Answer(
            "the infinity norm of the flat images, scaled first",
            source="""
def separation(step, a, b, n):
    if n:
        return separation(step, step(a), step(b), n - 1)
    a, b = a.ravel().astype(float), b.ravel().astype(float)
    size = [np.linalg.norm(x, np.inf) or 1.0 for x in (a, b)]
    return float(np.linalg.norm(a / size[0] - b / size[1], np.inf))
""",
        ),
    ],
    "input_gradient": [
        Answer(
            "backward with the cotangent as loss weights",
            source="""
def input_gradient(step, image, n, cotangent):
    x = torch.tensor(image.numpy(), requires_grad=True)
    y = x
    for _ in range(n):
        y = step(y)
    (y * cotangent).sum().backward()
    return x.grad
""",
        ),
        Answer(
            "layer by layer, backwards",
            source="""
def input_gradient(step, image, n, cotangent):
    images = [image]
    for _ in range(n):
        images.append(step(images[-1]))
    for x in reversed(images[:-1]):
        _, cotangent = torch.autograd.functional.vjp(step, x, cotangent)
    return cotangent
""",
        ),
    ],
    "dense_sum_as_residual": [
        Answer(
            "the list of maps, as the original has it",
            source="""
def dense_sum_as_residual(f, x, n):
    features = [x]
    for _ in range(n):
        features.append(f(np.stack(features).sum(axis=0)))
    return np.stack(features).sum(axis=0)
""",
        ),
        Answer(
            "in place, on a copy",
            source="""
def dense_sum_as_residual(f, x, n):
    total = x.copy()
    for _ in range(n):
        total += f(total)
    return total
""",
        ),
        Answer(
            "recursion",
            source="""
def dense_sum_as_residual(f, x, n):
    return x if n == 0 else dense_sum_as_residual(f, x + f(x), n - 1)
""",
        ),
    ],
    "tie_growth": [
        Answer(
            "eigenvalues of the block without the equal pattern",
            source="""
def tie_growth(kernel):
    block = convolution.operator_matrix(np.asarray(kernel, dtype=float), 2)
    remove = np.eye(4) - np.full((4, 4), 1 / 4)
    values = np.linalg.eigvalsh(remove @ block @ remove)
    patterns = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    return 1 + max(p @ block @ p for p in patterns) / 4
""",
        ),
        Answer(
            "autograd through a tied softmax",
            source="""
def tie_growth(kernel):
    weights = torch.tensor(np.array(kernel), dtype=torch.float64)
    tied = torch.zeros(2, 2, dtype=torch.float64)
    grown = []
    for pattern in ([[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]):
        v = torch.tensor(pattern, dtype=torch.float64)
        f = lambda s: s + torch.softmax(convolution.convolve_same(s, weights).ravel(), 0).reshape(2, 2)
        _, moved = torch.autograd.functional.jvp(f, tied, v)
        grown.append(float(moved[0, 0]))
    return max(grown)
""",
        ),
    ],
}
