"""What the lessons share: mathematics, data, training, figures and checks.

Pure functions, arrays in and arrays out. Import the topic you need
(`from helpers import convolution`); this file imports nothing, so that it stays quick.
"""

__version__ = "1.0.0"
