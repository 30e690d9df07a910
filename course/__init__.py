"""The instructor's side: build the notebooks, collect, grade and report. One module a verb, one command: `course`."""
