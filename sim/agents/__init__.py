"""Thin Mesa agents; their state lives in columns, their decisions are pure functions."""
