"""Measurements: ratios within one run, medians of interleaved repetitions. They assert nothing."""
