# SPDX-License-Identifier: Apache-2.0
"""Shows that every lint finds what it is for, at the right line, in a small tree of its own, and
that it is silent once that is put right. Run as: test_lints.py LINT (check-size, ...)."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SPDX_C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SPDX_SH = "#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n"


class Fixture(unittest.TestCase):
    """A temporary tree with one valid file of each kind that lints read."""

    lint = None

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="varve-lint-")
        self.addCleanup(shutil.rmtree, self.root)
        for name in ("layers.txt", "size-exceptions.txt"):
            self.write("tests/lint/" + name, self.read(os.path.join(HERE, name)))
        self.write(".clang-format", self.read(os.path.join(HERE, "../../.clang-format")))
        self.write("meson.build", "# SPDX-License-Identifier: Apache-2.0\nfolders = [\n  'base',\n"
                   "  'oci',\n]\n")
        self.write("include/base/one.h", SPDX_C + "#pragma once\n\n/* One. */\nint one(void);\n")
        self.write("src/base/one.c", SPDX_C + '#include "base/one.h"\n\nint one(void)\n{\n'
                   "\treturn 1;\n}\n")
        self.write("src/base/meson.build",
                   "# SPDX-License-Identifier: Apache-2.0\nfiles('one.c')\n")
        self.write("packaging/one.sh", SPDX_SH + 'echo "$1"\n')
        self.write("README.md", "From example.com or docker.io.\n")

    def read(self, path):
        with open(path, encoding="utf-8") as file:
            return file.read()

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def run_lint(self):
        result = subprocess.run(["/usr/bin/python3", "-B", os.path.join(HERE, self.lint),
                                 "--root", self.root], text=True, check=False,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if result.returncode == 77:
            self.skipTest(result.stdout.strip())
        return result

    def assert_clean(self):
        result = self.run_lint()
        self.assertEqual(result.returncode, 0, result.stdout)
        checked = re.search(r"(\d+) files checked, 0 findings\n$", result.stdout)
        self.assertTrue(checked and int(checked.group(1)) > 0, result.stdout)

    def assert_finds(self, *findings):
        """Exactly these findings, each given as the start of its line."""
        result = self.run_lint()
        self.assertEqual(result.returncode, 1, result.stdout)
        lines = result.stdout.splitlines()[:-1]
        self.assertEqual(len(lines), len(findings), result.stdout)
        for line, finding in zip(lines, findings):
            self.assertTrue(line.startswith(finding), f"{line}\ninstead of {finding}")


class CheckLayers(Fixture):
    lint = "check-layers"

    def test_accepts_a_lower_folder_and_an_owned_library(self):
        self.write("src/oci/two.c", SPDX_C + '#include <openssl/evp.h>\n#include "base/one.h"\n')
        self.assert_clean()

    def test_finds_a_folder_that_is_not_lower(self):
        self.write("src/oci/two.c", SPDX_C + '#include "config/x.h"\n#include "cli/x.h"\n')
        self.assert_finds("src/oci/two.c:2: [layer]", "src/oci/two.c:3: [layer]")

    def test_finds_a_library_of_another_folder(self):
        self.write("src/http/a.c", "#include <event2/event.h>\n#include <event2/http.h>\n")
        self.write("src/oci/two.c", "#include <openssl/evp.h>\n#include <openssl/ssl.h>\n")
        self.write("tests/unit/oci/test_two.c", "#include <cmocka.h>\n")
        self.assert_finds("src/http/a.c:1: [library]", "src/oci/two.c:2: [library]",
                          "tests/unit/oci/test_two.c:1: [library]")

    def test_finds_a_library_that_no_folder_owns(self):
        self.write("src/oci/two.c", "#include <sys/stat.h>\n#include <strange/lib.h>\n")
        self.assert_finds("src/oci/two.c:2: [library]")

    def test_finds_the_private_header_of_another_folder(self):
        self.write("src/base/one_internal.h", SPDX_C)
        self.write("tests/unit/base/test_one.c", '#include "one_internal.h"\n')
        self.write("src/oci/two.c", '#include "one_internal.h"\n')
        self.assert_finds("src/oci/two.c:1: [private-header]")

    def test_finds_folders_built_out_of_order(self):
        self.write("meson.build", "folders = [\n  'oci',\n  'base',\n  'util',\n]\n")
        self.assert_finds("meson.build:1: [build-order] base", "meson.build:1: [build-order] layers")

    def test_finds_a_folder_outside_the_table(self):
        self.write("src/util/x.c", SPDX_C)
        self.assert_finds("src/util/x.c:1: [layer]")


class CheckSize(Fixture):
    lint = "check-size"

    def function(self, n_lines):
        return SPDX_C + "int f(void)\n{\n" + "\n" * (n_lines - 3) + "\treturn 1;\n}\n"

    def test_accepts_a_function_of_60_lines_and_a_file_of_500(self):
        self.write("src/base/f.c", self.function(60))
        self.write("src/base/long.c", "\n" * 500)
        self.assert_clean()

    def test_finds_a_function_of_61_lines(self):
        self.write("src/base/f.c", self.function(61))
        self.write("tests/unit/base/test_f.cc", self.function(61))
        self.assert_finds("src/base/f.c:2: [size] f() has 61", "tests/unit/base/test_f.cc:2: [size]")

    def test_finds_long_files_of_each_kind(self):
        self.write("include/base/long.h", "\n" * 201)
        self.write("src/base/long.c", "\n" * 501)
        self.write("tests/integration/test_long.py", "\n" * 501)
        self.assert_finds("include/base/long.h:1: [size]", "src/base/long.c:1: [size]",
                          "tests/integration/test_long.py:1: [size]")

    def test_holds_an_exception_to_its_exact_number(self):
        self.write("tests/lint/size-exceptions.txt", "src/base/f.c:f 70\nsrc/base/long.c 600\n")
        self.write("src/base/f.c", self.function(70))
        self.write("src/base/long.c", "\n" * 600)
        self.assert_clean()
        self.write("src/base/f.c", self.function(71))
        self.write("src/base/long.c", "\n" * 599)
        self.assert_finds("src/base/f.c:2: [size]",
                          "tests/lint/size-exceptions.txt:2: [size-exceptions]")

    def test_finds_an_exception_that_is_no_longer_needed(self):
        self.write("tests/lint/size-exceptions.txt", "src/base/one.c 501\nsrc/base/gone.c 501\n")
        self.assert_finds("tests/lint/size-exceptions.txt:1: [size-exceptions]",
                          "tests/lint/size-exceptions.txt:2: [size-exceptions]")


class CheckFormat(Fixture):
    lint = "check-format"

    def test_accepts_formatted_code(self):
        self.assert_clean()

    def test_finds_spaces_where_tabs_belong(self):
        self.write("src/base/two.c", SPDX_C + "int two(void)\n{\n    return 2;\n}\n")
        self.assert_finds("src/base/two.c:3: [format]")


class CheckDocs(Fixture):
    lint = "check-docs"

    def test_accepts_a_comment_above_a_group_and_one_at_the_end_of_a_line(self):
        self.write("include/base/two.h", """#pragma once

#define TWO(x) two(x)

/* A pair. */
struct two {
	int a; /* first */

	int b;
};

struct opaque;

/* Both of
 * them. */
__attribute__((format(printf, 1, 2))) int two(
	const char *fmt, ...);
MUST_CHECK int twice(int (*each)(int a), void *arg);

int thrice(void); /* three times */

static inline void two_freep(struct two **two)
{
}
""")
        self.assert_clean()

    def test_finds_a_function_and_a_struct_without_comment(self):
        self.write("include/base/two.h", """/* About the file. */

struct two {
	int a; /* first */
};

/* One. */
int one(void);

MUST_CHECK int two(
	int a);

static inline int three(void)
{
	return 3;
}
""")
        self.assert_finds("include/base/two.h:3: [docs] struct two",
                          "include/base/two.h:10: [docs] function two()",
                          "include/base/two.h:13: [docs] function three()")


class CheckShell(Fixture):
    lint = "check-shell"

    def test_accepts_a_quoted_variable(self):
        self.assert_clean()

    def test_finds_an_unquoted_variable_in_scripts_of_any_name(self):
        self.write("packaging/two.sh", SPDX_SH + "rm $1\n")
        self.write(".ci/run", SPDX_SH + "\nrm $1\n")
        self.assert_finds(".ci/run:4: [shellcheck]", "packaging/two.sh:3: [shellcheck]")


class CheckText(Fixture):
    lint = "check-text"

    def test_accepts_documentation_hosts_and_relative_work_directories(self):
        self.write("docs/a.md", "registry-1.docker.io r.example.com store/work/x\n")
        self.assert_clean()

    def test_finds_hosts(self):
        host = ".".join(("registry", "somewhere", "io"))
        self.write("docs/a.md", f"pull\n{host}/a/b from docker.io/a\n")
        self.assert_finds("docs/a.md:2: [host]")

    def test_finds_paths_of_a_machine_and_unfinished_work(self):
        self.write("docs/a.md", "see /" + "home/me/x\n" + "TO" + "DO later\n" + "<" * 7 + " a\n")
        self.assert_finds("docs/a.md:1: [machine-path]", "docs/a.md:2: [unfinished]",
                          "docs/a.md:3: [conflict]")

    def test_finds_white_space_and_a_missing_newline(self):
        self.write("docs/a.md", "one \ntwo")
        self.assert_finds("docs/a.md:1: [white-space]", "docs/a.md:2: [white-space]")

    def test_finds_a_source_file_without_licence(self):
        self.write("src/base/two.c", "int two;\n")
        self.write("packaging/tool", "#!/usr/bin/python3\n")
        self.assert_finds("packaging/tool:1: [spdx]", "src/base/two.c:1: [spdx]")


class CheckSources(Fixture):
    lint = "check-sources"

    def test_accepts_files_named_in_full_or_as_modules(self):
        self.write("tests/unit/base/meson.build", "foreach module : [\n  'one',\n]\n")
        self.write("tests/unit/base/test_one.c", SPDX_C)
        self.assert_clean()

    def test_finds_a_test_that_is_not_built(self):
        self.write("tests/unit/base/meson.build", "foreach module : [\n  # 'one',\n]\n")
        self.write("tests/unit/base/test_one.c", SPDX_C)
        self.write("tests/fuzz/fuzz_one.c", SPDX_C)
        self.assert_finds("tests/fuzz/fuzz_one.c:1: [unbuilt]",
                          "tests/unit/base/test_one.c:1: [unbuilt]")


def main():
    lint = sys.argv[1]
    cases = [case for case in Fixture.__subclasses__() if case.lint == lint]
    loader = unittest.defaultTestLoader
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in cases)
    if suite.countTestCases() == 0:
        sys.exit(f"no self-test for {lint}")
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if len(result.skipped) == result.testsRun else 0)


main()
