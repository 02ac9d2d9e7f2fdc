"""Which question is with which worker, and how often it was there when a worker died."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass

from mgsd_bench.backends.wire import Parcel

MOST_DEATHS = 3
"""Deaths of workers after which a question that was there every time is not asked any more."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A question on its way; asked once more, it is the same ticket.

    Attributes:
        number: unlike that of any other ticket, those that were given up included.
        key: the request's key.
        parcel: the request.
        deaths: how many workers died while they had it.
    """

    number: int
    key: str
    parcel: Parcel
    deaths: int = 0

    @property
    def suspect(self) -> bool:
        """Whether the next death with it would be its last: it is asked with no other beside it."""
        return self.deaths == MOST_DEATHS - 1


class Ledger:
    """What waits, and what every worker has.

    A worker that dies may have a hundred questions, of which one killed it. All are asked again; one that was there at
    two deaths is asked alone, so that a third death names the one at fault, and no other is given up with it.
    """

    def __init__(self) -> None:
        self._waiting: deque[Ticket] = deque()
        self._suspects: deque[Ticket] = deque()
        self._held: defaultdict[int, dict[int, Ticket]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._suspects) + sum(map(len, self._held.values()))

    def add(self, ticket: Ticket) -> None:
        """Take a question that no worker has yet."""
        self._waiting.append(ticket)

    def held(self, worker: int) -> int:
        """How many questions a worker has."""
        return len(self._held[worker])

    def assign(self, windows: Mapping[int, int]) -> dict[int, list[Ticket]]:
        """Hand out what waits, the emptiest worker first.

        Args:
            windows: of each worker that can be given something, how many questions it may have at once.

        Returns:
            What each is given now.
        """
        given: defaultdict[int, list[Ticket]] = defaultdict(list)

        def give(worker: int, queue: deque[Ticket]) -> None:
            ticket = queue.popleft()
            self._held[worker][ticket.number] = ticket
            given[worker].append(ticket)

        open_to = {worker for worker in windows if not any(each.suspect for each in self._held[worker].values())}
        isolating = len(open_to) < len(windows)
        for worker in sorted(open_to):
            if self._suspects and not self._held[worker]:
                give(worker, self._suspects)
                open_to.discard(worker)
                isolating = True
        if self._suspects and not isolating and open_to:  # nobody is idle: one is given nothing until it is
            open_to.discard(min(open_to, key=lambda worker: (len(self._held[worker]), worker)))
        while self._waiting:
            free = [worker for worker in open_to if len(self._held[worker]) < windows[worker]]
            if not free:
                break
            give(min(free, key=lambda worker: (len(self._held[worker]) / windows[worker], worker)), self._waiting)
        return dict(given)

    def answered(self, worker: int, number: int) -> Ticket | None:
        """The question that a worker has answered; None if it was given up, or is not its any more."""
        return self._held[worker].pop(number, None)

    def lost(self, worker: int) -> list[Ticket]:
        """Count a worker's death, and ask again what it had, before all that waits; what is given up for it."""
        given_up = []
        for ticket in reversed(self._held.pop(worker, {}).values()):
            ticket.deaths += 1
            if ticket.deaths >= MOST_DEATHS:
                given_up.append(ticket)
            elif ticket.suspect:
                self._suspects.appendleft(ticket)
            else:
                self._waiting.appendleft(ticket)
        return given_up

    def clear(self) -> None:
        """Forget all questions."""
        self._waiting.clear()
        self._suspects.clear()
        self._held.clear()
