"""Escrowed agreements judged on evidence, with validators and disputes, on a journal that accounts for every unit of money.

Knows nothing of what is traded: an asset type brings its own arbiter. Start with `Book`; `Batch` drives the same operations
by columns.
"""

from contracts_model.batch import Batch
from contracts_model.book import Book
from contracts_model.outcomes import NEXT_NONCE, Outcome, Result, State, Verdict
from contracts_model.terms import Offer, Terms

__all__ = ["NEXT_NONCE", "Batch", "Book", "Offer", "Outcome", "Result", "State", "Terms", "Verdict"]
