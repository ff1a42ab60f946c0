"""No control characters from files or servers reach the terminal."""

from __future__ import annotations

import json

import pytest

from gramgan_cli.cli import output

HOSTILE = "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe \ud800 ok"


@pytest.mark.parametrize("write", [output.note, output.warn, output.fail, output.print_fact])
def test_control_characters_are_written_out(write, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    write(HOSTILE)
    captured = capsys.readouterr()
    message = captured.out + captured.err
    assert not set(message) & set("\x1b\x07\x9b\u202e\ud800")
    assert "\\x1b[2J" in message
    assert "ok" in message


def test_control_characters_are_escaped_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table("Models", ["name", "licence"], [["x", HOSTILE]])
    assert not set(capsys.readouterr().out) & set("\x1b\x07\x9b\u202e")


def test_json_escapes_them_and_reads_back_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"licence": HOSTILE, "name": "ünï 日本"})
    text = capsys.readouterr().out
    assert not set(text) & set("\x1b\x07\x9b\u202e\ud800")
    assert "ünï 日本" in text
    assert json.loads(text) == {"licence": HOSTILE, "name": "ünï 日本"}
