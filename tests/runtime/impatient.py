"""The command line with a supervisor that gives up after a second instead of a minute."""

from nugetproxy.cli.main import main
from nugetproxy.runtime import supervisor

supervisor.GIVE_UP_AFTER = 1.0

if __name__ == "__main__":
    main(prog_name="nugetproxy")
