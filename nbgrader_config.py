"""nbgrader's settings: where the course lies, how the student edition is made, how it is graded."""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 - nbgrader provides it

# nbgrader starts `alembic` by its bare name, which is not found where .venv is used without being activated.
tools = str(Path(sys.executable).parent)
if tools not in os.environ["PATH"].split(os.pathsep):
    os.environ["PATH"] = tools + os.pathsep + os.environ["PATH"]

# Where things lie. `root` is set explicitly, else the Formgrader shows an empty list of assignments.
root = Path(__file__).resolve().parent
classroom = Path(os.environ.get("COURSE_CLASSROOM", root / "classroom")).resolve()
# The folder of the database has to exist: nbgrader's word for a missing one is a misleading "db upgrade".
classroom.mkdir(parents=True, exist_ok=True)
c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "skip-connections"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "notebooks"
c.CourseDirectory.submitted_directory = str(classroom / "submitted")
c.CourseDirectory.autograded_directory = str(classroom / "autograded")
c.CourseDirectory.feedback_directory = str(classroom / "feedback")
c.CourseDirectory.db_url = f"sqlite:///{classroom}/gradebook.db"
# Siblings of a solution notebook are copied to every student: the text beside it holds the solutions.
# What stands beside a graded notebook is for the instructor, not for the feedback.
c.CourseDirectory.ignore = [
    ".ipynb_checkpoints",
    "*.pyc",
    "__pycache__",
    "*.py",
    "*.tmp",
    "execution.json",
    "graded.json",
]

# The student edition.
c.ClearSolutions.code_stub = {
    "python": '# YOUR CODE HERE\nraise NotImplementedError("replace this line with your answer")'
}
c.ClearSolutions.text_stub = "*Replace this line with your answer.*"
# Our mark schemes stand in the locked question above the answer, where the Formgrader shows them beside it; the build
# removes them from the student edition all the same.
c.ClearMarkScheme.enforce_metadata = False

# Grading: students' code runs behind walls, checks run outside of its reach (docs/threat-model.md). Only the first step
# differs from nbgrader's own list; `nbgrader autograde` and the Formgrader's button take it, too.
c.Autograde.autograde_preprocessors = [
    "course.grading.execute.TrustedExecute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Feedback: escaped text, sanitised prose and small bitmaps on a page that loads nothing.
c.GenerateFeedback.exporter_class = "course.reports.feedback.FeedbackExporter"
c.GenerateFeedback.preprocessors = ["course.reports.feedback.GradesAndState"]

# The Formgrader shows submissions in a page of the grader's own Jupyter server: no HTML of a learner's may act there.
c.HTMLExporter.sanitize_html = True
c.HTMLExporter.filters = {"markdown2html": "course.reports.feedback.formgrader_prose"}
