"""How long a host, or one part of it, asked us to wait, and which request is sent first afterwards.

Pure: no socket, no task, and the time (seconds of any steady clock) is an argument. Connecting and waiting belong to
`connections`. Whether a host is down belongs to `breaker`: one that says "too many requests" is not.
"""

# After each further "too many requests" without a time the wait doubles, up to this (seconds).
LONGEST_UNTOLD = 60.0


class Throttle:
    """The record of "too many requests": it begins with a refusal and ends when a later request gets another answer.

    After the wait one request goes first, and the others follow when its head has arrived: otherwise all that waited
    would hit a host that has just said that they are too many.

    A wait longer than the patience of clients must be confirmed. One server of a content network, or one document, may
    fail where the rest works: so the first request is sent soon, and only if it is refused too is the wait as long as
    the host said. A 503 must be confirmed by another document: one that always fails says nothing about the others.
    """

    def __init__(self, first_pause: float, *, second_look: float, patience: float) -> None:
        """All in seconds. `first_pause`: the shortest wait after a refusal that names none. `second_look`: the wait in
        place of one that is longer than `patience` and not confirmed yet."""
        self._first_pause = first_pause
        self._second_look = second_look
        self._patience = patience
        self._is_refused = self._is_confirmed = self._is_tried = False
        self._first_ill = ""
        self._untold = 0
        self._refused = self._until = float("-inf")
        self.why = ""
        """The last refusal, as text."""
        self.is_outage = False
        """The last refusal was a 503, from a host that is down, and not "too many requests"."""

    def __repr__(self) -> str:
        return f"<Throttle: until {self._until:.1f}>" if self._is_refused else "<Throttle: open>"

    def left(self, now: float) -> float | None:
        """Seconds during which no request may be sent; 0 while the first waits for an answer, None if any may be."""
        if not self._is_refused:
            return None
        if now < self._until:
            return self._until - now
        return 0.0 if self._is_tried else None

    def begin(self) -> bool:
        """A request is sent, as `left` allowed. Returns whether it goes first: then `end` must be called afterwards."""
        self._is_tried = self._is_refused
        return self._is_tried

    def end(self) -> None:
        """The request that went first is over, with or without an answer; the next one goes first."""
        self._is_tried = False

    def over(self) -> float:
        """The request that went first was not refused: any may be sent. Returns the last wait in seconds."""
        lasted = max(0.0, self._until - self._refused)
        self._is_refused = self._is_confirmed = False
        self._untold, self._until = 0, float("-inf")
        return lasted

    def refused(self, began: float, now: float, retry_after: float, why: str, *, ill: str = "") -> float | None:
        """A request sent at `began` was refused now, for `retry_after` seconds, 0 if it does not say.

        `ill` is the URL if the refusal was a 503, empty if it was "too many requests".

        Returns the seconds during which no request may be sent, or None if that was known: requests that were running
        together are refused together, which is one refusal, not fifty.
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
