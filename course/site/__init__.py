"""The course as a website and as a book: the student edition's text with the figures that the instructor edition printed."""
