"""Many episodes in little memory: a hundred bytes each instead of a thousand or two."""

from __future__ import annotations

import pickle
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import overload

from mgsd_bench.errors import UserError
from mgsd_envs import Episode

_BLOCK = 16
"""Episodes a block: larger ones are hardly smaller an episode, and slower to take one out of."""


class Packed(Sequence[Episode]):
    """A list of episodes that are kept compressed, and made again whenever they are asked for.

    Measured on frozenlake and maze 8x8: 66 to 69 bytes an episode and 6 to 11 microseconds to take one out in order,
    against 90 to 150 microseconds to read and solve its line of JSON.

    Args:
        episodes: read once, one after another.

    Raises:
        UserError: a state cannot be pickled.

    Attributes:
        ids: their ids, in order.
        shortest: lengths of their shortest plans, in actions, in order.
    """

    def __init__(self, episodes: Iterable[Episode]) -> None:
        self.ids: list[str] = []
        self.shortest = array("l")
        self._blocks: list[bytes] = []
        self._opened: tuple[int, list[Episode]] = -1, []
        block: list[Episode] = []
        for episode in episodes:
            self.ids.append(episode.id)
            self.shortest.append(episode.shortest)
            block.append(episode)
            if len(block) == _BLOCK:
                self._blocks.append(_pack(block))
                block = []
        if block:
            self._blocks.append(_pack(block))

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, place: int) -> Episode: ...
    @overload
    def __getitem__(self, place: slice) -> Packed: ...
    def __getitem__(self, place: int | slice) -> Episode | Packed:
        if isinstance(place, slice):
            return Packed(self[i] for i in range(*place.indices(len(self))))
        number, rest = divmod(range(len(self))[place], _BLOCK)
        if self._opened[0] != number:
            self._opened = number, _unpack(self._blocks[number])
        return self._opened[1][rest]

    def __iter__(self) -> Iterator[Episode]:
        for block in self._blocks:
            yield from _unpack(block)


class ById(Mapping[str, Episode]):
    """Packed episodes by their ids, in order; of several with one id the last counts."""

    def __init__(self, episodes: Packed) -> None:
        self.episodes = episodes
        self._places = {name: place for place, name in enumerate(episodes.ids)}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __getitem__(self, name: str) -> Episode:
        return self.episodes[self._places[name]]


def _pack(block: list[Episode]) -> bytes:
    try:
        return zlib.compress(pickle.dumps(block, pickle.HIGHEST_PROTOCOL), 1)
    except Exception as error:  # whatever a state that others wrote raises
        raise UserError(
            f"{block[0].task}: its states cannot be pickled ({' '.join(str(error).split())}); make them dataclasses of "
            "a module, of plain values"
        ) from error


def _unpack(block: bytes) -> list[Episode]:
    episodes: list[Episode] = pickle.loads(zlib.decompress(block))
    return episodes
