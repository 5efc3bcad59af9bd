"""What is promised, measured: serving in a folder of its own, and what predictions are worth."""
