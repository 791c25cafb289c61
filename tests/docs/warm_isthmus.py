"""`isthmus` without its two seconds of loading: a server that has loaded everything forks for each command.

python warm_isthmus.py serve SOCKET      # loads once, then waits
python warm_isthmus.py call SOCKET …     # one command: this folder, environment and output, its exit code
"""

import json
import os
import socket
import sys


def serve(path: str) -> None:
    """Fork a child for every call; it has the caller's folder, environment and output."""
    import importlib
    import signal

    from isthmus.cli.main import COMMANDS

    for module in ("isthmus.operate.opening", "isthmus.operate.sweeps", *(entry[0] for entry in COMMANDS.values())):
        importlib.import_module(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            caller, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(caller)
            caller.close()


def _answer(caller: socket.socket) -> None:
    told, handles, _, _ = socket.recv_fds(caller, 1 << 20, 3)
    given = json.loads(told)
    for number, handle in enumerate(handles):
        os.dup2(handle, number)
    os.chdir(given["folder"])
    os.environ.clear()
    os.environ.update(given["environment"])
    sys.argv = ["isthmus", *given["arguments"]]
    from isthmus.cli.main import main

    code = 0
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    caller.sendall(bytes([code]))
    os._exit(code)


def call(path: str, arguments: list[str]) -> int:
    """One command; returns its exit code."""
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(path)
        given = {"folder": os.getcwd(), "environment": dict(os.environ), "arguments": arguments}
        socket.send_fds(door, [json.dumps(given).encode()], [0, 1, 2])
        answer = door.recv(1)
        return answer[0] if answer else 1


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(call(sys.argv[2], sys.argv[3:]))
