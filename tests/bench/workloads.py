# SPDX-License-Identifier: Apache-2.0
"""What is measured, on any directory that holds the big image's tree. Nothing here knows whose
directory it is."""
import hashlib
import os
import random
import subprocess
import time

BIG = "data"
INCOMPRESSIBLE = os.path.join(BIG, "incompressible")
COMPRESSIBLE = os.path.join(BIG, "compressible")
SMALL = os.path.join(BIG, "small")


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")


def timed(function, *args):
    start = time.perf_counter()
    value = function(*args)
    return time.perf_counter() - start, value


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def sequential(path):
    """MB/s of one reader with 1 MiB reads."""
    size = 0
    start = time.perf_counter()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(1 << 20):
            size += len(piece)
    return size / 1e6 / (time.perf_counter() - start)


def random_reads(path, count, seed):
    """Seconds of each of count 4 KiB reads at random places."""
    chooser = random.Random(seed)
    times = []
    fd = os.open(path, os.O_RDONLY)
    try:
        n_pages = os.fstat(fd).st_size // 4096
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        for _ in range(count):
            offset = chooser.randrange(n_pages) * 4096
            start = time.perf_counter()
            os.pread(fd, 4096, offset)
            times.append(time.perf_counter() - start)
    finally:
        os.close(fd)
    return times


def small_files(directory):
    """Seconds of open, read and close of each file, in the order of their names."""
    times = []
    for name in sorted(os.listdir(directory)):
        start = time.perf_counter()
        with open(os.path.join(directory, name), "rb", buffering=0) as file:
            while file.read(1 << 17):
                pass
        times.append(time.perf_counter() - start)
    return times


def hot_small_file(path, count=2000):
    """Median microseconds of open, read and close of a file that was just read."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 1 << 17)
        os.close(fd)
        times.append(time.perf_counter() - start)
    return percentile(times, 0.5) * 1e6


def shell(directory, command):
    """Seconds of a shell command in a directory; the work of the command is its output."""
    start = time.perf_counter()
    subprocess.run(["sh", "-c", f"{command} > /dev/null"], cwd=directory, check=True)
    return time.perf_counter() - start


def find(directory):
    return shell(directory, "find . | cat")


def list_long(directory):
    return shell(directory, "ls -lR . | cat")


def tar(directory):
    # Behind a pipe: GNU tar reads no files when it sees /dev/null.
    return shell(directory, "tar -cf - . | cat")


def cached_kib():
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            if line.startswith("Cached:"):
                return int(line.split()[1])
    raise RuntimeError("no Cached: in /proc/meminfo")


def cache_per_byte(path):
    """Growth of the page cache for each byte read from a file that was not cached."""
    drop_caches()
    before = cached_kib()
    sequential(path)
    return (cached_kib() - before) * 1024 / os.path.getsize(path)


def make_big_layer(directory, seed):
    """The files of the big layer: 128 MiB that do not compress, 128 MiB that do, 2,000 small."""
    chooser = random.Random(seed)
    small = os.path.join(directory, SMALL)
    os.makedirs(small)
    with open(os.path.join(directory, INCOMPRESSIBLE), "wb") as file:
        for _ in range(128):
            file.write(chooser.randbytes(1 << 20))
    with open(os.path.join(directory, COMPRESSIBLE), "wb") as file:
        words = [hashlib.sha256(b"%d" % i).hexdigest().encode() for i in range(2000)]
        written = 0
        while written < 128 << 20:
            written += file.write(b" ".join(chooser.choices(words, k=4096)))
    for i in range(2000):
        with open(os.path.join(small, f"{i:05d}"), "wb") as file:
            file.write(chooser.randbytes(chooser.randrange(200, 20_000)))


def private_and_cpu(pid):
    """(private MiB, CPU seconds) of a process."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        private = sum(int(line.split()[1]) for line in file
                      if line.startswith(("Private_Clean", "Private_Dirty")))
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return private / 1024, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
