# SPDX-License-Identifier: Apache-2.0
"""The program under test: its commands, its mounts, and what must be gone after a test."""
import contextlib
import glob
import json
import os
import signal
import subprocess

from . import mounts, processes

# Sanitizers make everything slower; limits are about hanging, not about speed.
SLOWNESS = {"asan": 4, "tsan": 8}.get(os.environ.get("VARVE_SETUP", ""), 1)

# Exit codes: include/base/error_map.h
INTERNAL, INVALID, NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, BAD_DATA, UNSUPPORTED, CONFLICT, LOCAL, \
    CANCELLED = range(1, 11)

_NOT_OURS = ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "SUDO_USER", "SUDO_UID", "XDG_RUNTIME_DIR",
             "XDG_CONFIG_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "NOTIFY_SOCKET")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def environment(directory):
    """What the machine or its user have configured does not reach a test."""
    env = {key: value for key, value in os.environ.items()
           if key not in _NOT_OURS and key.lower() not in _PROXIES
           and not key.startswith(("VARVE_", "PYTEST_"))}
    for key, name in (("HOME", "home"), ("XDG_CACHE_HOME", "cache"), ("VARVE_RUN_DIR", "run")):
        env[key] = os.path.join(directory, name)
    return env


class Varve:
    """One store, one run directory, one configuration. Several processes may use them."""

    def __init__(self, directory, binary, prefix=(), extra=None):
        self.dir, self.binary, self.prefix = directory, binary, list(prefix)
        self.store = os.path.join(directory, "store")
        self.hosts = os.path.join(directory, "hosts")
        os.makedirs(self.hosts, exist_ok=True)
        os.makedirs(os.path.join(directory, "home"), exist_ok=True)
        self.env = dict(environment(directory), **(extra or {}))
        self.mounts = []

    def hosts_toml(self, namespace, text):
        """Configures a registry as containerd would read it."""
        directory = os.path.join(self.hosts, namespace)
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "hosts.toml"), "w", encoding="utf-8") as file:
            file.write(text)
        return directory

    def run(self, *arguments, code=0, stdin=None, timeout=60):
        """A command that must end with this exit code; None for any."""
        done = subprocess.run(self.prefix + [self.binary, *arguments], input=stdin, text=True,
                              stdin=subprocess.DEVNULL if stdin is None else None, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.dir,
                              timeout=timeout * SLOWNESS, check=False)
        assert code is None or done.returncode == code, \
            f"varve {arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments, code=0):
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def status(self):
        """What is said of this store."""
        document = self.json("status", "--store", self.store)
        assert document["silent"] == []
        report, = document["stores"]
        return report

    def layer_files(self):
        """What the store has on disk of layers: nothing, when they were refused."""
        return glob.glob(os.path.join(self.store, "layers", "*"))

    def why(self, path):
        return self.json("why", path)

    def mount_arguments(self, reference, target, options):
        return ["mount", "--store", self.store, "--hosts-dir", self.hosts, *options, reference,
                target]

    def target(self, name):
        path = os.path.join(self.dir, name)
        with contextlib.suppress(FileExistsError):  # a dead mount, too
            os.makedirs(path)
        return path

    def mount(self, reference, *options, name="mnt"):
        """A foreground mount that is usable when this returns."""
        mount = Mount(self, reference, options, name)
        self.mounts.append(mount)
        mount.start()
        return mount

    def refused(self, code, reference, *options, name="mnt", stdin=None):
        """A mount that must fail; returns what it said."""
        arguments = self.mount_arguments(reference, self.target(name), options)
        done = self.run(*arguments, code=code, stdin=stdin)
        assert mounts.at(os.path.join(self.dir, name)) is None
        return done.stderr

    def verify(self):
        """`varve cache verify`: the store is whole, and something is in it."""
        report = self.json("cache", "verify", "--store", self.store)
        assert report["checked_units"] > 0
        assert (report["wrong_units"], report["broken_indexes"], report["findings"]) == (0, 0, [])
        return report

    def evict(self):
        """What the quota takes first: everything of layers but what passes have left."""
        for path in self.layer_files():
            if not path.endswith(".spans"):
                os.unlink(path)

    def pids(self):
        """Every living process of this configuration, also those that left their session."""
        marker = f"VARVE_RUN_DIR={self.env['VARVE_RUN_DIR']}".encode()
        return [pid for pid in all_pids() if marker in environment_of(pid)
                and os.path.basename(executable(pid)).startswith("varve")]

    def logs(self):
        found = {}
        for mount in self.mounts:
            if os.path.exists(mount.log):
                with open(mount.log, errors="replace", encoding="utf-8") as file:
                    found[f"{' '.join(mount.argv[1:])}"] = file.read()[-20000:]
        return found

    def close(self):
        """Ends everything; returns what was not as it should be."""
        problems = []
        for mount in self.mounts:
            problems += mount.finish()
        # A process that failed behind --detach ends a moment after its command returned.
        with contextlib.suppress(TimeoutError):
            processes.wait_for(lambda: not self.pids(), 3 * SLOWNESS)
        for pid in self.pids():
            problems.append(f"process {pid} ({executable(pid)}) was left over")
            kill(pid)
        for left in mounts.below(self.dir):
            problems.append(f"{left.kind} was left mounted on {left.directory}")
            mounts.abort_fuse(left.device)
            mounts.detach(left.directory)
        return problems

    def kill_all(self):
        """Whoever waits for a mount of ours gets an error: the way out of a hanging test."""
        for pid in self.pids():
            kill(pid)
        for left in mounts.below(self.dir):
            if left.kind.startswith("fuse"):
                mounts.abort_fuse(left.device)


class Mount(processes.Server):
    """A `varve mount` in the foreground."""

    def __init__(self, varve, reference, options, name):
        self.varve, self.dir = varve, varve.target(name)
        self.expect_clean_end = True
        log = os.path.join(varve.dir, f"{name.replace('/', '-')}.log")
        self.log_start = os.path.getsize(log) if os.path.exists(log) else 0
        super().__init__(varve.prefix + [varve.binary, *varve.mount_arguments(
            reference, self.dir, options)], log, ready=self.is_usable, env=varve.env,
            cwd=varve.dir)

    def start(self):
        """As the Server's, but the environment is exactly the test's."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.cwd, env=self.env,
                                            start_new_session=True)
        processes.wait_for(self._is_ready, 60 * SLOWNESS, f"{self.argv} (log: {self.log})")
        return self

    def is_usable(self):
        """It says so, and it is true: what an earlier process left may be mounted there, too."""
        return " is mounted on " in self.text() and self.is_mounted()

    def is_mounted(self):
        """In the process' own namespace while it lives."""
        alive = self.process and self.process.poll() is None
        return mounts.at(self.dir, self.process.pid if alive else "self") is not None

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    @property
    def pid(self):
        return self.process.pid

    def text(self):
        """What it has said so far."""
        with open(self.log, errors="replace", encoding="utf-8") as file:
            file.seek(self.log_start)
            return file.read()

    def status(self):
        """This mount's part of `varve status`."""
        return next(m for m in self.varve.status()["mounts"] if m["dir"] == self.dir)

    def stop(self):
        """SIGTERM; it must unmount and succeed."""
        problems = self.finish()
        assert not problems, f"{problems}\n{self.text()}"

    def crash(self):
        """SIGKILL, and what it leaves is taken away."""
        self.expect_clean_end = False
        self.kill()
        while self.is_mounted():
            mounts.detach(self.dir)

    def finish(self):
        if not self.process:
            return []
        problems = []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(20 * SLOWNESS)
            except subprocess.TimeoutExpired:
                problems.append(f"{self.argv} did not end after SIGTERM")
                self.kill()
        code = self.process.returncode
        self.process = None
        if self.expect_clean_end and code != 0:
            problems.append(f"{self.argv} ended with status {code}")
        if self.expect_clean_end and self.is_mounted():
            problems.append(f"{self.dir} is still mounted")
        return problems


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def executable(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
