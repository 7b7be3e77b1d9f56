"""Answers of the demo model under schemas and grammars, judged by python3-jsonschema."""

import json
import tempfile
import unittest
from pathlib import Path

from harness import Daemon, answer

try:
    import jsonschema
except ImportError:  # an optional package of the tests
    jsonschema = None

SCHEMAS = [
    {"type": "object", "properties": {"name": {"type": "string", "minLength": 1, "maxLength": 20},
                                      "age": {"type": "integer", "minimum": 0, "maximum": 150},
                                      "tags": {"type": "array", "items": {"enum": ["red", "small"]},
                                               "maxItems": 3}},
     "required": ["name", "age"], "additionalProperties": False},
    {"type": "array", "items": {"type": "number", "exclusiveMinimum": -1.5, "maximum": 99.25},
     "minItems": 2, "maxItems": 5},
    {"type": "string", "pattern": "^[A-Z][a-z]{1,9}(-[A-Z][a-z]+)?$"},
    {"oneOf": [{"type": "object", "properties": {"kind": {"const": "fox"},
                                                 "colour": {"enum": ["red", "white"]}},
                "required": ["kind", "colour"]},
               {"type": "object", "properties": {"kind": {"const": "cat"},
                                                 "lives": {"type": "integer", "maximum": 9,
                                                           "minimum": 1}},
                "required": ["kind", "lives"]}]},
    {"$defs": {"node": {"type": "object",
                        "properties": {"value": {"type": ["boolean", "null"]},
                                       "next": {"$ref": "#/$defs/node"}},
                        "required": ["value"]}},
     "$ref": "#/$defs/node"},
    {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"},
                                      "id": {"type": "string", "format": "uuid"},
                                      "day": {"type": "string", "format": "date"},
                                      "mail": {"type": "string", "format": "email"},
                                      "host": {"type": "string", "format": "ipv4"}},
     "required": ["at", "id", "day", "mail", "host"]},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"a": {"minimum": 10}, "b": {"const": [1, {"x": "\u00e9\""}]}},
                "required": ["b"]}]},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}], "items": False,
     "minItems": 1},
]


@unittest.skipIf(jsonschema is None, "python3-jsonschema is not installed")
class ConstrainedOutputTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon().__enter__()
        cls.daemon.ctl_ok("load", "demo")

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()

    def ask(self, *flags):
        events = self.daemon.ctl_json("generate", "demo", "Tell me about a fox.", *flags)
        return answer(events), events[-1]["finished"]["reason"]

    def test_finished_answers_validate(self):
        finished = 0
        for schema in SCHEMAS:
            for seed in range(4):
                with self.subTest(schema=schema, seed=seed):
                    text, reason = self.ask("--json-schema", json.dumps(schema), "--seed", seed,
                                            "--max-tokens", 400)
                    if reason != "FINISH_REASON_END_OF_TEXT":
                        continue
                    finished += 1
                    jsonschema.validate(json.loads(text), schema,
                                        cls=jsonschema.Draft202012Validator,
                                        format_checker=jsonschema.FormatChecker())
        self.assertGreaterEqual(finished, len(SCHEMAS) * 4 * 0.9)

    def test_grammar_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=".gbnf") as grammar:
            grammar.write('root ::= ("yes" | "no") ", " [a-z]{3,5} "."\n')
            grammar.flush()
            text, reason = self.ask("--grammar", grammar.name, "--temperature", "0")
        self.assertRegex(text, r"^(yes|no), [a-z]{3,5}\.$")
        self.assertEqual(reason, "FINISH_REASON_END_OF_TEXT")

    def test_mistakes_are_refused(self):
        result = self.daemon.ctl("generate", "demo", "x", "--json-schema",
                                 '{"properties": {"a": {"not": {}}}}')
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("#/properties/a/not", result.stderr)
        missing = self.daemon.ctl("generate", "demo", "x", "--grammar", "/no/such/file")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("/no/such/file", missing.stderr)


if __name__ == "__main__":
    unittest.main()
