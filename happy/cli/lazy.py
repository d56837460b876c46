"""Commands that are imported when they are run, or listed: starting one costs nothing of the others."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, in the order in which they are listed. What stands for one is `module:attribute`."""

    def __init__(self, commands: dict[str, str]) -> None:
        self._commands: dict[str, str | click.Command] = dict(commands)

    def __getitem__(self, name: str) -> click.Command:
        command = self._commands[name]
        if isinstance(command, str):
            module, _, attribute = command.partition(":")
            command = self._commands[name] = getattr(import_module(module), attribute)
            assert isinstance(command, click.Command), module
        return command

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)

    def __contains__(self, name: object) -> bool:
        return name in self._commands
