"""Callbacks of the Python functions: what stands for those that are not given, and exceptions out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

Value = TypeVar("Value")


def ignore(_value: object) -> None:
    """For a callback that is not given."""


class Stopped(BaseException):
    """Carries a callback's exception past the places where a picture's own failure is caught."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


def stopping(callback: Callable[[Value], None]) -> Callable[[Value], None]:
    """The callback, its exceptions as ``Stopped``."""

    def call(value: Value) -> None:
        try:
            callback(value)
        except Exception as error:
            raise Stopped(error) from error

    return call


def until_stopped(values: Iterator[Value]) -> Iterator[Value]:
    """The values; a ``Stopped`` becomes the callback's own exception again."""
    try:
        yield from values
    except Stopped as stopped:
        raise stopped.cause from None
