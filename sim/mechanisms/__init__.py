"""One mechanism a file: who decides on the routes, and by what rule."""
