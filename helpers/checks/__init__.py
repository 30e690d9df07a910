"""Checks: one module a lesson, each function named after the exercise it checks.

A notebook says `from helpers.checks import iterated_convolution as check`, then
`check.spectral_radius(spectral_radius)`. The words the checks are written with are in `core`.
"""

from helpers.checks.core import (
    CheckFailed,
    after_call,
    beside,
    call,
    close,
    equal,
    exercise,
    expect,
    gradient,
    progress,
    raises,
    shown,
)

__all__ = [
    "CheckFailed",
    "after_call",
    "beside",
    "call",
    "close",
    "equal",
    "exercise",
    "expect",
    "gradient",
    "progress",
    "raises",
    "shown",
]
