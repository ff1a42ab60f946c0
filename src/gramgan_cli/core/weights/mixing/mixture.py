"""Notation for models mixed from stored ones at load time: ``FIRST+SECOND@SHARE``, with any number of models.

``a+b@0.2+c@0.5`` is 0.3 a + 0.2 b + 0.5 c: the first model gets the remaining share. Model names can't contain '+' or
'@', so a mixture can be used wherever a command takes a model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gramgan_cli.core.errors import UsageError

_NAME = "[a-z0-9._-]+"
_NOTATION = re.compile(rf"({_NAME})((?:\+{_NAME}@[^+@]+)+)")
_OTHER = re.compile(rf"\+({_NAME})@([^+@]+)")

ROUNDING = 1e-6
"""Tolerance for sums of shares above 1 due to rounded decimals."""


@dataclass(frozen=True)
class Mixture:
    """A weighted sum of models of one network (Wang et al. 2018, section 3.4, for two)."""

    shares: Mapping[str, float]
    """Model name -> share, 0 to 1; the shares sum to 1."""

    def __str__(self) -> str:
        (first, _), *others = self.shares.items()
        return first + "".join(f"+{name}@{share:.6g}" for name, share in others)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse a mixture; return None for other text. Raise UsageError for shares outside [0, 1]."""
        match = _NOTATION.fullmatch(text)
        if match is None:
            return None
        others: dict[str, float] = {}
        for name, share in _OTHER.findall(match[2]):
            if name in others or name == match[1]:
                raise UsageError(f"'{text}' names {name} twice.", "For example: a+b@0.5")
            others[name] = _share(text, share)
        rest = 1 - sum(others.values())
        if rest < -ROUNDING:
            raise UsageError(f"The shares of '{text}' sum to more than 1.", "For example: a+b@0.2+c@0.5")
        return cls({match[1]: max(rest, 0.0), **others})


def share_of(written: str) -> float | None:
    """Parse a share; return None if it is not a number from 0 to 1."""
    try:
        share = float(written)
    except ValueError:
        return None
    return share if 0 <= share <= 1 else None


def _share(text: str, written: str) -> float:
    """Parse a mixture's share, or raise an error that quotes the mixture."""
    share = share_of(written)
    if share is None:
        raise UsageError(f"'{text}' has the share {written}, which is not between 0 and 1.", "For example: a+b@0.5")
    return share
