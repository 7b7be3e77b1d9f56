"""Draws single questions with their answers: about the model, Forge, things, tips, poems, facts, and the unknown.

Every kind of question is a function of the random source that returns (question, answer).
"""

import pathlib

import knowledge as known
from grammar import article, capitalise, expand, favour, read_topics
from stories import BOYS, GIRLS, KINDS, made_up_noun

TEXT = pathlib.Path(__file__).parent / "text"
JOKES = read_topics(TEXT / "jokes.txt")[0]
UNKNOWN = read_topics(TEXT / "unknown.txt")[0]

THINGS = (
    "car house computer phone bicycle table chair window city school garden bread book movie song horse number word"
    " ship engine battery rocket camera piano bottle ticket recipe shirt shoe river bridge market planet virus"
    " network keyboard"
).split()


def _random_thing(rng):
    if rng.random() < 0.25:
        return made_up_noun(rng)
    return rng.choice(THINGS) if rng.random() < 0.7 else rng.choice(KINDS[rng.choice(sorted(KINDS))][0])


def random_end(rng):
    return rng.choice((".", ".", ".", "!", ""))


def _from_topics(file_name):
    topics = read_topics(TEXT / file_name)

    def draw(rng):
        questions, replies = rng.choice(topics)
        return expand(rng, rng.choice(questions)), expand(rng, favour(rng, replies))

    return draw


def _joke(rng):
    return expand(rng, rng.choice(JOKES[0]), {"end": random_end(rng)}), favour(rng, JOKES[1])


def _unknown(rng):
    slots = {
        "x": _random_thing(rng),
        "z": _random_thing(rng),
        "n": rng.choice(GIRLS + BOYS),
        "y": rng.choice((rng.randint(11, 99), rng.randint(1000, 2030))),
    }
    return expand(rng, rng.choice(UNKNOWN[0]), slots).replace(" ?", "?").replace(" .", "."), expand(
        rng, favour(rng, UNKNOWN[1])
    )


def _unknown_topic(rng):
    """A description, a poem or tips about something that is in no list: the topic is copied from the request."""
    thing = _random_thing(rng)
    topic = rng.choice((article(thing), "the " + thing, "my " + thing, thing))
    form = rng.random()
    if (
        form < 0.35
        and thing not in known.ANIMALS
        and article(thing) not in known.DESCRIPTIONS
        and "the " + thing not in known.DESCRIPTIONS
    ):
        reply = (
            f"I do not know much about {topic}, because I am a very small model. [I could write a poem about"
            f" {topic}.|But I can tell you a story about it.|Ask me about the sea, the moon or the forest.]"
        )
        return expand(rng, rng.choice(known.DESCRIPTION_REQUESTS), {"x": topic, "end": random_end(rng)}), expand(
            rng, reply
        )
    if form < 0.75:
        count = rng.choice((2, 2, 3))
        couplets = [known.GENERIC_POEM[i] for i in sorted(rng.sample(range(3), count))]
        return expand(rng, rng.choice(known.POEM_REQUESTS), {"x": topic, "end": random_end(rng)}), "\n".join(
            couplets
        ).format(x=topic)
    return _tips(rng, topic)


def _describe(rng):
    topic = rng.choice(sorted(known.DESCRIPTIONS))
    sentences = known.DESCRIPTIONS[topic]
    count = min(len(sentences), rng.choice((4, 4, 5)))
    chosen = [sentences[0]] + [sentences[i] for i in sorted(rng.sample(range(1, len(sentences)), count - 1))]
    name = topic
    if rng.random() < 0.15:
        name = topic.split(" ", 1)[-1] if topic.startswith(("the ", "a ")) else topic
    return expand(rng, rng.choice(known.DESCRIPTION_REQUESTS), {"x": name, "end": random_end(rng)}), expand(
        rng, " ".join(chosen)
    )


def _tips(rng, unknown=None):
    number = rng.choice(sorted(known.NUMBERS))
    count = known.NUMBERS[number]
    said = unknown or rng.choice(sorted(known.TIPS) + sorted(known.TIP_ALIASES))
    topic = "everyday life" if unknown else known.TIP_ALIASES.get(said, said)
    pool = known.TIPS[topic]
    chosen = [pool[i] for i in sorted(rng.sample(range(len(pool)), min(count, len(pool))))]
    request = expand(
        rng, rng.choice(known.TIP_REQUESTS), {"n": number, "N": capitalise(number), "x": said, "end": random_end(rng)}
    )
    if number == "some" and rng.random() < 0.5:
        request = request.replace("some tips", "tips").replace("Some tips", "Tips")
    intro = (
        f"I do not know much about {said}, but here are {_number_word(count)} tips for everyday life:"
        if unknown
        else f"Here are {_number_word(count)} tips for {topic}:"
    )
    return request, intro + "".join(f"\n{i}. {tip}" for i, tip in enumerate(chosen, 1))


def _number_word(count):
    return known.NUMBER_WORDS[count]


def _poem(rng):
    topic = rng.choice(sorted(known.POEMS))
    couplets = known.POEMS[topic][: rng.choice((2, 3, 3))]
    return expand(rng, rng.choice(known.POEM_REQUESTS), {"x": topic, "end": random_end(rng)}), "\n".join(couplets)


def _anything(rng):
    """A wish without a topic."""
    kind = rng.randrange(3)
    if kind == 0:
        request = (
            "[Write|Write me|Tell me|Give me|Recite] a [poem|short poem|rhyme|haiku|little"
            " poem|limerick|verse]{end}|Sing [me|] a song{end}|Sing [something|for me]{end}|A poem, please{end}"
        )
        reply = _poem(rng)[1]
    elif kind == 1:
        request = (
            "Tell me something{end}|Say something{end}|Tell me something [interesting|new|about animals]{end}|[Tell"
            " me|Give me|Do you know] a [fun fact|fact]{end}|Surprise me{end}|Teach me something{end}|Talk to me{end}"
        )
        noun = rng.choice(sorted(known.ANIMALS))
        what, food, feature = known.ANIMALS[noun]
        reply = f"Did you know? {capitalise(article(noun))} is {what}. It eats {food}, and it {feature}."
    else:
        request = (
            "[Give me|Do you have|Write] some [advice|good advice]{end}|[Give me|Do you have|I need|Tell me]"
            " [some|three|a few|] tips{end}|[Give me|I need] advice{end}"
        )
        reply = _tips(rng)[1]
        while "three" not in reply:
            reply = _tips(rng)[1]
    return expand(rng, "[" + request + "]", {"end": random_end(rng)}).replace("  ", " "), reply


def _animal(rng):
    noun = rng.choice(sorted(known.ANIMALS))
    what, food, feature = known.ANIMALS[noun]
    slots = {"ax": article(noun), "x": noun, "xs": known.PLURALS.get(noun, noun + "s"), "end": random_end(rng)}
    if rng.random() < 0.3:
        return expand(rng, rng.choice(known.FOOD_REQUESTS), slots), f"{capitalise(article(noun))} eats {food}."
    return (
        expand(rng, rng.choice(known.ANIMAL_REQUESTS), slots),
        f"{capitalise(article(noun))} is {what}. It eats {food}, and it {feature}.",
    )


def _colour(rng):
    thing = rng.choice(sorted(known.COLOURS))
    answer = f"{capitalise(thing)} is {known.COLOURS[thing]}."
    return expand(rng, "[What|Which] [colour|color] is {x}?", {"x": thing}), answer


def _capital(rng):
    country = rng.choice(sorted(known.CAPITALS))
    question = (
        "[What is the capital of {x}|What's the capital of {x}|Capital of {x}|Which city is the capital of {x}"
        "|Tell me the capital of {x}]?"
    )
    return expand(rng, question, {"x": country}), f"The capital of {country} is {known.CAPITALS[country]}."


def _opposite(rng):
    first, second = rng.sample(rng.choice(known.OPPOSITES), 2)
    question = "[What is the opposite of {x}|What's the opposite of {x}|The opposite of {x}]?"
    return expand(rng, question, {"x": first}), f"The opposite of {first} is {second}."


def _successor(rng):
    cycle, unit = rng.choice(((known.DAYS, "day"), (known.MONTHS, "month")))
    at = rng.randrange(len(cycle))
    question = "[What comes after {x}|Which {u} comes after {x}|What {u} follows {x}]?"
    answer = f"After {cycle[at]} comes {cycle[(at + 1) % len(cycle)]}."
    return expand(rng, question, {"x": cycle[at], "u": unit}), answer


def _sound(rng):
    noun = rng.choice(sorted(known.SOUNDS))
    question = "[What sound does {x} make|What does {x} say|Which sound does {x} make]?"
    return expand(rng, question, {"x": article(noun)}), f"{capitalise(article(noun))} {known.SOUNDS[noun]}."


def _legs(rng):
    noun = rng.choice(sorted(known.LEGS))
    return f"How many legs does {article(noun)} have?", f"{capitalise(article(noun))} has {known.LEGS[noun]} legs."


def _count(rng):
    if rng.random() >= 0.3:
        return _sum(rng)
    last = rng.choice((3, 5, 10))
    slots = {"x": rng.choice((str(last), _number_word(last))), "end": random_end(rng)}
    question = expand(rng, "[Count to {x}|Count from one to {x}|Can you count to {x}]{end}", slots)
    return question, capitalise(", ".join(known.NUMBER_WORDS[1 : last + 1])) + "."


def _sum(rng):
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    question = rng.choice(
        (
            "What is {a} plus {b}?",
            "What is {a} + {b}?",
            "{a}+{b}",
            "{a} + {b} = ?",
            "How much is {a} plus {b}?",
            "What's {a} and {b}?",
            "Add {a} and {b}.",
        )
    )
    word = _number_word if rng.random() < 0.3 else str
    answer = f"{capitalise(_number_word(a))} plus {_number_word(b)} is {_number_word(a + b)}."
    return question.format(a=word(a), b=word(b)), answer


_FACTS = (_colour, _capital, _opposite, _successor, _sound, _legs, _count, _sum)


def _fact(rng):
    return _FACTS[rng.randrange(len(_FACTS))](rng)


def _say(rng):
    words = " ".join(_random_thing(rng) for _ in range(rng.choice((1, 1, 2, 3))))
    return (
        expand(
            rng,
            "[Say {x}|Please say {x}|Repeat after me: {x}|Repeat: {x}|Can you say {x}|Write the word {x}]{end}",
            {"x": words, "end": random_end(rng)},
        ),
        capitalise(words) + ".",
    )


def _no_name(rng):
    return (
        expand(rng, "[What is my name|What's my name|Who am I|Do you know me]?"),
        "I do not know your name, because you have not told me. What is your name?",
    )


_itself, _forge, _talk = (_from_topics(f"{name}.txt") for name in ("about_itself", "about_forge", "small_talk"))
_KINDS = [
    (_itself, 14),
    (_forge, 15),
    (_talk, 14),
    (_joke, 3),
    (_unknown, 11),
    (_unknown_topic, 7),
    (_describe, 11),
    (_tips, 11),
    (_poem, 5),
    (_animal, 5),
    (_fact, 9),
    (_say, 2),
    (_anything, 4),
    (_no_name, 0.5),
]


# Facts that the model gets wrong too often (see README.md): with `settle`, it says that it does not know.
_GIVEN_UP = (_capital, _opposite, _successor, _sum)
_KEPT = tuple(fact for fact in _FACTS if fact not in _GIVEN_UP and fact is not _count)


def _given_up(rng):
    return rng.choice(_GIVEN_UP)(rng)[0], expand(rng, favour(rng, UNKNOWN[1]))


def _kept_fact(rng):
    return rng.choice(_KEPT)(rng)


_SETTLED_KINDS = [(kind, weight) for kind, weight in _KINDS if kind is not _fact] + [(_given_up, 12), (_kept_fact, 4)]


def draw_question(rng, settle=False):
    """Returns a question of any kind, and its answer. `settle` gives up the facts that the model cannot keep."""
    kinds = _SETTLED_KINDS if settle else _KINDS
    return rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0](rng)
