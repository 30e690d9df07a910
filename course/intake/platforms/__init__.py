"""The platforms, one file each: every module of this folder has a `PLATFORM`, and no other list of them is kept."""

from importlib import import_module
from pkgutil import iter_modules

from course.intake.claim import Platform


def found() -> tuple[Platform, ...]:
    """The platforms whose modules lie in this folder."""
    return tuple(import_module(f"{__name__}.{module.name}").PLATFORM for module in iter_modules(__path__))


PLATFORMS = found()
