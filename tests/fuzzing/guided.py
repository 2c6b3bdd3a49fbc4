"""One target, guided by coverage. atheris is not a dependency of the project: run `pip install atheris` to use this.

python -m tests.fuzzing.guided TARGET [ARGUMENT OF LIBFUZZER...]
"""

import sys
from typing import Any

try:
    import atheris
except ImportError:
    sys.exit("scripts/fuzz --guided needs atheris: .venv/bin/pip install atheris")

with atheris.instrument_imports(include=["nugetproxy"]):
    from tests.fuzzing.choices import Choices
    from tests.fuzzing.targets import LONGEST, TARGETS


def main() -> None:
    _, name, *arguments = sys.argv
    target = TARGETS[name]

    def once(data: bytes) -> None:
        made: Any = target.make(Choices(data))
        target.run(made)

    atheris.Setup([name, f"-max_len={LONGEST}", *arguments], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
