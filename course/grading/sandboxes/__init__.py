"""Walls around the student's kernel.

`limits` says how much it may use, `choose` which walls stand, `bubblewrap` and `landlock` build them,
`provisioner` starts the kernel behind them and watches it, `kernel` talks with it.
"""
