"""The hot table of a node in a fleet: without the right to answer from memory it has no answers.

When a node has that right is decided in `storage.fleet`.
"""

from collections.abc import Callable, Mapping

from nugetproxy.web.hot.answer import HotAnswer
from nugetproxy.web.hot.answer_file import AnswerFile
from nugetproxy.web.hot.table import HotTable


class GuardedHotTable(HotTable):
    """See `HotTable`. A class of its own, so that a single machine pays nothing for it."""

    def __init__(
        self,
        max_bytes: int,
        changes: Callable[[], int],
        *,
        may_remember: Callable[[], bool],
        epoch: Callable[[], int] | None = None,
        packages: Mapping[int, int] | memoryview | None = None,
        file: AnswerFile | None = None,
        counting: Callable[[str], Callable[[], None] | None] = lambda _: None,
    ) -> None:
        """`may_remember`: whether anything remembered may be used now."""
        super().__init__(max_bytes, changes, epoch=epoch, packages=packages, file=file, counting=counting)
        self._may_remember = may_remember

    def find(self, target: bytes, host: bytes, now: float) -> HotAnswer | None:
        """See `HotTable`. Answers stay here meanwhile: changes outdate them one by one."""
        if self._may_remember():
            return super().find(target, host, now)
        self.not_found += 1
        return None
