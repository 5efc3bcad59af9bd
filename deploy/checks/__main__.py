"""Check kustomizations before they are applied; without folders, every overlay.

    python -m deploy.checks [FOLDER ...]

Prints a sentence for everything that is broken and exits 1; asks no cluster.
"""

import sys
from pathlib import Path

from deploy.checks.policy import breaches
from deploy.checks.render import RenderError, overlays, render
from deploy.checks.versions import NEWEST, OLDEST, Case, SchemaError, schema_faults


def main(folders: list[str]) -> int:
    """Check each folder; return the exit status."""
    places = [Path(folder) for folder in folders] or overlays()
    try:
        trees = [render(place) for place in places]
        of_schemas = schema_faults(*(Case(tree, [OLDEST, NEWEST]) for tree in trees))
    except (RenderError, SchemaError) as error:
        print(error, file=sys.stderr)
        return 1
    found = [[*breaches(tree), *more] for tree, more in zip(trees, of_schemas, strict=True)]
    for place, faults in zip(places, found, strict=True):
        print(f"{place}: {f'{len(faults)} faults' if faults else 'nothing to complain of'}")
        print("".join(f"  {fault}\n" for fault in faults), end="")
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
