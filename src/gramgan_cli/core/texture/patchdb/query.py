"""Nearest-neighbour search among packed Gram matrices: choice of the index, and two exact indices."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gramgan_cli.core.texture.gram import PACKED
from gramgan_cli.core.texture.patchdb.faiss_index import FaissIndex

Search = Literal["auto", "tree", "boxes", "faiss"]
"""Kind of index that searches a bank."""


def combined_query(gram_hr: Tensor, gram_sr: Tensor, alpha: float = 0.5, beta: float = 0.5) -> Tensor:
    """Return q = (alpha Gg + beta Ge) / (alpha + beta), the point whose nearest entry minimises the two-term score.

    alpha |Gp - Gg|^2 + beta |Gp - Ge|^2 = (alpha + beta) |Gp - q|^2 + a term without Gp.

    Args:
        gram_hr, gram_sr: packed Gram matrices Gg of HR and Ge of SR patches at the same positions, (..., 6).
        alpha, beta: weights of the two terms, not negative, not both zero.
    """
    if alpha < 0 or beta < 0 or alpha + beta == 0:
        raise ValueError(f"alpha and beta must not be negative or both zero, not {alpha} and {beta}")
    return (alpha * gram_hr + beta * gram_sr) / (alpha + beta)


class Index(Protocol):
    """A searchable set of entries (N, 6)."""

    def find_best(self, queries: Tensor) -> Tensor:
        """Return the index of the entry nearest to each query: (..., 6) -> (...), int64, on the queries' device."""


def build_index(entries: Tensor, device: torch.device, search: Search = "auto") -> Index:
    """Build an index of the entries for queries on ``device``.

    Args:
        entries: packed Gram matrices, (N, 6).
        device: device of the queries.
        search: 'tree' (exact, on the CPU), 'boxes' (exact, on ``device``), 'faiss' (on the CPU; exact below
            ``faiss_index.APPROXIMATE_FROM`` entries, approximate above), or 'auto': the fastest exact index, which is
            'tree' for queries on the CPU and 'boxes' elsewhere.
    """
    if search == "auto":
        search = "tree" if device.type == "cpu" else "boxes"
    if search == "tree":
        return TreeIndex(entries)
    if search == "boxes":
        return BoxIndex(entries.to(device))
    return FaissIndex(entries)


class TreeIndex:
    """scipy's k-d tree in float64, on as many threads as torch uses."""

    def __init__(self, entries: Tensor) -> None:
        self._tree = cKDTree(entries.detach().cpu().double().numpy(), leafsize=32, balanced_tree=False)

    def find_best(self, queries: Tensor) -> Tensor:
        """Return the index of the nearest entry: (..., 6) -> (...), int64. Non-finite queries get any entry."""
        # scipy rejects non-finite queries; the trainer reports them in the loss, with a better message.
        points = queries.detach().cpu().double().nan_to_num(0, 0, 0).reshape(-1, PACKED).numpy()
        _, best = self._tree.query(points, workers=torch.get_num_threads())
        return torch.from_numpy(best).view(queries.shape[:-1]).to(queries.device)


class BoxIndex:
    """Exact search in equally filled boxes of entries.

    A query reads its nearest boxes until no unread box can hold a nearer entry. Everything runs in a few large tensor
    operations on the entries' device.
    """

    BOX = 128
    """Maximum number of entries in a box."""
    AT_ONCE = 2048
    """Queries per chunk, which bounds memory."""
    FIRST_LOOK = 8
    """Number of boxes that a query reads before the first check."""
    SLACK = 1e-5
    """Relative tolerance for box distances, which are float32."""

    def __init__(self, entries: Tensor) -> None:
        numbers = _sorted_into_boxes(entries.detach(), self.BOX)
        self._numbers = numbers
        self._entries = entries.detach()[numbers]
        self._low, self._high = self._entries.amin(dim=1), self._entries.amax(dim=1)

    def find_best(self, queries: Tensor) -> Tensor:
        """Return the index of the nearest entry: (..., 6) -> (...), int64."""
        points = queries.detach().reshape(-1, PACKED).to(self._entries.device)
        best = torch.cat([self._search(piece) for piece in torch.split(points, self.AT_ONCE)])
        return best.view(queries.shape[:-1]).to(queries.device)

    def _search(self, points: Tensor) -> Tensor:
        """Return the index of the nearest entry for each of (n, 6) points: (n,)."""
        bounds = self._box_distances(points.float())
        found = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        open_points = torch.arange(len(points), device=points.device)
        look = self.FIRST_LOOK
        while len(open_points):
            look = min(look, len(self._numbers))
            nearest = bounds[open_points].topk(min(look + 1, len(self._numbers)), largest=False)
            distance, entry = self._best_inside(points[open_points], nearest.indices[:, :look])
            found[open_points] = entry
            if look == len(self._numbers):
                break
            unread = nearest.values[:, look].double() * (1 - self.SLACK)
            open_points = open_points[distance > unread]
            look *= 4
        return found

    def _box_distances(self, points: Tensor) -> Tensor:
        """Return the squared distance from each point to each box, 0 inside: (n, boxes)."""
        out = points.new_zeros(len(points), len(self._numbers))
        for axis in range(PACKED):
            x = points[:, axis, None]
            outside = torch.maximum(self._low[:, axis] - x, x - self._high[:, axis]).clamp_(min=0)
            out.addcmul_(outside, outside)
        return out

    def _best_inside(self, points: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Return squared distance and index of the entry nearest to each point (n, 6) in its boxes (n, look)."""
        precise = torch.float32 if points.device.type == "mps" else torch.float64
        distance = points.new_full((len(points),), float("inf"), dtype=precise)
        number = torch.zeros(len(points), dtype=torch.int64, device=points.device)
        for column in boxes.unbind(dim=1):
            inside = (self._entries[column].to(precise) - points[:, None].to(precise)).square().sum(dim=-1)
            nearest, position = inside.min(dim=1)
            better = nearest < distance
            distance = torch.where(better, nearest, distance)
            number = torch.where(better, self._numbers[column, position], number)
        return distance, number


def _sorted_into_boxes(entries: Tensor, box: int) -> Tensor:
    """Return the entries' indices in boxes, (boxes, at most ``box``), by median splits along each box's widest axis.

    The number of boxes is a power of two. The last entries are repeated to fill the boxes.
    """
    boxes = 1
    while boxes * box < len(entries):
        boxes *= 2
    inside = -(-len(entries) // boxes)
    numbers = torch.arange(boxes * inside, device=entries.device).clamp(max=len(entries) - 1)[None]
    while len(numbers) < boxes:
        values = entries[numbers]
        axis = (values.amax(dim=1) - values.amin(dim=1)).argmax(dim=1)
        key = values.gather(2, axis[:, None, None].expand(-1, values.shape[1], 1)).squeeze(2)
        numbers = numbers.gather(1, key.argsort(dim=1)).reshape(2 * len(numbers), -1)
    return numbers
