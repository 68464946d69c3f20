"""`python -m lmarc` is the command line."""

from lmarc.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
