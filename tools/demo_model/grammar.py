"""Expands small text templates with a seeded random source.

A template holds choices, "[One day|One morning]", which nest, and slots, "{name}". Choices are drawn first and slots
filled last, so slot values are never read as templates.
"""

import random
import re

_INNERMOST_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")

_VOWEL_SOUND = re.compile(r"(?!(uni|use|usu|one\b|eu))[aeiou]", re.IGNORECASE)


def favour(rng, options):
    """Draws an option; the first is twice as likely as any other.

    A model that has learnt equal odds decides by rounding error which option is the greedy one. Unequal odds keep its
    greedy answers the same across number formats and machines.
    """
    return options[max(0, rng.randrange(-1, len(options)))]


def article(noun):
    """Returns the noun phrase with "a" or "an"."""
    return ("an " if _VOWEL_SOUND.match(noun) else "a ") + noun


def capitalise(text):
    return text[:1].upper() + text[1:]


def expand(rng: random.Random, template, slots=None):
    """Returns the template with every choice drawn and every slot filled."""
    while True:
        match = _INNERMOST_CHOICE.search(template)
        if match is None:
            break
        drawn = favour(rng, match.group(1).split("|"))
        template = template[: match.start()] + drawn + template[match.end() :]
    if slots:
        template = _SLOT.sub(lambda m: str(slots[m.group(1)]), template)
    return template


def read_topics(path):
    """Returns the (questions, answers) of each topic in a file: "?" begins a question, ">" an answer, a blank line
    ends a topic.
    """
    topics = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        questions = [line[2:] for line in lines if line.startswith("? ")]
        replies = [line[2:] for line in lines if line.startswith("> ")]
        if len(questions) + len(replies) != len(lines):
            raise ValueError(f"{path}: a line begins with none of '# ', '? ', '> ' in the topic {lines[0]!r}")
        if lines:
            topics.append((questions, replies))
    return topics
