"""The reading desk: open questions, read one at a time in a browser on this machine, marked into nbgrader's own gradebook."""
