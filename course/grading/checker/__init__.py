"""The trusted checker: checks run here, in a process of their own, and the student's answers are asked from afar.

`trusted` is the server that holds the tests, and a process for every lesson; `check` runs the checks of one submission in a process
forked from that; `proxy` stands there for what the student made.
"""
