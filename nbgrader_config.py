"""nbgrader's settings: where the course lies, how the student edition is made, how it is graded."""

from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader provides it

# Where things lie. `root` is set explicitly, else the Formgrader shows an empty list of assignments.
root = Path(__file__).resolve().parent
(root / "classroom").mkdir(
    exist_ok=True
)  # a missing folder of the database ends in a misleading "db upgrade" message
c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "skip-connections"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = "classroom/submitted"
c.CourseDirectory.autograded_directory = "classroom/autograded"
c.CourseDirectory.feedback_directory = "classroom/feedback"
c.CourseDirectory.db_url = f"sqlite:///{root}/classroom/gradebook.db"
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "*.py",
    "*.tmp",
]  # *.py: the texts hold the solutions

# The student edition.
c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("replace this line with your answer")'
}
c.ClearSolutions.text_stub = "*Replace this line with your answer.*"
# Our mark schemes stand in the locked question above the answer, where the Formgrader shows them beside it; the build
# removes them from the student edition all the same.
c.ClearMarkScheme.enforce_metadata = False
