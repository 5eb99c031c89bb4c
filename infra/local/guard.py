"""Run a command that must not outlive the process that wants it.

    python guard.py COMMAND [ARGUMENT...]

The command runs in a process group of its own. Our standard input is a pipe whose other end the starter holds and never
writes to: when it closes, because the starter ended in whatever way (kill -9 included, for the kernel closes it), the group
is asked to end and, two seconds later, made to. The exit code is the command's.

Rejected: PR_SET_PDEATHSIG, which fires when the *thread* that started the child ends, and needs unsafe code in Rust.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 2.0


def end_group(group: int) -> None:
    for signal_number, wait in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 0.0)):
        try:
            os.killpg(group, signal_number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return


def end_when_abandoned(child: subprocess.Popen) -> None:
    while os.read(0, 4096):
        pass
    end_group(child.pid)
    # The child itself is reaped by the main thread, which then leaves.


def main() -> int:
    # Ctrl-C is the starter's business: it closes our standard input when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    signal.signal(signal.SIGTERM, lambda *_: end_group(child.pid))
    threading.Thread(target=end_when_abandoned, args=(child,), daemon=True).start()
    code = child.wait()
    # What the command left running in its group goes with it.
    end_group(child.pid)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
