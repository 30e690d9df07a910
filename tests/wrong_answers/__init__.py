"""The wrong-answer bank: what learners get wrong, and which hint they must be given for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One answer to one exercise.

    Args:
        title: what is special about it, in a few words.
        source: Python source that defines the exercise's name.
        hint: for a wrong answer, text that its hint must contain.
    """

    title: str
    source: str
    hint: str = ""
