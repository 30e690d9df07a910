"""What is carried into the student's process: it can read all of this, so nothing here is secret.

`launcher` puts up the walls and becomes the kernel, `studentside` answers the checker's questions,
`wire` is the language both sides speak. The rest of `course` never enters.
"""
