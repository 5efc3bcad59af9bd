"""`python -m bench`: another name of `python -m bench.serving`."""

from bench.serving.__main__ import main

if __name__ == "__main__":
    main()
