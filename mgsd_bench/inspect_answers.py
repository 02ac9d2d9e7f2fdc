"""``python -m mgsd_bench.inspect_answers LOG ... --out FILE``: see :mod:`mgsd_bench.integrations.inspect_logs`."""

import typer

from mgsd_bench.integrations.inspect_logs import main

if __name__ == "__main__":
    typer.run(main)
