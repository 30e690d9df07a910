"""A reader that breaks in every way there is; imported by worker processes, so it imports next to nothing."""

import os
from pathlib import Path


def stubborn(words, body):
    """A reader that every kind of trouble befalls."""
    match bytes(body):
        case b"loop":
            while True:
                pass
        case b"memory":
            return {"size": len(bytearray(3 * 1024**3))}, b""
        case b"crash":
            os._exit(9)
        case b"signal":
            os.kill(os.getpid(), 11)
        case b"deep":
            return stubborn(words, body)
        case b"once":
            flag = Path(words["flag"])
            if not flag.exists():
                flag.touch()
                os._exit(9)
        case b"prints":
            print("x" * 100_000)
    return {"read": len(body)}, bytes(body)


def explode(words, body):
    """The reader, with a fault."""
    from course.intake.reading import answer

    if body == b"boom":
        raise ZeroDivisionError("boom")
    return answer(words, body)
