"""How travellers come to terms: baselines by lottery, membership, the book of deals, shares of the gain."""
