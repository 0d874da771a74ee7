#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Help pages, man pages and completion say the same about every verb and option, and completion
completes. The program is argv[1], the top of the source tree argv[2]."""
import os
import re
import shutil
import subprocess
import sys
import unittest

VARVE, TOP = sys.argv.pop(1), sys.argv.pop(1)
MAN = os.path.join(TOP, "packaging", "man")
COMPLETION = os.path.join(TOP, "packaging", "completions", "varve.bash")
VERBS = ["mount", "umount", "status", "why", "images", "index create", "index show", "index push",
         "index pull", "index verify", "cache ls", "cache verify"]
PAGES = {"mount": "varve-mount.1", "index": "varve-index.1"}

# What bash does before it calls a completion function.
COMPLETE = r"""
. "$0"
COMP_LINE=$1
COMP_POINT=${#COMP_LINE}
COMP_WORDS=($(printf '%s' "$COMP_LINE" | sed 's/[=:]/ & /g'))
[[ $COMP_LINE != *' ' ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_varve
printf '%s\n' "${COMPREPLY[@]}"
"""


def run(*command, **options):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE,
                          **options).stdout


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def options_of(verb):
    """Long options of a help page: those that begin a line."""
    page = run(VARVE, *verb.split(), "--help")
    return re.findall(r"^ {2,6}(?:-\w, )?--([a-z0-9-]+)", page, re.M)


def man_text(name):
    return read(os.path.join(MAN, name)).replace("\\-", "-")


def complete(line):
    return run("bash", "--norc", "-c", COMPLETE, COMPLETION, line).split()


class Documents(unittest.TestCase):
    def test_the_overview_lists_every_verb(self):
        overview = run(VARVE, "help")
        for verb in VERBS:
            self.assertIn(f"varve {verb} ", overview)

    def test_help_of_a_verb_is_the_same_either_way(self):
        for verb in VERBS:
            self.assertEqual(run(VARVE, "help", *verb.split()),
                             run(VARVE, *verb.split(), "--help"))

    def test_every_option_is_in_the_man_pages(self):
        for verb in VERBS:
            page = man_text(PAGES.get(verb.split()[0], "varve.1"))
            for option in options_of(verb):
                self.assertRegex(page, rf"--{option}\b", f"of varve {verb}")

    def test_man_pages_have_no_option_that_is_not_there(self):
        known = {option for verb in VERBS for option in options_of(verb)}
        known |= {"version", "user", "map-root-user", "mount", "unix-socket"}
        for name in os.listdir(MAN):
            for option in re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", man_text(name)):
                self.assertIn(option, known, name)

    def test_mount_options_of_fstab_are_in_the_page_of_the_helper(self):
        page = man_text("mount.varve.8")
        for option in options_of("mount"):
            if option in ("detach", "rw", "username", "password-stdin", "json", "quiet", "help"):
                continue
            self.assertRegex(page, rf"\b{option}\b")

    @unittest.skipUnless(shutil.which("man"), "man is not installed")
    def test_man_pages_are_clean(self):
        for name in os.listdir(MAN):
            result = subprocess.run(
                ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(MAN, name)],
                check=False, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80"))
            self.assertEqual(result.stderr, "", name)

    def test_completion_knows_the_options_of_every_verb(self):
        for verb in VERBS:
            offered = [word.removeprefix("--").rstrip("=") for word in complete(f"varve {verb} -")]
            self.assertEqual(offered, options_of(verb), f"of varve {verb}")

    def test_completion_knows_verbs_and_values(self):
        self.assertEqual(complete("varve mo"), ["mount"])
        self.assertEqual(complete("varve cache "), ["ls", "verify"])
        self.assertEqual(complete("varve index p"), ["push", "pull"])
        self.assertEqual(complete("varve mount --face="), ["auto", "erofs", "fuse"])
        self.assertEqual(complete("varve mount --pull n"), ["never"])
        self.assertEqual(complete("varve help um"), ["umount"])

    def test_completion_finds_directories(self):
        self.assertEqual(complete("varve mount ref /et"), ["/etc"])
        self.assertEqual(complete("varve mount --store=/et"), ["/etc"])
        self.assertEqual(complete("varve mount --layer sha256:0 ref /et"), ["/etc"])

    def test_completion_finds_images_in_files(self):
        # bash breaks words at colons: what stands before the last one is not repeated.
        self.assertEqual(complete("varve mount oci"), ["oci:", "oci-archive:"])
        self.assertEqual(complete("varve mount docker-"), ["docker-archive:"])
        self.assertEqual(complete("varve mount oci:/et"), ["/etc"])
        self.assertEqual(complete("varve mount containerd:/et"), ["/etc"])
        self.assertEqual(complete("varve mount oci-archive:/etc/os-rel"), ["/etc/os-release"])
        self.assertEqual(complete("varve mount oci:/etc:"), [])
        self.assertEqual(complete("varve index create docker-"), ["docker-archive:"])
        self.assertEqual(complete("varve index verify --image=docker-"), ["docker-archive:"])
        self.assertEqual(complete("varve index verify /etc/os-rel"), ["/etc/os-release"])


unittest.main()
