"""Time one engine on one workload in this process and print a line of JSON.

python one.py ENGINE[:VARIANT] WORKLOAD [URL of an empty PostgreSQL database]
"""

import importlib
import json
import os
import shutil
import sys
from dataclasses import asdict

from workloads import WORKLOADS, a_directory, measure


def main() -> None:
    """Run what the command line names."""
    engine_name, _, variant = sys.argv[1].partition(":")
    (workload,) = [found for found in WORKLOADS if found.name == sys.argv[2]]
    url = sys.argv[3] if len(sys.argv) > 3 else None
    directory = a_directory()
    opened = importlib.import_module(f"engines.{engine_name}").open_engine(directory, url, variant)
    row = {**asdict(measure(opened, workload)), "durability": opened.durability}
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()
    opened.close()
    shutil.rmtree(directory, ignore_errors=True)
    os._exit(0)  # some engines leave threads that never end


if __name__ == "__main__":
    main()
