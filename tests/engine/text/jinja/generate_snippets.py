#!/usr/bin/env python3
"""Writes snippets.json: what Jinja2 itself makes of the templates in snippets.txt.

The environment is the one in which Hugging Face's apply_chat_template renders. Needs python3-jinja2.
Usage: generate_snippets.py, then review the difference of snippets.json.
"""

import json
from datetime import datetime
from pathlib import Path

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

FOLDER = Path(__file__).parent
NOW = datetime(2025, 1, 2, 3, 4, 5)

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a <city> & \"more\"",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "Größe 日本"}}, "required": ["city"]}}}]
CONTEXT = {
    "messages": [
        {"role": "system", "content": "Be brief. "},
        {"role": "user", "content": " Hi\n"},
        {"role": "assistant", "content": "Hello!", "tool_calls": [
            {"id": "call1", "type": "function",
             "function": {"name": "get_weather", "arguments": {"city": "Paris", "n": 2}}}]},
        {"role": "tool", "content": "18 C", "tool_call_id": "call1"},
        {"role": "user", "content": "<think>a</think>b"},
    ],
    "tools": TOOLS,
    "empty": [], "nothing": None, "yes": True, "no": False,
    "n": 7, "negative": -3, "x": 2.5, "big": 1e16, "tiny": 0.00001,
    "s": "Hello, World", "u": "äöü ßé 日本語", "blank": "", "spaced": "  a b\t c \n",
    "lines": "one\n\n two\nthree\n", "quote": "it's \"so\"\n\t\\ \x01 \u00a0",
    "words": ["pear", "Apple", "fig", "apple"], "numbers": [3, 1, 2, 10, -1],
    "mixed": [1, "a", None, True, 2.0, [1], {"k": 1}],
    "d": {"b": 1, "a": 2, "C": 3}, "nested": {"a": {"b": [1, {"c": "deep"}]}, "items": "key"},
    "people": [{"name": "Ann", "age": 31, "tags": ["x"]}, {"name": "bob", "age": 27},
               {"name": "Cy", "age": 31, "pet": None}],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True,
}


class Generation(jinja2.ext.Extension):
    """The tag that marks what a model wrote; it prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def main():
    env = environment()
    cases = []
    for template in (FOLDER / "snippets.txt").read_text().split("\n----\n"):
        case = {"template": template}
        try:
            case["expect"] = env.from_string(template).render(**CONTEXT)
        except Exception as error:  # whatever it raises is the expected outcome
            case["error"] = f"{type(error).__name__}: {error}"
        cases.append(case)
    text = json.dumps({"jinja2": jinja2.__version__, "now": NOW.isoformat(), "context": CONTEXT,
                       "cases": cases}, ensure_ascii=False, indent=1)
    (FOLDER / "snippets.json").write_text(text + "\n")
    failed = sum("error" in case for case in cases)
    print(f"{len(cases)} snippets, {failed} of which are errors")


if __name__ == "__main__":
    main()
