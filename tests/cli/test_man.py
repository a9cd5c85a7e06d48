# SPDX-License-Identifier: MIT
"""
The man pages: without a warning, of this version, and with every option that --help has.
"""
import os
import re
import shutil
import unittest

from programs import CLIENT, SERVER, SOURCE_DIR, VERSION, TestCase, run

APPS = os.path.join(SOURCE_DIR, "apps")
PAGES = {"msgsrv-server": "msgsrv-server/msgsrv-server.1", "msgsrv-client": "msgsrv-client/msgsrv-client.1",
         "protoc-gen-msgsrv": "protoc-gen-msgsrv/protoc-gen-msgsrv.1"}


class Pages(TestCase):
    def text(self, name):
        """A page's source, with its dashes as they are typed."""
        with open(os.path.join(APPS, PAGES[name]), encoding="utf-8") as page:
            return page.read().replace("\\-", "-")

    def check_page(self, command, *options):
        if not shutil.which(command):
            self.skipTest(f"no {command} here")
        for name in PAGES.values():
            with self.subTest(page=name):
                result = run(command, *options, os.path.join(APPS, name),
                             env={"MANROFFSEQ": "", "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
                self.assertEqual((result.status, result.err), (0, ""))
                self.assertIn("SYNOPSIS", result.out)

    def test_man(self):
        self.check_page("man", "--warnings", "-l")

    def test_groff(self):
        self.check_page("groff", "-man", "-Tutf8", "-Kutf8", "-P-cbou", "-ww")

    def test_mandoc(self):
        if not shutil.which("mandoc"):
            self.skipTest("no mandoc here")
        for name in PAGES.values():
            self.check(run("mandoc", "-T", "lint", "-W", "warning", os.path.join(APPS, name)), 0)

    def test_version(self):
        for name in PAGES:
            self.assertRegex(self.text(name),
                             rf'(?m)^\.TH {name.upper()} 1 [-0-9]+ "msgsrv {re.escape(VERSION)}"')

    def test_every_option(self):
        for name, program in (("msgsrv-server", SERVER), ("msgsrv-client", CLIENT)):
            page = self.text(name)
            options = set(re.findall(r"--[a-z][-a-z]+", run(program, "--help").out))
            self.assertGreater(len(options), 10)
            self.assertEqual([option for option in sorted(options) if option not in page], [])
            written = set(re.findall(r"(?m)^\.(?:B|BI|BR) (--[a-z][-a-z]+)", page))
            self.assertEqual(written - options, set())

    def test_every_parameter_of_the_generator(self):
        for word in ("options_path=", "options=", "setting=", "--nanopb_opt", "--msgsrv_opt", "_register", "_async",
                     "_reply", "_release", "_service", "_handler", "_events", "_server_send", "_server_reply", "_open",
                     "_client_send", "_start", "_write", "_read", "_close", "_proto_file"):
            self.assertIn(word, self.text("protoc-gen-msgsrv"))


if __name__ == "__main__":
    unittest.main()
