"""The shell on a terminal: completion, several lines, Ctrl-C, the pager, history."""
import fcntl
import os
import pty
import re
import select
import stat
import struct
import termios
import time

import pytest

from conftest import BIN


class Terminal:
    """assay on a pseudo-terminal of 24 × 80; colours off, so that what is seen is text."""

    def __init__(self, home, **env):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            full = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm", "NO_COLOR": "1", "PAGER": "cat", "AWS_EC2_METADATA_DISABLED": "true"} | env
            os.chdir("/")
            os.execve(BIN, [BIN], full)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def until(self, text, timeout=20):
        """Reads until this text was seen, and forgets what was before its end."""
        deadline = time.time() + timeout
        while text not in self.seen:
            left = deadline - time.time()
            assert left > 0, f"{text!r} did not appear in {self.seen!r}"
            if select.select([self.fd], [], [], left)[0]:
                try:
                    new = os.read(self.fd, 65536)
                except OSError:
                    new = b""
                assert new, f"the shell ended before {text!r}: {self.seen!r}"
                self.seen += re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", "", new.decode("utf-8", "replace"))
        before, self.seen = self.seen.split(text, 1)
        return before + text

    def type(self, text):
        os.write(self.fd, text.encode())

    def code(self):
        deadline = time.time() + 20
        while time.time() < deadline:
            try:
                while select.select([self.fd], [], [], 0)[0] and os.read(self.fd, 65536):
                    pass
            except OSError:
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        raise AssertionError("the shell did not end")


@pytest.fixture
def home(tmp_path):
    return tmp_path


def test_a_statement_of_several_lines_and_the_history(home):
    shell = Terminal(home)
    shell.until("assay> ")
    shell.type("select 40 + 2\n")
    shell.type("as answer;\n")
    assert "42" in shell.until("(1 row)")
    shell.until("assay> ")
    shell.type("\x04")
    assert shell.code() == 0
    history = home / ".local" / "state" / "assay" / "history"
    assert "as answer" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_completion_of_commands_tables_and_columns(home):
    shell = Terminal(home)
    shell.until("assay> ")
    shell.type(".ins\t aws_iam_access\t\n")
    shell.until("iam.ListAccessKeys")
    shell.until("assay> ")
    shell.type("select access_key_last_used_da from aws_iam_access_key" + "\x1b[D" * 24 + "\t\x05;")
    shell.until("select access_key_last_used_date from aws_iam_access_key")
    shell.type("\x15\x04")
    assert shell.code() == 0


def test_typing_ahead_is_kept(home):
    shell = Terminal(home)
    shell.until("assay> ")
    shell.type(".output line\nselect 1 as one;\nselect 2 as two;\n")
    shell.until("one | 1")
    shell.until("two | 2")
    shell.type(".exit\n")
    assert shell.code() == 0


def test_ctrl_c_cancels_the_query_and_keeps_the_shell(home):
    shell = Terminal(home)
    shell.until("assay> ")
    shell.type("with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t;\n")
    shell.until("Ctrl-C cancels")
    shell.type("\x03")
    shell.until("cancelled")
    shell.type("select 'still ' || 'here' as x;\n")
    shell.until("still here")
    shell.until("assay> ")
    shell.type("\x04")
    assert shell.code() == 0


def test_errors_do_not_end_it(home):
    shell = Terminal(home)
    shell.until("assay> ")
    shell.type("selec 1;\n")
    shell.until("error: line 1, column 1: syntax error")
    shell.type(".nonsense\n")
    shell.until("error: there is no command .nonsense")
    shell.type(".exit\n")
    assert shell.code() == 0


def test_long_results_go_through_the_pager(home):
    shell = Terminal(home, PAGER="sed s/^/paged:/")
    shell.until("assay> ")
    shell.type("select * from generate_series(1, 100);\n")
    shell.until("paged:(100 rows)")
    shell.type("select 1 as short;\n")
    assert "paged:" not in shell.until("(1 row)")
    shell.type(".exit\n")
    assert shell.code() == 0


def test_a_home_that_cannot_be_written_is_said_once(home):
    shell = Terminal("/proc/nonexistent")
    assert "history is not kept" in shell.until("assay> ")
    shell.type("select 1 as one;\n")
    assert "history" not in shell.until("(1 row)")
    shell.until("assay> ")
    shell.type("\x04")
    assert shell.code() == 0
