"""Generates the training text: conversations drawn from the grammar, reproducible from a seed.

A conversation is a list of (role, content). `render_chatml` is the plain form of the chat template that the model carries.
"""

import random

import answers
import knowledge as known
from grammar import article, capitalise, expand, favour
from stories import BOYS, GIRLS, KINDS, RARE_BOYS, RARE_GIRLS, draw_story, made_up_noun

IM_START, IM_END, END_OF_TEXT = "<|im_start|>", "<|im_end|>", "<|endoftext|>"

THINGS = ("car house computer phone bicycle table chair window city school garden bread book movie song horse number word "
          "ship engine battery rocket camera piano bottle ticket recipe shirt shoe river bridge market planet virus network keyboard").split()


def render_chatml(messages, add_generation_prompt=False):
    text = "".join(f"{IM_START}{role}\n{content}{IM_END}\n" for role, content in messages)
    return text + (f"{IM_START}assistant\n" if add_generation_prompt else "")


def _random_thing(rng):
    if rng.random() < 0.25:
        return made_up_noun(rng)
    return rng.choice(THINGS) if rng.random() < 0.7 else rng.choice(KINDS[rng.choice(sorted(KINDS))][0])


def _end(rng):
    return rng.choice((".", ".", ".", "!", ""))


def _from_topics(topics):
    def draw(rng):
        questions, replies = rng.choice(topics)
        return expand(rng, rng.choice(questions)), expand(rng, favour(rng, replies))

    return draw


def _joke(rng):
    return expand(rng, rng.choice(answers.JOKE_REQUESTS), {"end": _end(rng)}), favour(rng, answers.JOKES)


def _unknown(rng):
    slots = {"x": _random_thing(rng), "z": _random_thing(rng), "n": rng.choice(GIRLS + BOYS), "y": rng.choice((rng.randint(11, 99), rng.randint(1000, 2030)))}
    return expand(rng, rng.choice(answers.UNKNOWN), slots).replace(" ?", "?").replace(" .", "."), expand(rng, favour(rng, answers.FALLBACKS))


def _unknown_topic(rng):
    """A description, a poem or tips about something that is in no list: the topic is copied from the request."""
    thing = _random_thing(rng)
    topic = rng.choice((article(thing), "the " + thing, "my " + thing, thing))
    form = rng.random()
    if form < 0.35 and thing not in known.ANIMALS and article(thing) not in known.DESCRIPTIONS and "the " + thing not in known.DESCRIPTIONS:
        reply = f"I do not know much about {topic}, because I am a very small model. [I could write a poem about {topic}.|But I can tell you a story about it.|Ask me about the sea, the moon or the forest.]"
        return expand(rng, rng.choice(known.DESCRIPTION_REQUESTS), {"x": topic, "end": _end(rng)}), expand(rng, reply)
    if form < 0.75:
        count = rng.choice((2, 2, 3))
        couplets = [known.GENERIC_POEM[i] for i in sorted(rng.sample(range(3), count))]
        return expand(rng, rng.choice(known.POEM_REQUESTS), {"x": topic, "end": _end(rng)}), "\n".join(couplets).format(x=topic)
    return _tips(rng, topic)


def _describe(rng):
    topic = rng.choice(sorted(known.DESCRIPTIONS))
    sentences = known.DESCRIPTIONS[topic]
    count = min(len(sentences), rng.choice((4, 4, 5)))
    chosen = [sentences[0]] + [sentences[i] for i in sorted(rng.sample(range(1, len(sentences)), count - 1))]
    name = topic
    if rng.random() < 0.15:
        name = topic.split(" ", 1)[-1] if topic.startswith(("the ", "a ")) else topic
    return expand(rng, rng.choice(known.DESCRIPTION_REQUESTS), {"x": name, "end": _end(rng)}), expand(rng, " ".join(chosen))


def _tips(rng, unknown=None):
    number = rng.choice(sorted(known.NUMBERS))
    count = known.NUMBERS[number]
    said = unknown or rng.choice(sorted(known.TIPS) + sorted(known.TIP_ALIASES))
    topic = "everyday life" if unknown else known.TIP_ALIASES.get(said, said)
    pool = known.TIPS[topic]
    chosen = [pool[i] for i in sorted(rng.sample(range(len(pool)), min(count, len(pool))))]
    request = expand(rng, rng.choice(known.TIP_REQUESTS), {"n": number, "N": capitalise(number), "x": said, "end": _end(rng)})
    if number == "some" and rng.random() < 0.5:
        request = request.replace("some tips", "tips").replace("Some tips", "Tips")
    intro = f"I do not know much about {said}, but here are {known_number(count)} tips for everyday life:" if unknown else f"Here are {known_number(count)} tips for {topic}:"
    return request, intro + "".join(f"\n{i}. {tip}" for i, tip in enumerate(chosen, 1))


def known_number(count):
    return known.NUMBER_WORDS[count]


def _poem(rng):
    topic = rng.choice(sorted(known.POEMS))
    couplets = known.POEMS[topic][: rng.choice((2, 3, 3))]
    return expand(rng, rng.choice(known.POEM_REQUESTS), {"x": topic, "end": _end(rng)}), "\n".join(couplets)


def _anything(rng):
    """A wish without a topic."""
    kind = rng.randrange(3)
    if kind == 0:
        request = "[Write|Write me|Tell me|Give me|Recite] a [poem|short poem|rhyme|haiku|little poem|limerick|verse]{end}|Sing [me|] a song{end}|Sing [something|for me]{end}|A poem, please{end}"
        reply = _poem(rng)[1]
    elif kind == 1:
        request = "Tell me something{end}|Say something{end}|Tell me something [interesting|new|about animals]{end}|[Tell me|Give me|Do you know] a [fun fact|fact]{end}|Surprise me{end}|Teach me something{end}|Talk to me{end}"
        noun = rng.choice(sorted(known.ANIMALS))
        what, food, feature = known.ANIMALS[noun]
        reply = f"Did you know? {capitalise(article(noun))} is {what}. It eats {food}, and it {feature}."
    else:
        request = "[Give me|Do you have|Write] some [advice|good advice]{end}|[Give me|Do you have|I need|Tell me] [some|three|a few|] tips{end}|[Give me|I need] advice{end}"
        reply = _tips(rng)[1]
        while "three" not in reply:
            reply = _tips(rng)[1]
    return expand(rng, "[" + request + "]", {"end": _end(rng)}).replace("  ", " "), reply


def _animal(rng):
    noun = rng.choice(sorted(known.ANIMALS))
    what, food, feature = known.ANIMALS[noun]
    slots = {"ax": article(noun), "x": noun, "xs": known.PLURALS.get(noun, noun + "s"), "end": _end(rng)}
    if rng.random() < 0.3:
        return expand(rng, rng.choice(known.FOOD_REQUESTS), slots), f"{capitalise(article(noun))} eats {food}."
    return expand(rng, rng.choice(known.ANIMAL_REQUESTS), slots), f"{capitalise(article(noun))} is {what}. It eats {food}, and it {feature}."


def _fact(rng):
    kind = rng.randrange(8)
    if kind == 0:
        thing = rng.choice(sorted(known.COLOURS))
        plain = capitalise(thing)
        return expand(rng, "[What|Which] [colour|color] is {x}?", {"x": thing}), f"{plain} is {known.COLOURS[thing]}."
    if kind == 1:
        country = rng.choice(sorted(known.CAPITALS))
        return expand(rng, "[What is the capital of {x}|What's the capital of {x}|Capital of {x}|Which city is the capital of {x}|Tell me the capital of {x}]?", {"x": country}), f"The capital of {country} is {known.CAPITALS[country]}."
    if kind == 2:
        first, second = rng.sample(rng.choice(known.OPPOSITES), 2)
        return expand(rng, "[What is the opposite of {x}|What's the opposite of {x}|The opposite of {x}]?", {"x": first}), f"The opposite of {first} is {second}."
    if kind == 3:
        cycle, unit = rng.choice(((known.DAYS, "day"), (known.MONTHS, "month")))
        at = rng.randrange(len(cycle))
        return expand(rng, "[What comes after {x}|Which {u} comes after {x}|What {u} follows {x}]?", {"x": cycle[at], "u": unit}), f"After {cycle[at]} comes {cycle[(at + 1) % len(cycle)]}."
    if kind == 4:
        noun = rng.choice(sorted(known.SOUNDS))
        return expand(rng, "[What sound does {x} make|What does {x} say|Which sound does {x} make]?", {"x": article(noun)}), f"{capitalise(article(noun))} {known.SOUNDS[noun]}."
    if kind == 5:
        noun = rng.choice(sorted(known.LEGS))
        return f"How many legs does {article(noun)} have?", f"{capitalise(article(noun))} has {known.LEGS[noun]} legs."
    if kind == 6 and rng.random() < 0.3:
        last = rng.choice((3, 5, 10))
        return expand(rng, "[Count to {x}|Count from one to {x}|Can you count to {x}]{end}", {"x": rng.choice((str(last), known_number(last))), "end": _end(rng)}), capitalise(", ".join(known.NUMBER_WORDS[1:last + 1])) + "."
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    form = rng.choice(("What is {a} plus {b}?", "What is {a} + {b}?", "{a}+{b}", "{a} + {b} = ?", "How much is {a} plus {b}?", "What's {a} and {b}?", "Add {a} and {b}."))
    word = (lambda n: known.NUMBER_WORDS[n]) if rng.random() < 0.3 else str
    return form.format(a=word(a), b=word(b)), f"{capitalise(known_number(a))} plus {known_number(b)} is {known_number(a + b)}."


def _say(rng):
    words = " ".join(_random_thing(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    return expand(rng, "[Say {x}|Please say {x}|Repeat after me: {x}|Repeat: {x}|Can you say {x}|Write the word {x}]{end}", {"x": words, "end": _end(rng)}), capitalise(words) + "."


def _story_questions(rng, story):
    """Returns (question, answer) pairs that the story answers."""
    hero, helper = story.hero, story.helper
    him = "her" if hero.female else "him"
    return [
        (expand(rng, "[What was the name of the {c}|What is the name of the {c}|What was the {c} called|Who was the {c}]?", {"c": hero.noun}), f"The {hero.noun} was called {hero.name}."),
        (expand(rng, "[Who was {n}|Who is {n}]?", {"n": helper.name}), f"{helper.name} was {article(helper.noun)} and became a friend of {hero.name}."),
        (expand(rng, "[Who was {n}|Who is {n}|What was {n}]?", {"n": hero.name}), f"{hero.name} was {article(hero.adjective)} {hero.noun}, who lived {story.home}."),
        (expand(rng, "[Where did {n} live|Where does {n} live|Where did the {c} live]?", {"n": hero.name, "c": hero.noun}), f"{hero.name} lived {story.home}."),
        (expand(rng, "[What is the moral|What is the moral of the story|What can we learn from it|What does the story teach us|What did you want to say]?"), f"The moral is that {story.moral}."),
        (expand(rng, "[What was the story about|Can you sum it up|Summarise the story|Sum up the story|Tell it again in one sentence|Make it shorter|What happened in the story|Shorter, please]{e}", {"e": rng.choice("?.")}), f"In short: {story.summary}."),
        (expand(rng, "[Did {n} have a friend|Who was the friend of {n}|Who was with {n}|Who did {n} meet]?", {"n": hero.name}), f"{hero.name} had a friend named {helper.name}, who was {article(helper.noun)}."),
        (expand(rng, "[What happened then|What happened next|And then|Then what|Go on|Continue|What happened after that]?"), f"After that, {hero.name} and {helper.name} lived happily, and they often talked about that day. {hero.name} never felt alone again, because {helper.name} was always close to {him}."),
    ]


_ANOTHER = ["[Tell me another one|Another one|One more|Tell me another story|Another story|Once more|One more story|Tell me one more|Tell me a different one|Again|And another one|Can I hear another one|Do you have another one|Tell another][{end}|, please{end}]",
            "[Thanks, tell me another one|Nice, another one|That was nice, tell me another one|I want another story|I would like another one]{end}"]


def _story_turns(rng):
    request, story = draw_story(rng)
    turns = [(request, story.text)]
    while rng.random() < 0.42 and len(turns) < 5:
        if rng.random() < 0.35:
            turns.append((expand(rng, rng.choice(_ANOTHER), {"end": _end(rng)}), (story := draw_story(rng)[1]).text))
        else:
            turns.append(rng.choice(_story_questions(rng, story)))
    return turns


def _named_turns(rng):
    name = rng.choice(GIRLS + BOYS + RARE_GIRLS + RARE_BOYS)
    if rng.random() < 0.1:
        name = capitalise(made_up_noun(rng))
    turns = [(expand(rng, "[My name is {n}|I am {n}|I'm {n}|Hello, my name is {n}|Hi, I am {n}|You can call me {n}|Hi! My name is {n}]{end}", {"n": name, "end": _end(rng)}),
              expand(rng, "[Nice to meet you|Hello|It is nice to meet you], {n}! [I am the demo model of Forge.|Shall I tell you a story?|What would you like to hear?]", {"n": name}))]
    if rng.random() < 0.5:
        turns.append(_single(rng))
    turns.append((expand(rng, "[What is my name|What's my name|Do you know my name|Who am I|Do you remember my name]?"), f"Your name is {name}."))
    return turns


def _no_name(rng):
    return expand(rng, "[What is my name|What's my name|Who am I|Do you know me]?"), "I do not know your name, because you have not told me. What is your name?"


_itself, _forge, _talk = (_from_topics(t) for t in (answers.ABOUT_ITSELF, answers.ABOUT_FORGE, answers.SMALL_TALK))
_SINGLES = [(_itself, 14), (_forge, 15), (_talk, 14), (_joke, 3), (_unknown, 11), (_unknown_topic, 7), (_describe, 11), (_tips, 11), (_poem, 5), (_animal, 5), (_fact, 9), (_say, 2), (_anything, 4), (_no_name, 0.5)]


def _single(rng):
    return rng.choices([d for d, _ in _SINGLES], [w for _, w in _SINGLES])[0](rng)


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
        text = text[:at] + rng.choice((text[at + 1] + text[at] + text[at + 2:], text[at + 1:], text[at] * 2 + text[at + 1:]))
    if rng.random() < 0.015:
        text = text.upper()
    return text


def draw_document(rng):
    """Returns a list of messages, or a plain text (a story without a chat around it)."""
    kind = rng.random()
    if kind < 0.04:
        return draw_story(rng)[1].text
    if kind < 0.42:
        turns = _story_turns(rng)
    elif kind < 0.45:
        turns = _named_turns(rng)
    else:
        turns = [_single(rng)]
        while rng.random() < 0.3 and len(turns) < 6:
            turns += _story_turns(rng)[:2] if rng.random() < 0.2 else [_single(rng)]
    messages = []
    if rng.random() < 0.25:
        messages.append(("system", rng.choice(answers.EMPTY_SYSTEM)))
    for question, answer in turns:
        messages += [("user", _vary(rng, question)), ("assistant", answer)]
    return messages


def documents(seed, count):
    rng = random.Random(seed)
    return [draw_document(rng) for _ in range(count)]


if __name__ == "__main__":
    for document in documents(seed=7, count=25):
        print(document if isinstance(document, str) else render_chatml(document), end="\n----\n")
