"""`python -m dashboard`: what `routepact dashboard` starts."""

import sys

from dashboard.launch import main

if __name__ == "__main__":
    sys.exit(main())
