"""How the modules that `runs/` calls end: a mistake is one message and an exit code, as on the command line."""

import sys
from collections.abc import Callable

from instructloop.errors import InstructLoopError


def run_script(main: Callable[[], None]) -> None:
    """Call `main`; an error of ours is printed without a traceback and becomes the exit code."""
    try:
        main()
    except InstructLoopError as error:
        print(f"instructloop: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
