"""``hammerwork`` for a shell: a fork does the work (``tests/forks.py``), and this process ends as the fork did.

It imports only what the interpreter has loaded or built in. It is told where to order forks, what to run where a fork
cannot be the program, since the interpreter has to read variables when it starts, and the words after the name.
"""

import _signal  # type: ignore[import-not-found]  # signal makes enums, which takes as long as all of this
import _socket
import marshal
import os
import sys

address, program, *words = sys.argv[1:]
environment = dict(os.environ)
if any(name.startswith(("COVERAGE_", "PYTHON")) for name in environment):
    os.execv(program, [program, *words])  # noqa: S606
line = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
line.connect("\0" + address)
ended, end = os.pipe()
given = b"".join(descriptor.to_bytes(4, sys.byteorder) for descriptor in (0, 1, 2, end))
order = marshal.dumps((words, environment, os.getcwd()))  # noqa: PTH109  pathlib is an import
line.sendmsg([order], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, given)])
os.close(end)
fork = int(line.recv(32))
for number in (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM, _signal.SIGUSR1, _signal.SIGUSR2):
    if _signal.getsignal(number) != _signal.SIG_IGN:
        _signal.signal(number, lambda number, _: os.kill(fork, number))
exit_code = int(os.read(ended, 32))
if exit_code < 0:
    _signal.signal(-exit_code, _signal.SIG_DFL)
    os.kill(os.getpid(), -exit_code)
os._exit(exit_code)
