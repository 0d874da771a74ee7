# SPDX-License-Identifier: Apache-2.0
"""Servers of a test: started in its directory, waited for until they listen, ended by pid."""
import contextlib
import os
import signal
import socket
import subprocess
import time


PORTS = 2000  # of each process that runs tests
_last_port = os.getpid()


def free_port():
    """A port of the loopback interface that nobody listens on now. Each of the processes that run
    tests side by side has a range of its own, below those the kernel gives to clients: nobody takes
    the port before the server has it."""
    global _last_port
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(PORTS):
        _last_port = (_last_port + 1) % PORTS
        port = 12000 + worker * PORTS + _last_port
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("every port of this worker's range is taken")


def wait_for(condition, seconds=20, what="a condition"):
    """Calls condition until it is true; returns its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


def is_listening(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    return False


class Server:
    """A process with a log. Ended with the object, whatever happened in between."""

    def __init__(self, argv, log, ready=None, env=None, cwd=None):
        self.argv, self.log, self.ready, self.env, self.cwd = argv, log, ready, env, cwd
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd,
                env=dict(os.environ, **(self.env or {})), start_new_session=True)
        if self.ready:
            wait_for(self._is_ready, what=f"{self.argv[0]} (log: {self.log})")
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            with open(self.log, errors="replace") as log:
                raise RuntimeError(f"{self.argv[0]} ended at its start:\n{log.read()[-4000:]}")
        return self.ready()

    def kill(self, number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if not self.process or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


def run(argv, **options):
    """A command that must succeed; its output is in the exception when it does not."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{argv}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
