"""What `cmake --install` lays out is complete: programs that run, and a protocol that clients can be
generated from."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import grpc

from harness import Daemon, REPOSITORY


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="forge-install-")
        cls.prefix = Path(cls.folder.name)
        subprocess.run(["cmake", "--install", os.environ["FORGE_BUILD_DIR"]], check=True,
                       stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": str(cls.prefix)})
        cls.root = next(p.parent.parent for p in cls.prefix.rglob("bin/forged"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_lays_out_programs_unit_account_and_configuration(self):
        for name in ("bin/forged", "bin/forgectl", "bin/forge-gateway", "share/forge/proto/forge/v1/forge.proto"):
            self.assertTrue((self.root / name).is_file(), name)
        for pattern in ("**/systemd/system/forged.service", "**/systemd/system/forge-gateway.service",
                        "**/sysusers.d/forge*.conf",
                        "**/etc/forge/config.yaml"):
            self.assertEqual(1, len(list(self.prefix.glob(pattern))), pattern)

    def test_lays_out_what_shells_complete_with_and_the_manual_pages(self):
        for name in ("share/bash-completion/completions/forgectl", "share/zsh/vendor-completions/_forgectl",
                     "share/fish/vendor_completions.d/forgectl.fish", "share/man/man1/forgectl.1",
                     "share/man/man8/forged.8", "share/man/man8/forge-gateway.8"):
            self.assertTrue((self.root / name).is_file(), name)

    def test_the_pages_of_the_daemons_have_their_options(self):
        for program in ("forged", "forge-gateway"):
            help_text = subprocess.run([self.root / "bin" / program, "--help"], capture_output=True, text=True,
                                       check=True).stdout
            page = (self.root / f"share/man/man8/{program}.8").read_text().replace("\\-", "-")
            self.assertEqual(set(re.findall(r"^  (?:-h,)?(--[a-z-]+)", help_text, re.M)),
                             set(re.findall(r"^(?:\\fB-h\\fR, )?\\fB(--[a-z-]+)", page, re.M)))

    def test_the_page_of_forgectl_has_every_command_and_roff_understands_both(self):
        page = (self.root / "share/man/man1/forgectl.1").read_text()
        for text in ('.SS "forgectl load model"', '.SS "forgectl policy replay file"', "f16|f32|bf16|q8_0",
                     ".SH EXIT CODES", ".SH EXAMPLES"):
            self.assertIn(text, page)
        self.assertNotIn("system\\-root", page)
        if shutil.which("groff"):
            for name in ("man1/forgectl.1", "man8/forged.8", "man8/forge-gateway.8"):
                run = subprocess.run(["groff", "-man", "-ww", "-Tascii", self.root / "share/man" / name],
                                     capture_output=True, text=True)
                self.assertEqual((0, ""), (run.returncode, run.stderr))

    def test_the_unit_names_the_program_wherever_it_was_installed(self):
        with tempfile.TemporaryDirectory(prefix="forge-install-") as folder:
            subprocess.run(["cmake", "--install", os.environ["FORGE_BUILD_DIR"], "--prefix", "/opt/forge"],
                           check=True, stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": folder})
            units = Path(folder, "opt/forge/lib/systemd/system")
            self.assertIn("ExecStart=/opt/forge/bin/forged\n", (units / "forged.service").read_text())
            self.assertIn("ExecStart=/opt/forge/bin/forge-gateway --listen",
                          (units / "forge-gateway.service").read_text())
            self.assertTrue(Path(folder, "opt/forge/bin/forged").is_file())
            self.assertTrue(Path(folder, "etc/forge/config.yaml").is_file())

    def test_a_configuration_that_is_there_stays(self):
        with tempfile.TemporaryDirectory(prefix="forge-install-") as folder:
            config = Path(folder, "etc/forge/config.yaml")
            config.parent.mkdir(parents=True)
            config.write_text("reflection: true\n")
            subprocess.run(["cmake", "--install", os.environ["FORGE_BUILD_DIR"]], check=True,
                           stdout=subprocess.DEVNULL, env={**os.environ, "DESTDIR": folder})
            self.assertEqual("reflection: true\n", config.read_text())
            self.assertEqual(1, len(list(Path(folder).glob("**/doc/forge/config.yaml"))))
            self.assertEqual(1, len(list(Path(folder).glob("**/doc/forge/hip.md"))))

    def test_installed_programs_know_their_version(self):
        for program in ("forged", "forgectl", "forge-gateway"):
            out = subprocess.run([self.root / "bin" / program, "version" if program == "forgectl"
                                  else "--version"], capture_output=True, text=True, check=True).stdout
            self.assertRegex(out, r"\d+\.\d+\.\d+")

    def test_the_debian_package_holds_the_same_below_usr(self):
        with tempfile.TemporaryDirectory(prefix="forge-package-") as folder:
            built = subprocess.run(["cpack", "--config", f"{os.environ['FORGE_BUILD_DIR']}/CPackConfig.cmake",
                                    "-B", folder, "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=none"],
                                   capture_output=True, text=True)
            self.assertEqual(0, built.returncode, built.stdout + built.stderr)
            package, = Path(folder).glob("forge_*.deb")
            control = subprocess.run(["dpkg-deb", "--info", package], capture_output=True, text=True,
                                     check=True).stdout
            for library in (r"libgrpc\+\+", "libprometheus-cpp-core"):
                self.assertRegex(control, rf"Depends: .*\b{library}")
            root, scripts = Path(folder, "root"), Path(folder, "control")
            subprocess.run(["dpkg-deb", "--extract", package, root], check=True)
            subprocess.run(["dpkg-deb", "--control", package, scripts], check=True)
            self.assertIn("ExecStart=/usr/bin/forged\n",
                          (root / "usr/lib/systemd/system/forged.service").read_text())
            self.assertFalse((root / "usr/local").exists())
            for name in ("man/man1/forgectl.1", "bash-completion/completions/forgectl"):
                self.assertTrue((root / "usr/share" / name).is_file(), name)
            for name in (scripts / "conffiles").read_text().split():
                self.assertTrue((root / name.lstrip("/")).is_file(), name)
            subprocess.run([root / "usr/bin/forged", "--version"], check=True, stdout=subprocess.DEVNULL)
            for script in ("postinst", "prerm", "postrm"):
                self.assertTrue(os.access(scripts / script, os.X_OK), script)
                subprocess.run(["sh", "-n", scripts / script], check=True)

    def test_a_python_client_is_generated_from_the_installed_protocol(self):
        proto = self.root / "share/forge/proto"
        stubs = self.prefix / "stubs"
        stubs.mkdir()
        plugin = subprocess.run(["which", "grpc_python_plugin"], capture_output=True, text=True,
                                check=True).stdout.strip()
        subprocess.run(["protoc", "-I", proto, f"--python_out={stubs}", f"--grpc_out={stubs}",
                        f"--plugin=protoc-gen-grpc={plugin}", "forge/v1/forge.proto"], check=True)
        sys.path.insert(0, str(stubs))
        pb = importlib.import_module("forge.v1.forge_pb2")
        rpc = importlib.import_module("forge.v1.forge_pb2_grpc")
        self.assertTrue(pb.__file__.startswith(str(stubs)))
        with Daemon(REPOSITORY / "models") as daemon, grpc.insecure_channel(
                daemon.address, options=[("grpc.default_authority", "localhost")]) as channel:
            stub = rpc.ForgeServiceStub(channel)
            start = pb.LoadModelRequest(start=pb.LoadModelRequest.Start(model="demo"))
            self.assertTrue(list(stub.LoadModel(iter([start])))[-1].HasField("ready"))
            turn = pb.GenerateRequest.Turn(
                model="demo", chat=pb.ChatMessages(messages=[pb.ChatMessage(role="user", content="Hello!")]))
            events = list(stub.Generate(iter([pb.GenerateRequest(turn=turn)])))
            self.assertGreater(events[-1].finished.usage.output_tokens, 0)


if __name__ == "__main__":
    unittest.main()
