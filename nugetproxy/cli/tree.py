"""The command tree: each module is imported only when one of its commands is used, and --json also applies to usage
errors.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import click
from click.exceptions import NoSuchCommand

from nugetproxy.cli.output import complain, is_json, set_json


class CommandTree(click.Group):
    """The root. `places` maps each command to its module and the name of its function there."""

    def __init__(self, *args: Any, places: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return None
        module, name = self._places[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Before the command itself parses its options, because these may be the error.
        set_json(ctx, "--json" in args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            if not is_json():
                raise
            complain([error.format_message()], "usage_error", error.exit_code)
            ctx.exit(error.exit_code)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # click knows only commands that were added to a group, and ours are not loaded yet.
        if args[0] not in self._places and not args[0].startswith("-") and not ctx.resilient_parsing:
            raise NoSuchCommand(args[0], possibilities=self._places, ctx=ctx)
        return super().resolve_command(ctx, args)
