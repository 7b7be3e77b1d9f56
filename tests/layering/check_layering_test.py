#!/usr/bin/env python3
"""check_layering.py must find what it is there to find."""

import tempfile
import unittest
from pathlib import Path

from check_layering import violations


class CheckLayeringTest(unittest.TestCase):
    def found(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in files.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(violations(root))

    def test_allows_the_direction_of_dependencies(self):
        self.assertEqual([], self.found({
            "engine/model/a.h": '#include "engine/gguf/b.h"\n#include <vector>\n',
            "engine/gguf/b.h": '#include "kernels/base/c.h"\n',
            "kernels/base/c.h": "",
        }))

    def test_finds_kernels_that_know_the_engine(self):
        self.assertEqual(1, len(self.found({"kernels/cpu/a.cpp": '#include "engine/arch/b.h"\n'})))

    def test_finds_an_engine_that_sees_protobuf(self):
        self.assertEqual(1, len(self.found({"engine/runtime/a.h": "#include <forge/v1/forge.pb.h>\n"})))

    def test_finds_a_client_that_links_the_engine(self):
        self.assertEqual(1, len(self.found({"client/a.cpp": '#include "engine/runtime/engine.h"\n'})))

    def test_finds_a_gateway_that_knows_more_than_the_wire_and_the_connection(self):
        for allowed in ("client/connection.h", "client/failure.h", "kernels/base/status.h", "forge/v1/forge.pb.h"):
            self.assertEqual([], self.found({"gateway/a.cpp": f'#include "{allowed}"\n'}), allowed)
        for forbidden in ("engine/runtime/engine.h", "daemon/rpc/status_map.h", "client/commands/command.h"):
            self.assertEqual(1, len(self.found({"gateway/a.cpp": f'#include "{forbidden}"\n'})), forbidden)
        self.assertEqual(1, len(self.found({"gateway/http/a.h": "#include <forge/v1/forge.pb.h>\n"})))

    def test_finds_a_daemon_that_looks_behind_the_facade(self):
        self.assertEqual([], self.found({"daemon/rpc/a.h": '#include "engine/runtime/engine.h"\n'}))
        self.assertEqual(1, len(self.found({"daemon/rpc/a.h": '#include "engine/model/model.h"\n'})))

    def test_finds_files_that_are_too_long(self):
        self.assertEqual(1, len(self.found({"kernels/base/a.h": "\n" * 501})))

    def test_finds_folders_without_a_rule(self):
        self.assertEqual(1, len(self.found({"engine/utils/a.h": ""})))

    def test_finds_pages_that_name_missing_files(self):
        self.assertEqual(1, len(self.found({"README.md": "see `engine/gone.h`\n"})))


if __name__ == "__main__":
    unittest.main()
