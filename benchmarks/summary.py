"""List the goals of all saved results: python benchmarks/summary.py"""

from __future__ import annotations

import json

from common import RESULTS, Goal


def main() -> None:
    for path in sorted(RESULTS.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("goals"):
            print(f"{document['benchmark']} ({document['machine']['cpu']}, {document['machine']['date']})")
            for goal in document["goals"]:
                print("  " + Goal(**goal).line())


if __name__ == "__main__":
    main()
