"""`python -m mgsd_bench`."""

from mgsd_bench.cli import main

if __name__ == "__main__":
    main()
