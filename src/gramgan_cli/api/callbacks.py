"""Callbacks of the Python API: defaults, and passing their exceptions on to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

Value = TypeVar("Value")


def ignore(_value: object) -> None:
    """Default callback, which does nothing."""


class Stopped(BaseException):
    """Wraps a callback's exception, so that it is not caught as a failure of one picture."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def stopping(callback: Callable[[Value], None]) -> Callable[[Value], None]:
    """Wrap a callback so that its exceptions become ``Stopped``."""

    def call(value: Value) -> None:
        try:
            callback(value)
        except Exception as error:
            raise Stopped(error) from error

    return call


def until_stopped(values: Iterator[Value]) -> Iterator[Value]:
    """Yield the values; re-raise the exception that a ``Stopped`` wraps."""
    try:
        yield from values
    except Stopped as stopped:
        raise stopped.cause from None
