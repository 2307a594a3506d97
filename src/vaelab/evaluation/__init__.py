"""Metrics of a trained model: what the test, the evaluation after it, and the plots compute."""
