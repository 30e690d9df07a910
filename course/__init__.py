"""The instructor's side: build the notebooks, collect, grade and report. One module a verb, one command: `course`."""

import sys

# jsonschema, which nbformat brings along, compiles a grammar of internet addresses when it is imported, if it finds one: 1.2 CPU
# seconds of every start, of this command and of each process that reads a submission. No notebook's schema asks for it.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # None: not to be imported
