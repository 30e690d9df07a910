# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A toy lesson for the attack suite

# %% setup="imports"
import numpy as np

from helpers.checks import call, close, equal


# %% answer="double"
def double(x):
    """Twice an array."""
    ### BEGIN SOLUTION
    return 2 * x  # CANARY-solution
    ### END SOLUTION


# %% check="double" points=4
close(call(double, np.arange(3.0)), np.array([0.0, 2.0, 4.0]), "double([0, 1, 2])")
### BEGIN HIDDEN TESTS
hidden = "CANARY-hidden-test"
for x in np.random.default_rng(7).normal(size=(3, 4)):
    close(call(double, x), 2 * x, "double of a random array")
### END HIDDEN TESTS


# %% answer="greet"
def greet(name):
    """Hello, name."""
    ### BEGIN SOLUTION
    return f"Hello, {name}"
    ### END SOLUTION


# %% check="greet" points=3
equal(call(greet, "Ada"), "Hello, Ada", 'greet("Ada")')
### BEGIN HIDDEN TESTS
equal(call(greet, "Zoe"), "Hello, Zoe", "greet of another name")
### END HIDDEN TESTS


# %% answer="extremes"
def extremes(values):
    """Smallest and largest of a list."""
    ### BEGIN SOLUTION
    return min(values), max(values)
    ### END SOLUTION


# %% check="extremes" points=3
equal(call(extremes, [3, 1, 2]), (1, 3), "extremes([3, 1, 2])")
### BEGIN HIDDEN TESTS
equal(call(extremes, [7, -5, 2]), (-5, 7), "extremes([7, -5, 2])")
### END HIDDEN TESTS
