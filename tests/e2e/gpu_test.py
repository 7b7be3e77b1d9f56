"""forged on a GPU: which device models run on, and what becomes of them when memory or the GPU itself
goes away. The GPU is the emulated one; tests/hip_emulator/README.md has the keys of its settings."""

import contextlib
import os
import time
import unittest

from harness import DEMO_MODEL, Daemon, answer, wait_until

MIB = 1 << 20
PROMPT = "Tell me a story about a fox."


class Gpu:
    """The settings of an emulated GPU, which may change while a daemon runs on it."""

    def __init__(self, path, **settings):
        self.path = path
        self.settings = {"memory_bytes": 1024 * MIB, **settings}
        self.write()

    def set(self, **settings):
        self.settings.update(settings)
        self.write()

    def write(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text("".join(f"{key} {value}\n" for key, value in self.settings.items()))
        os.replace(fresh, self.path)


@contextlib.contextmanager
def gpu_daemon(device="gpu_hang_limit: 1m", **settings):
    """A daemon with these settings of its devices; an emulated GPU on a busy machine is slow."""
    daemon = Daemon(DEMO_MODEL.parent,
                    config="residency: {low_water: 0, load_on_demand: false}\n"
                           f"device: {{{device}}}\n")
    gpu = Gpu(daemon.root / "gpu", **settings)
    os.environ["FORGE_HIP_EMULATOR"] = str(gpu.path)
    try:
        with daemon:
            yield daemon, gpu
    finally:
        del os.environ["FORGE_HIP_EMULATOR"]


def load(daemon, device="hip:0"):
    return daemon.ctl("load", "demo", "--context", 256, "--parallel", 2, "--device", device)


class GpuTest(unittest.TestCase):
    def held(self, daemon):
        memory = daemon.memory()
        self.assertEqual("hip:0", memory["device"])
        self.assertEqual(memory["reservedBytes"], memory["allocatedBytes"])
        return int(memory["reservedBytes"])

    def text(self, daemon, *args):
        return answer(daemon.ctl_json("generate", "demo", "--temperature", 0, "--max-tokens", 12,
                                      *args, PROMPT))

    def test_models_run_on_the_gpu_and_say_what_they_say_on_the_cpu(self):
        texts = {}
        for wave_size in (32, 64):
            with gpu_daemon(wave_size=wave_size) as (daemon, _):
                self.assertEqual(0, load(daemon).returncode, daemon.log())
                self.assertEqual("hip:0", daemon.resident("demo")["device"])
                texts[wave_size] = self.text(daemon)
                self.assertGreater(self.held(daemon), 0)
                daemon.ctl_ok("unload", "demo")
                self.assertEqual(0, self.held(daemon))
                self.assertEqual(0, load(daemon, "cpu").returncode)
                self.assertEqual("cpu", daemon.resident("demo")["device"])
                texts["cpu"] = self.text(daemon)
        self.assertEqual(texts["cpu"], texts[32])
        self.assertEqual(texts["cpu"], texts[64])

    def test_the_daemon_starts_without_a_gpu_and_says_why(self):
        for device, reason in (("gpu_plugin: /nowhere/libforge-hip.so",
                                "there is no GPU plug-in at /nowhere/libforge-hip.so"),
                               (f"gpu_plugin: {DEMO_MODEL}",
                                "the GPU plug-in cannot be opened")):
            with gpu_daemon(device) as (daemon, _):
                self.assertIn(reason, daemon.log())
                self.assertEqual("cpu", daemon.memory()["device"])
        with gpu_daemon("gpu: off") as (daemon, _):
            self.assertEqual("cpu", daemon.memory()["device"])
        with self.assertRaisesRegex(AssertionError, "device.gpu is required: there is no GPU plug-in"):
            with gpu_daemon("gpu: required, gpu_plugin: /nowhere/x.so"):
                pass

    def test_every_allocation_of_a_load_may_fail(self):
        with gpu_daemon() as (daemon, gpu):
            for k in range(3):  # weights, cache, activations
                with self.subTest(allocation=k):
                    gpu.set(fail_allocation=k)
                    result = load(daemon)
                    self.assertEqual(1, result.returncode, result.stderr)
                    self.assertIn("device hip:0 has no room for the", result.stderr)
                    self.assertEqual(0, self.held(daemon))
                    wait_until(lambda: load(daemon).returncode == 0, 30)
                    self.assertGreater(self.held(daemon), 0)
                    daemon.ctl_ok("unload", "demo")

    def test_others_that_take_the_memory_are_seen_by_the_driver_only(self):
        with gpu_daemon() as (daemon, gpu):
            self.assertEqual(0, load(daemon).returncode)
            held = self.held(daemon)
            daemon.ctl_ok("unload", "demo")
            gpu.set(foreign_bytes=1024 * MIB - held // 2)
            memory = daemon.memory()
            self.assertEqual(str(held // 2), memory["freeBytes"])
            result = load(daemon)
            self.assertEqual(6, result.returncode, result.stderr)
            self.assertEqual(0, self.held(daemon))
            gpu.set(foreign_bytes=0)
            self.assertEqual(0, load(daemon).returncode)

    def test_memory_that_others_take_during_a_load_does_not_upset_the_books(self):
        # A slow bus makes the load take seconds.
        with gpu_daemon(copy_rate=MIB) as (daemon, gpu):
            client = daemon.start_ctl("load", "demo", "--context", 256, "--parallel", 2, "--device", "hip:0")
            def has_its_memory():
                memory = daemon.memory()
                return "0" != memory["reservedBytes"] == memory["allocatedBytes"]
            wait_until(has_its_memory, 10)
            self.assertIsNone(client.poll())
            held = self.held(daemon)
            gpu.set(foreign_bytes=1018 * MIB)  # the load has its memory, so it goes on
            gpu.set(copy_rate=0)
            self.assertEqual(0, client.wait(60), client.stderr.read())
            self.assertEqual(held, self.held(daemon))
            self.assertTrue(self.text(daemon))
            client.stdout.close()
            client.stderr.close()
            daemon.ctl_ok("unload", "demo")
            self.assertEqual(0, self.held(daemon))
            result = load(daemon)  # and the next finds no room
            self.assertEqual(6, result.returncode, result.stderr)
            self.assertEqual(0, self.held(daemon))

    def lose(self, within_seconds, device, **how):
        with gpu_daemon(device) as (daemon, gpu):
            self.assertEqual(0, load(daemon).returncode)
            client = daemon.start_ctl("generate", "demo", "--ignore-end", "--max-tokens", 200,
                                      PROMPT)
            if not client.stdout.read(1):  # in the middle of its stream
                self.fail(client.stderr.read())
            started = time.monotonic()
            gpu.set(**how)
            self.assertNotEqual(0, client.wait(60))
            self.assertLess(time.monotonic() - started, within_seconds)
            said = client.stderr.read()
            client.stdout.close()
            client.stderr.close()
            self.assertIn("device hip:0 is lost", said)
            # Later turns fail at once, for the same reason; the daemon lives.
            again = daemon.ctl("generate", "demo", PROMPT)
            self.assertNotEqual(0, again.returncode)
            self.assertIn("device hip:0 is lost", again.stderr)
            self.assertEqual(0, daemon.ctl("status").returncode)
            # The books: the model can go, and nothing is held then.
            daemon.ctl_ok("unload", "demo")
            self.assertEqual(0, self.held(daemon))
            refused = load(daemon)
            self.assertNotEqual(0, refused.returncode)
            self.assertEqual(0, self.held(daemon))
            # The CPU still serves.
            self.assertEqual(0, load(daemon, "cpu").returncode)
            self.assertTrue(self.text(daemon))

    def test_a_gpu_that_is_lost_mid_stream(self):
        self.lose(15, "gpu_hang_limit: 1m", lose_at_launch=0)

    def test_a_gpu_that_hangs_mid_stream(self):
        # Longer than the default: an emulated step takes seconds where others use the machine.
        self.lose(25, "gpu_hang_limit: 15s", hang_at_launch=0)


if __name__ == "__main__":
    unittest.main()
