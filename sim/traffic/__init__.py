"""Within-day queue traffic: vehicles as individuals, in continuous time, on links that fill up and spill back."""
