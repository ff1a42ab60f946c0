"""Plot time and memory by size: python benchmarks/plot_growth.py RESULT.json docs/pictures/growth.png"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt


def main() -> None:
    rows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rows"]["growth"]
    sizes = [row["megapixels"] for row in rows]
    figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    time_axis.loglog(sizes, [row["seconds"] for row in rows], "o-")
    time_axis.loglog(sizes, [rows[1]["seconds"] * size / sizes[1] for size in sizes], ":", label="proportional")
    time_axis.set(xlabel="megapixels in", ylabel="seconds")
    time_axis.legend()
    memory_axis.semilogx(sizes, [row["peak_gib"] for row in rows], "o-")
    memory_axis.set(xlabel="megapixels in", ylabel="peak memory, GiB", ylim=(0, None))
    figure.savefig(sys.argv[2], dpi=110)


if __name__ == "__main__":
    main()
