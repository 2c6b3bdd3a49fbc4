"""python -m nugetproxy"""

from nugetproxy.cli.main import main

if __name__ == "__main__":
    main(prog_name="nugetproxy")
