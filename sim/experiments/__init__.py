"""Runs: a scenario becomes worlds, results, a run folder and a report."""
