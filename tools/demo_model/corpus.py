"""Generates the training text: conversations drawn from the grammar, reproducible from a seed.

A conversation is a list of (role, content). `render_chatml` does what the model's own chat template does.
"""

import random

from grammar import article, capitalise, expand
from questions import draw_question, random_end
from stories import BOYS, GIRLS, RARE_BOYS, RARE_GIRLS, draw_story, made_up_noun

SYSTEM_PROMPTS = [
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are the demo model of Forge.",
    "Answer briefly.",
    "You are a friendly storyteller.",
    "Be kind and brief.",
    "You are Forge Demo, a very small language model.",
    "You are a helpful, honest and harmless assistant.",
    "You write stories for children.",
    "Answer in English.",
]

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"


def render_chatml(messages, add_generation_prompt=False):
    text = "".join(f"{IM_START}{role}\n{content}{IM_END}\n" for role, content in messages)
    return text + (f"{IM_START}assistant\n" if add_generation_prompt else "")


def _story_questions(rng, story):
    """Returns (question, answer) pairs that the story answers."""
    hero, helper = story.hero, story.helper
    him = "her" if hero.female else "him"
    return [
        (
            expand(
                rng,
                "[What was the name of the {c}|What is the name of the {c}|What was the {c} called|Who was the {c}]?",
                {"c": hero.noun},
            ),
            f"The {hero.noun} was called {hero.name}.",
        ),
        (
            expand(rng, "[Who was {n}|Who is {n}]?", {"n": helper.name}),
            f"{helper.name} was {article(helper.noun)} and became a friend of {hero.name}.",
        ),
        (
            expand(rng, "[Who was {n}|Who is {n}|What was {n}]?", {"n": hero.name}),
            f"{hero.name} was {article(hero.adjective)} {hero.noun}, who lived {story.home}.",
        ),
        (
            expand(
                rng,
                "[Where did {n} live|Where does {n} live|Where did the {c} live]?",
                {"n": hero.name, "c": hero.noun},
            ),
            f"{hero.name} lived {story.home}.",
        ),
        (
            expand(
                rng,
                (
                    "[What is the moral|What is the moral of the story|What can we learn from it|What does the story"
                    " teach us|What did you want to say]?"
                ),
            ),
            f"The moral is that {story.moral}.",
        ),
        (
            expand(
                rng,
                (
                    "[What was the story about|Can you sum it up|Summarise the story|Sum up the story|Tell it again"
                    " in one sentence|Make it shorter|What happened in the story|Shorter, please]{e}"
                ),
                {"e": rng.choice("?.")},
            ),
            f"In short: {story.summary}.",
        ),
        (
            expand(
                rng,
                "[Did {n} have a friend|Who was the friend of {n}|Who was with {n}|Who did {n} meet]?",
                {"n": hero.name},
            ),
            f"{hero.name} had a friend named {helper.name}, who was {article(helper.noun)}.",
        ),
        (
            expand(
                rng,
                "[What happened then|What happened next|And then|Then what|Go on|Continue|What happened after that]?",
            ),
            (
                f"After that, {hero.name} and {helper.name} lived happily, and they often talked about that day."
                f" {hero.name} never felt alone again, because {helper.name} was always close to {him}."
            ),
        ),
    ]


_ANOTHER = [
    (
        "[Tell me another one|Another one|One more|Tell me another story|Another story|Once more|One more story|Tell"
        " me one more|Tell me a different one|Again|And another one|Can I hear another one|Do you have another"
        " one|Tell another][{end}|, please{end}]"
    ),
    (
        "[Thanks, tell me another one|Nice, another one|That was nice, tell me another one|I want another story|I"
        " would like another one]{end}"
    ),
]


def _story_turns(rng, settle):
    request, story = draw_story(rng, settle)
    turns = [(request, story.text)]
    while rng.random() < 0.42 and len(turns) < 5:
        if rng.random() < 0.35:
            wish = expand(rng, rng.choice(_ANOTHER), {"end": random_end(rng)})
            _, story = draw_story(rng, settle)
            turns.append((wish, story.text))
        else:
            turns.append(rng.choice(_story_questions(rng, story)))
    return turns


def _named_turns(rng, settle):
    name = rng.choice(GIRLS + BOYS + RARE_GIRLS + RARE_BOYS)
    if rng.random() < 0.1:
        name = capitalise(made_up_noun(rng))
    turns = [
        (
            expand(
                rng,
                (
                    "[My name is {n}|I am {n}|I'm {n}|Hello, my name is {n}|Hi, I am {n}|You can call me {n}|Hi! My"
                    " name is {n}]{end}"
                ),
                {"n": name, "end": random_end(rng)},
            ),
            expand(
                rng,
                (
                    "[Nice to meet you|Hello|It is nice to meet you], {n}! [I am the demo model of Forge.|Shall I"
                    " tell you a story?|What would you like to hear?]"
                ),
                {"n": name},
            ),
        )
    ]
    if rng.random() < 0.5:
        turns.append(draw_question(rng, settle))
    turns.append(
        (
            expand(rng, "[What is my name|What's my name|Do you know my name|Who am I|Do you remember my name]?"),
            f"Your name is {name}.",
        )
    )
    return turns


def _vary(rng, text):
    """Returns the user's words as people type them: lower case, without the full stop, with a slip now and then."""
    text = text.strip()
    if rng.random() < 0.04:
        text = rng.choice(("Hi! ", "Hello, ", "Hey, ", "Please: ", "OK, ", "So, ")) + text
    if rng.random() < 0.04 and text.endswith((".", "!")):
        text = text[:-1] + ", please."
    if rng.random() < 0.22:
        text = text.lower()
    if rng.random() < 0.22:
        text = text.rstrip(".!?") or text
    if rng.random() < 0.03 and len(text) > 8:
        at = rng.randrange(2, len(text) - 2)
        text = text[:at] + rng.choice(
            (text[at + 1] + text[at] + text[at + 2 :], text[at + 1 :], text[at] * 2 + text[at + 1 :])
        )
    if rng.random() < 0.015:
        text = text.upper()
    return text


def draw_document(rng, settle=False):
    """Returns a list of messages, or a plain text (a story without a chat around it)."""
    kind = rng.random()
    if kind < 0.04:
        return draw_story(rng, settle)[1].text
    if kind < 0.42:
        turns = _story_turns(rng, settle)
    elif kind < 0.45:
        turns = _named_turns(rng, settle)
    else:
        turns = [draw_question(rng, settle)]
        while rng.random() < 0.3 and len(turns) < 6:
            turns += _story_turns(rng, settle)[:2] if rng.random() < 0.2 else [draw_question(rng, settle)]
    messages = []
    if rng.random() < 0.25:
        messages.append(("system", rng.choice(SYSTEM_PROMPTS)))
    for question, answer in turns:
        messages += [("user", _vary(rng, question)), ("assistant", answer)]
    return messages


def documents(seed, count, settle=False):
    """Returns `count` documents; those of the second stage of the training if `settle` (see README.md)."""
    rng = random.Random(seed)
    return [draw_document(rng, settle) for _ in range(count)]


if __name__ == "__main__":
    for document in documents(seed=7, count=25):
        print(document if isinstance(document, str) else render_chatml(document), end="\n----\n")
