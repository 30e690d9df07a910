"""The trusted checker: checks run here, in a process of their own, and the student's answers are asked from afar.

`execute` runs a whole notebook, `trusted` is the process that holds the tests, `proxy` stands there for what the
student made.
"""
