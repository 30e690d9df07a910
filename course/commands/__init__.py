"""What can be typed behind `course`: the verbs of the lessons, and those of the class."""
