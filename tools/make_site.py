"""Build the documentation site in site/, in strict mode, so that broken links and references are errors.

    python tools/make_site.py

Pages in docs/ link to files of the repository (``../examples/...``) that are not part of the site. In the site, these
links lead to the repository on the web.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS, SOURCE = ROOT / "docs", ROOT / "build" / "site-source"
REPOSITORY = "https://github.com/gramgan/gramgan-cli/blob/main"
LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")


def with_links_to_the_repository(text: str, page: Path) -> str:
    """The page's text, with links out of docs/ replaced by URLs of the repository."""

    def replaced(match: re.Match[str]) -> str:
        target = (page.parent / match[2]).resolve()
        if target.is_relative_to(DOCS) or not target.is_relative_to(ROOT):
            return match[0]
        if not target.exists():
            sys.exit(f"{page.relative_to(ROOT)} links to {match[2]}, which is not there.")
        return f"{match[1]}{REPOSITORY}/{target.relative_to(ROOT).as_posix()}{match[3] or ''}{match[4]}"

    return LINK.sub(replaced, text)


def main() -> None:
    """Copy the pages with changed links, and build the site."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(DOCS, SOURCE, ignore=shutil.ignore_patterns("*.py"))
    for page in DOCS.rglob("*.md"):
        copy = SOURCE / page.relative_to(DOCS)
        copy.write_text(with_links_to_the_repository(page.read_text(encoding="utf-8"), page), encoding="utf-8")
    done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict", "--clean"], cwd=ROOT, check=False)
    if done.returncode != 0:
        sys.exit("The site was not built. Pages lie in build/site-source; mend those in docs.")


if __name__ == "__main__":
    main()
