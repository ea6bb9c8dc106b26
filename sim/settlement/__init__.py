"""From deals to money that has moved: clearing, contracts, evidence, and the settlement of the window."""
