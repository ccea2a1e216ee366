import logging

from cloacina_native.log_lines import (
    ATTEMPT_LIMIT_BYTES,
    LINE_LIMIT_CHARACTERS,
    AttemptLog,
    LogLine,
    LogSource,
)

from .packages import Recorder


def test_output_is_cut_in_lines_wherever_the_pieces_end() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    for byte in "één\r\ntwo\n\nlast".encode():
        log.write(LogSource.STDOUT, bytes([byte]))
    assert lines.of(LogSource.STDOUT) == ["één", "two", ""]
    log.close()
    assert lines.of(LogSource.STDOUT)[3:] == ["last"]


def test_both_streams_are_kept_apart() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    log.write(LogSource.STDOUT, b"o")
    log.write(LogSource.STDERR, b"e\n")
    log.write(LogSource.STDOUT, b"ut\n")
    log.close()
    assert lines == [
        LogLine(source=LogSource.STDERR, text="e"),
        LogLine(source=LogSource.STDOUT, text="out"),
    ]


def test_what_is_no_text_is_shown_with_escapes() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    log.write(LogSource.STDERR, b"\xff\x00\n\xc3")
    log.close()
    assert lines.of(LogSource.STDERR) == ["\\xff\\x00", "\\xc3"]


def test_a_line_without_end_is_cut() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    log.write(LogSource.STDOUT, b"x" * (LINE_LIMIT_CHARACTERS + 1))
    assert lines.of(LogSource.STDOUT) == ["x" * LINE_LIMIT_CHARACTERS]
    log.close()
    assert lines.of(LogSource.STDOUT)[1:] == ["x"]


def test_beyond_the_limit_one_line_says_what_was_dropped() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    chunk = b"x" * 1023 + b"\n"
    for _ in range(ATTEMPT_LIMIT_BYTES // 1024 + 2):
        log.write(LogSource.STDOUT, chunk)
    log.add(LogLine(source=LogSource.LOGGING, text="y" * 100))
    log.write(LogSource.STDERR, b"z")
    log.close()
    assert len(lines) == ATTEMPT_LIMIT_BYTES // 1024 + 1
    assert lines[-1].level == logging.WARNING
    assert lines[-1].text.startswith("2,149 bytes of output were dropped")


def test_a_record_that_does_not_fit_is_dropped_whole() -> None:
    lines = Recorder()
    log = AttemptLog(lines)
    log.add(LogLine(source=LogSource.LOGGING, text="x" * ATTEMPT_LIMIT_BYTES))
    log.add(LogLine(source=LogSource.LOGGING, text="y"))
    log.close()
    assert [len(line.text) for line in lines[:1]] == [ATTEMPT_LIMIT_BYTES]
    assert lines[1].text.startswith("1 bytes of output were dropped")
