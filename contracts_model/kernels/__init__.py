"""Operations as functions on tables of integers; compiled, and shared by the object interface and the batch interface."""
