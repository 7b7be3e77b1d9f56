"""What forged tells Prometheus, over HTTP, while it works and while clients misbehave."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from harness import DEMO_MODEL, FORGED, Daemon, wait_until


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self.path))


class MetricsDaemon(Daemon):
    """A daemon that tells metrics at a port of its own."""

    def __init__(self, *model_dirs, config="", args=()):
        self.port = free_port()
        super().__init__(*model_dirs, config=config or None,
                         args=["--metrics-listen", f"127.0.0.1:{self.port}", *args])

    def page(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 200:
            raise AssertionError(f"{answer.status}: {text}")
        return text

    def samples(self):
        """{(name, ((label, value), ...)): value}, as Prometheus' own parser reads the page."""
        return samples_of(self.page())

    def value(self, name, **labels):
        return self.samples().get((name, tuple(sorted(labels.items()))))

    def await_value(self, expected, name, **labels):
        wait_until(lambda: self.value(name, **labels) == expected, 10)


def samples_of(text):
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            if key in samples:
                raise AssertionError(f"{key} is there twice")
            samples[key] = sample.value
    return samples


def counters_of(text):
    """The samples that may only grow."""
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text) if family.type in ("counter", "histogram")
            for sample in family.samples}


class MetricsTest(unittest.TestCase):
    def assert_grown(self, before, after):
        for sample, value in before.items():
            self.assertIn(sample, after)
            self.assertGreaterEqual(after[sample], value, sample)

    def test_is_off_by_default(self):
        with Daemon() as daemon:
            tables = Path(f"/proc/{daemon.process.pid}/net/tcp").read_text()
            inodes = {os.readlink(link) for link in Path(f"/proc/{daemon.process.pid}/fd").iterdir()}
            listening = [line.split()[9] for line in tables.splitlines()[1:] if line.split()[3] == "0A"]
            self.assertFalse([inode for inode in listening if f"socket:[{inode}]" in inodes])
            self.assertNotIn("metrics are told", daemon.log())

    def test_tells_what_an_answer_took(self):
        with MetricsDaemon() as daemon:
            daemon.ctl_ok("load", "demo")
            events = [json.loads(line) for line in daemon.ctl_ok(
                "generate", "demo", "-o", "json", "--ignore-end", "--max-tokens", 30, "Hello!").splitlines()]
            usage = events[-1]["finished"]["usage"]
            daemon.await_value(1, "forge_request_duration_seconds_count", model="demo", outcome="completed")
            value = lambda name: daemon.value(name, model="demo")
            self.assertEqual(30, value("forge_generation_tokens_total"))
            self.assertEqual(int(usage["promptTokens"]), value("forge_prompt_tokens_total"))
            self.assertEqual(int(usage.get("draftedTokens", 0)), value("forge_drafted_tokens_total"))
            self.assertEqual(int(usage.get("acceptedTokens", 0)), value("forge_accepted_tokens_total"))
            self.assertEqual(1, value("forge_time_to_first_token_seconds_count"))
            whole = daemon.value("forge_request_duration_seconds_sum", model="demo", outcome="completed")
            parts = sum(value(f"forge_{part}_seconds_sum") for part in ("queue", "prefill", "decode"))
            self.assertGreaterEqual(whole, parts)
            self.assertGreater(parts, 0)
            self.assertAlmostEqual(value("forge_decode_seconds_sum") / 29,
                                   value("forge_time_per_output_token_seconds_sum"), 6)
            self.assertAlmostEqual(time.time(), daemon.value("forge_start_time_seconds"), delta=60)

    def test_tells_who_runs_and_how_full_the_cache_is_while_it_is_used(self):
        with MetricsDaemon() as daemon:
            daemon.ctl_ok("load", "demo", "--parallel", 1, "--context", 1024)
            self.assertEqual(0, daemon.value("forge_kv_usage_ratio", model="demo"))
            # An answer may take less than a tenth of a second: enough of them for all that is looked at.
            clients = [daemon.start_ctl("generate", "demo", "-o", "json", "--ignore-end", "Tell me a story.",
                                        stdout=subprocess.DEVNULL)
                       for _ in range(24)]
            daemon.await_value(1, "forge_requests_running", model="demo")
            wait_until(lambda: 1 <= daemon.value("forge_requests_waiting", model="demo") < len(clients), 10)
            wait_until(lambda: 0 < daemon.value("forge_kv_usage_ratio", model="demo") <= 1, 10)
            before = daemon.value("forge_generation_tokens_total", model="demo")
            wait_until(lambda: daemon.value("forge_generation_tokens_total", model="demo") > before, 10)
            for client in clients:
                client.kill()
                client.communicate()
            daemon.await_value(0, "forge_requests_running", model="demo")
            daemon.await_value(0, "forge_requests_waiting", model="demo")
            daemon.await_value(0, "forge_kv_usage_ratio", model="demo")

    def test_memory_sums_up_and_agrees_with_forgectl(self):
        with MetricsDaemon() as daemon:
            daemon.ctl_ok("load", "demo")
            daemon.await_value(1, "forge_models_resident")
            samples = daemon.samples()
            of = {what: samples[f"forge_memory_{what}_bytes", (("device", "cpu"),)]
                  for what in ("total", "free", "own", "foreign", "reserved", "budget")}
            self.assertAlmostEqual(of["total"], of["own"] + of["foreign"] + of["free"], delta=of["total"] / 100)
            memory = daemon.memory()
            self.assertEqual(int(memory["allocatedBytes"]), of["own"])
            self.assertEqual(int(memory["reservedBytes"]), of["reserved"])
            self.assertEqual(int(memory["totalBytes"]), of["total"])
            self.assertGreater(of["budget"], of["reserved"])
            daemon.ctl_ok("unload", "demo")
            daemon.await_value(0, "forge_memory_own_bytes", device="cpu")

    def test_counters_only_grow_over_loads_answers_refusals_and_evictions(self):
        with tempfile.TemporaryDirectory() as models:
            for name in ("one", "two"):
                shutil.copy(DEMO_MODEL, Path(models, f"{name}.gguf"))
            Path(models, "broken.gguf").write_bytes(b"GGUF" + bytes(100))
            probe = subprocess.run([FORGED, "--print-config"], capture_output=True, text=True, check=True)
            self.assertIn("metrics_listen: none", probe.stdout)
            with MetricsDaemon(models, config="memory: {cap: 16MiB}\nresidency: {min_residence: 0ms}\n") as daemon:
                before, first = counters_of(daemon.page()), None
                for turn in range(4):
                    model = ("one", "two")[turn % 2]
                    daemon.ctl_ok("load", model, "--context", 512, "--parallel", 4)
                    daemon.ctl_ok("generate", model, "--max-tokens", 5, "Hello!")
                    self.assertNotEqual(0, daemon.ctl("load", "broken").returncode)
                    self.assertNotEqual(0, daemon.ctl("generate", "no-such-model", "Hello!").returncode)
                    time.sleep(0.15)  # a page is made anew after 100 ms
                    after = counters_of(daemon.page())
                    self.assert_grown(before, after)
                    first = first or {name for name, _ in after}
                    before = after
                daemon.await_value(4, "forge_rejected_total", reason="MODEL_NOT_FOUND")
                self.assertEqual(4, daemon.value("forge_model_loads_total", result="loaded"))
                self.assertEqual(4, daemon.value("forge_model_loads_total", result="failed"))
                self.assertEqual(3, daemon.value("forge_evictions_total", reason="evicted"))
                self.assertEqual(
                    daemon.value("forge_models_resident"),
                    4 - sum(value for (name, _), value in daemon.samples().items()
                            if name == "forge_evictions_total"))
                self.assertFalse([key for key in daemon.samples() if "no-such-model" in str(key)])

    def test_serves_a_unix_socket_with_the_permissions_of_the_other(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "metrics.sock")
            config = f"metrics_listen: unix://{path}\nsocket_mode: '0600'\n"
            with Daemon(config=config) as daemon:
                self.assertEqual(0o600, path.stat().st_mode & 0o777)
                connection = UnixConnection(path)
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
                connection.close()
                self.assertEqual(0, samples_of(text)[("forge_models_resident", ())])
                daemon.ctl_ok("status")
            self.assertFalse(path.exists())

    def test_does_not_start_where_its_address_is_taken(self):
        with MetricsDaemon() as first, tempfile.TemporaryDirectory() as folder:
            other = Path(folder, "forge.sock")
            result = subprocess.run([FORGED, "--listen", f"unix://{other}", "--metrics-listen",
                                     f"127.0.0.1:{first.port}"], capture_output=True, text=True, timeout=20)
            self.assertEqual(1, result.returncode, result.stderr)
            self.assertIn(f"forged: metrics_listen: cannot listen on 127.0.0.1:{first.port}: "
                          "Address already in use; choose another address with --metrics-listen", result.stderr)
            self.assertFalse(other.exists())
            self.assertIsNotNone(first.value("forge_models_resident"))

    def test_refuses_addresses_that_others_reach(self):
        for address in ("0.0.0.0:9464", "192.168.1.7:9464", "[::]:9464", "127.0.0.1", "metrics.sock"):
            result = subprocess.run([FORGED, "--check-config", "--metrics-listen", address],
                                    capture_output=True, text=True, timeout=20)
            self.assertEqual(2, result.returncode, address)
            self.assertIn(f"--metrics-listen is '{address}', but must be none, a loopback host", result.stderr)

    def test_clients_that_misbehave_harm_nobody(self):
        with MetricsDaemon() as daemon:
            daemon.ctl_ok("load", "demo")
            silent = [socket.create_connection(("127.0.0.1", daemon.port)) for _ in range(40)]
            try:
                big = socket.create_connection(("127.0.0.1", daemon.port))
                threading.Thread(target=self.pour_into, args=(big,), daemon=True).start()
                start = time.monotonic()
                daemon.ctl_ok("generate", "demo", "--max-tokens", 5, "Hello!")
                self.assertLess(time.monotonic() - start, 5)
                descriptors = len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
                self.assertLess(descriptors, 80)
                # Those who send nothing are cut off, so that there is room again.
                wait_until(lambda: self.is_answered(daemon), 20)
                big.close()
            finally:
                for connection in silent:
                    connection.close()

    def is_answered(self, daemon):
        try:
            return daemon.value("forge_models_resident") == 1
        except OSError:
            return False
        except http.client.HTTPException:
            return False

    def pour_into(self, connection):
        try:
            while True:
                connection.sendall(b"GET /metrics HTTP/1.1\r\n" * 1000)
        except OSError:
            pass


if __name__ == "__main__":
    unittest.main()
