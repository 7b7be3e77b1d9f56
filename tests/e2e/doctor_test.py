"""`forgectl doctor`: what it says of machines that lack something, and of one that lacks nothing."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import FORGECTL
from harness import Daemon

GIB = 1 << 30


def doctor(root="/", *args, **variables):
    return subprocess.run([FORGECTL, "doctor", "--system-root", str(root), *args],
                          capture_output=True, text=True, timeout=120,
                          env={**os.environ, "FORGE_ADDRESS": "unix:///nowhere/forge.sock",
                               **variables})


def machine(root):
    """A machine with a Radeon RX 7900 XTX, its driver and ROCm, as far as files can say."""
    def write(path, text):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text + "\n")
    gpu = "sys/devices/pci0000:00/0000:03:00.0"
    write(f"{gpu}/vendor", "0x1002")
    write(f"{gpu}/mem_info_vram_total", str(24 * GIB))
    write(f"{gpu}/mem_info_vram_used", str(2 * GIB))
    write(f"{gpu}/mem_info_gtt_total", str(31 * GIB))
    write(f"{gpu}/mem_info_gtt_used", "0")
    (root / "sys/class/drm/renderD128").mkdir(parents=True)
    (root / "sys/class/drm/renderD128/device").symlink_to(root / gpu)
    write("sys/class/kfd/kfd/topology/nodes/0/properties", "cpu_cores_count 16\ngfx_target_version 0\ndrm_render_minor 0")
    write("sys/class/kfd/kfd/topology/nodes/1/properties", "gfx_target_version 110000\ndrm_render_minor 128")
    write("sys/module/amdgpu/version", "6.7.0")
    write("proc/sys/kernel/osrelease", "6.8.12-amd64")
    write("dev/kfd", "")
    write("dev/dri/renderD128", "")
    write("opt/rocm/.info/version", "6.2.0-66")


class DoctorTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="forge-doctor-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def test_says_what_an_empty_machine_lacks_and_how_to_mend_it(self):
        result = doctor(self.root)
        self.assertEqual(1, result.returncode, result.stderr)
        for words in ("the kernel module amdgpu is not loaded", "modprobe amdgpu",
                      "/dev/kfd does not exist", "--device=/dev/kfd", "no AMD GPU",
                      "libamdhip64, is in none of the usual places", "note: daemon:"):
            self.assertIn(words, result.stdout)

    def test_shows_gpu_driver_and_rocm(self):
        machine(self.root)
        result = doctor(self.root)
        for words in ("ok: driver: amdgpu 6.7.0, kernel 6.8.12-amd64",
                      "0000:03:00.0 (renderD128), gfx1100, VRAM 22.0 GiB free of 24.0 GiB",
                      "ok: ROCm: 6.2.0-66 in /opt/rocm", "can be read and written"):
            self.assertIn(words, result.stdout)

    def test_warns_of_overrides(self):
        machine(self.root)
        result = doctor(self.root, HSA_OVERRIDE_GFX_VERSION="10.3.0", HIP_VISIBLE_DEVICES="1")
        self.assertIn("warning: variable: HSA_OVERRIDE_GFX_VERSION=10.3.0", result.stdout)
        self.assertIn("note: variable: HIP_VISIBLE_DEVICES=1", result.stdout)

    def test_a_node_that_may_not_be_used_names_its_group(self):
        if os.geteuid() == 0:
            self.skipTest("root may use every node")
        machine(self.root)
        (self.root / "dev/kfd").chmod(0)
        result = doctor(self.root)
        self.assertIn("this user may not use", result.stdout)
        self.assertIn("usermod -aG", result.stdout)

    def test_names_a_daemon_that_cannot_be_run_and_one_that_says_nonsense(self):
        self.assertIn("cannot run /nowhere/forged", doctor("/", "--forged", "/nowhere/forged").stdout)
        self.assertIn("did not say what it found", doctor("/", "--forged", "/bin/echo").stdout)

    def test_says_why_the_plug_in_is_not_there(self):
        config = self.root / "config.yaml"
        config.write_text("device: {gpu_plugin: /nowhere/libforge-hip.so}\n")
        result = doctor("/", "--config", str(config))
        self.assertEqual(1, result.returncode)
        self.assertIn("there is no GPU plug-in at /nowhere/libforge-hip.so", result.stdout)

    def test_prints_json_and_shows_a_daemon_that_runs(self):
        with Daemon() as daemon:
            findings = [line for line in daemon.ctl("doctor", "-o", "json").stdout.splitlines()]
            self.assertTrue(any('"topic":"daemon"' in line and "runs on" in line
                                for line in findings), findings)

    @unittest.skipUnless(os.environ.get("FORGE_GPU") == "emulated", "needs the emulated GPU")
    def test_examines_the_gpu_through_the_plug_in(self):
        gpu = self.root / "gpu"
        gpu.write_text(f"memory_bytes {GIB}\nforeign_bytes {GIB // 4}\nwave_size 64\n")
        result = doctor("/", FORGE_HIP_EMULATOR=str(gpu))
        for words in ("ok: runtime: emulated HIP 5.2.0 through ", "waves of 64",
                      "with its own memory",
                      "free 768 MiB of 1.00 GiB: 1.00 GiB by the runtime, 768 MiB by the driver",
                      "self-test passed"):
            self.assertIn(words, result.stdout)


if __name__ == "__main__":
    unittest.main()
