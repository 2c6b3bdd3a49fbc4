"""For how long a host, or one part of it, asked us not to come again, and who comes first when that is over.

Pure: no socket, no task, and the time (seconds of any steady clock) is an argument. Who opens connections and waits is
`connections`. That a host is ill is `breaker`'s affair: one that says "too many" is not.
"""

# A host that says "too many" again and again without saying for how long is left alone for twice as long each time, up
# to this (seconds).
LONGEST_UNTOLD = 60.0


class Throttle:
    """The memory of "too many requests": begun by a refusal, over when a request sent later got another answer.

    When the time is over one request goes first, and until its head is there no other follows: those who waited would
    otherwise come all at once to a host that has just said that they are too many.

    A wait that nobody survives must be told twice. One server of a content network, or one document, may be ill where
    the rest is well: so the one who goes first does so soon, and the wait is as long as told only if it is refused too.
    That a host is ill must be told for two documents: one that is always refused says nothing of the others.
    """

    def __init__(self, first_pause: float, *, second_look: float, patience: float) -> None:
        """All in seconds. `first_pause`: the shortest wait after a refusal that names none. `second_look`: the wait in
        place of one that is longer than `patience` and was told once."""
        self._first_pause = first_pause
        self._second_look = second_look
        self._patience = patience
        self._is_refused = self._is_confirmed = self._is_tried = False
        self._first_ill = ""
        self._untold = 0
        self._refused = self._until = float("-inf")
        self.why = ""
        """The last refusal, in words."""
        self.is_outage = False
        """The last refusal was one of a host that is ill, and not of one that has too much to do."""

    def __repr__(self) -> str:
        return f"<Throttle: until {self._until:.1f}>" if self._is_refused else "<Throttle: open>"

    def left(self, now: float) -> float | None:
        """Seconds for which nobody may ask; 0 while the one who goes first waits for an answer, None for "ask"."""
        if not self._is_refused:
            return None
        if now < self._until:
            return self._until - now
        return 0.0 if self._is_tried else None

    def begin(self) -> bool:
        """A request is sent, as `left` allowed. Whether it goes first: then `end` is called, whatever became of it."""
        self._is_tried = self._is_refused
        return self._is_tried

    def end(self) -> None:
        """Who went first has an answer or left without one; then the next goes first."""
        self._is_tried = False

    def over(self) -> float:
        """Who went first was not refused: everybody may ask. Tells the last wait in seconds."""
        lasted = max(0.0, self._until - self._refused)
        self._is_refused = self._is_confirmed = False
        self._untold, self._until = 0, float("-inf")
        return lasted

    def refused(self, began: float, now: float, retry_after: float, why: str, *, ill: str = "") -> float | None:
        """A request sent at `began` was refused now, for `retry_after` seconds; 0 when it does not say.

        `ill` is the URL when that is because the host is ill, empty when it has too much to do.

        Returns the seconds for which nobody may ask, None when that was known: requests that were under way together
        are refused together, which is one reason to wait, not fifty.
        """
        is_news = began >= self._refused or not self._is_refused
        if is_news:
            if not self._is_refused:
                self._is_refused, self._first_ill = True, ill
            elif not ill or ill != self._first_ill:
                self._is_confirmed = True
            self._refused = now
            self._untold = 0 if retry_after else self._untold + 1
        self.why, self.is_outage = why, bool(ill)
        wait = retry_after or min(LONGEST_UNTOLD, self._first_pause * 2.0 ** min(max(0, self._untold - 1), 30))
        if wait > self._patience and not self._is_confirmed:
            wait = self._second_look
        self._until = max(self._until, now + wait)
        return self._until - now if is_news else None
