"""Writes short stories, and requests for them: who is in it, where it happens, what goes wrong and right again."""

from grammar import article, capitalise, expand, favour
from plots import PLOTS

GIRLS = (
    "Ruby Mia Lily Anna Clara Nora Ella Rosa Lucy Ivy Emma Sara Tilda Hazel Molly Daisy Luna Flora Greta Wren "
    "Alice Maya Pia Stella Vera June Olive Poppy Edith Nina"
).split()
BOYS = (
    "Otto Max Felix Leo Tom Finn Hugo Oscar Ben Sam Milo Theo Jack Emil Bruno Rufus Henry Arthur Paul Jasper "
    "Noah Pip Karl Oliver Simon Toby Victor Walter Nico Eli"
).split()
# Names that only ever come from the user's request, so that copying is learnt and not a fixed list.
RARE_GIRLS = (
    "Zelda Priya Yuki Fatima Ingrid Margaret Victoria Aisha Chloe Katarina Penelope Sofia Wilhelmina Xenia".split()
)
RARE_BOYS = (
    "Dmitri Rajesh Kenji Gustav Muhammad Sebastian Thaddeus Wolfgang Xavier Lorenzo Barnaby Cornelius Ahmed".split()
)

FOREST = [
    "in a quiet forest",
    "at the edge of the forest",
    "in a green valley",
    "under an old oak tree",
    "near a small river",
]
WATER = ["in the deep blue sea", "near a coral reef", "in a clear lake", "close to a small island", "in a wide river"]
TOWN = [
    "in a small village",
    "in a house by the sea",
    "in a busy town",
    "in a little house on a hill",
    "next to an old mill",
]
FARM = [
    "on a sunny farm",
    "behind a red barn",
    "in a little house on a hill",
    "in a small village",
    "near a small river",
]
WORKSHOP = [
    "in a small workshop",
    "in an old lighthouse",
    "in a busy town",
    "at the end of a long street",
    "in a little house on a hill",
]
SKY = [
    "at the top of a tall tree",
    "on a high cliff",
    "in an old church tower",
    "in a quiet forest",
    "near a small river",
]
WONDER = [
    "in a dark cave",
    "in an old castle",
    "behind a silver waterfall",
    "on a high mountain",
    "in a quiet forest",
]

# kind: (nouns, homes)
KINDS = {
    "forest": (
        "fox rabbit bear wolf hedgehog squirrel deer badger mouse mole beaver raccoon turtle frog snail lion tiger"
        " monkey elephant giraffe kangaroo panda snake otter hare ant beetle spider lizard camel zebra hippo koala"
        .split(),
        FOREST,
    ),
    "bird": (
        "owl crow sparrow eagle robin parrot swan goose stork penguin seagull bee butterfly dragonfly bat raven"
        " pigeon".split(),
        SKY,
    ),
    "water": ("fish whale dolphin crab octopus seal shark starfish seahorse salmon jellyfish".split(), WATER),
    "farm": (
        "dog cat cow horse pig sheep goat duck hen donkey puppy kitten pony lamb chicken rooster goldfish hamster"
        .split(),
        FARM,
    ),
    "human": (
        "baker sailor farmer teacher gardener painter fisherman doctor writer singer shoemaker tailor cook postman"
        " traveller soldier pirate scientist astronaut programmer engineer librarian carpenter musician child student"
        .split(),
        TOWN,
    ),
    "girl": ("girl queen princess witch grandmother mother sister mermaid".split(), TOWN),
    "boy": ("boy king prince wizard grandfather father brother knight".split(), TOWN),
    "machine": ("robot clock computer train lamp boat kite car toy plane teapot snowman scarecrow".split(), WORKSHOP),
    "wonder": ("dragon giant ghost unicorn fairy troll dwarf elf monster cloud star tree".split(), WONDER),
}
KIND_WEIGHTS = {
    "forest": 30,
    "bird": 11,
    "water": 8,
    "farm": 16,
    "human": 11,
    "girl": 6,
    "boy": 6,
    "machine": 9,
    "wonder": 7,
}

ADJECTIVES = "little young small brave clever shy kind curious old lonely cheerful gentle quiet friendly".split()
GOOD_HELPERS = (
    "owl fox rabbit bear hedgehog turtle crow mouse dog cat duck frog baker sailor gardener robot squirrel goat deer"
    " horse".split()
)

_SYLLABLES = (
    "ba be bo da do fa fi ga gri ka ko la li lo ma mi mo na no pa pi ra ro sa sha ta ti to va vi wo za zu quo fle"
    " sni plu".split()
)


def made_up_noun(rng):
    """Returns a word that no list holds, such as "snilo", to teach copying from the request."""
    return "".join(rng.choice(_SYLLABLES) for _ in range(rng.choice((2, 2, 3)))) + rng.choice(
        ("", "", "n", "k", "x", "rd")
    )

HUMAN_HELPERS = "gardener sailor baker farmer teacher painter fisherman postman".split()
ANIMAL_HELPERS = "owl squirrel turtle hedgehog crow rabbit".split()


class Character:
    """One figure of a story: what it is, its name and its pronouns."""

    def __init__(self, rng, noun=None, taken=(), helper=False):
        self.kind = "forest"
        if noun is None:
            self.kind = rng.choices(list(KIND_WEIGHTS), list(KIND_WEIGHTS.values()))[0]
            from_list = helper and (self.kind == "water" or rng.random() < 0.6)
            noun = favour(rng, GOOD_HELPERS) if from_list else rng.choice(KINDS[self.kind][0])
        for kind, (nouns, _) in KINDS.items():
            if noun in nouns:
                self.kind = kind
        self.noun = noun
        self.female = {"girl": True, "boy": False}.get(self.kind, rng.random() < 0.5)
        self.name = favour(rng, [n for n in (GIRLS if self.female else BOYS) if n not in taken])
        self.adjective = favour(rng, ADJECTIVES)

    def rename(self, name, female):
        self.name, self.female = name, female

    def slots(self, suffix=""):
        he, him, his = ("she", "her", "her") if self.female else ("he", "him", "his")
        values = {"n": self.name, "c": self.noun, "ac": article(self.noun), "he": he, "him": him, "his": his}
        values.update({"He": he.capitalize(), "His": his.capitalize(), "Ac": capitalise(article(self.noun))})
        return {key + suffix: value for key, value in values.items()}


OPENINGS = [
    "Once upon a time, there was {an_adj} {c} named {n}. {He} lived {home}.",
    "Once there was {an_adj} {c} called {n}, who lived {home}.",
    "There once lived {an_adj} {c} {home}. {His} name was {n}.",
    "{n} was {an_adj} {c} who lived {home}.",
    "Long ago, {an_adj} {c} named {n} lived {home}.",
]
HABITS = [
    (
        "Every [morning|evening], {n} [looked at the sky|sang a little song|swept the floor|counted the clouds] and"
        " smiled."
    ),
    (
        "{n} liked [warm soup|ripe berries|long walks|old songs|quiet evenings], and {he} liked [to help others|to"
        " ask questions|new friends] even more."
    ),
    "{He} had [a kind heart|bright eyes|many questions|a good memory], and everyone [knew|liked] {him}.",
    "All the neighbours knew {n}, because {he} was always [kind|cheerful|polite|curious].",
    "",
]
CLOSINGS = [
    "From that day on, {n} and {n2} were the best of friends.",
    "And if you pass by on a quiet evening, you can still hear {n} and {n2} laugh.",
    "{n} and {n2} [talked|sang|laughed] until the stars came out.",
    "That night, {n} fell asleep with a smile.",
    "And so {n} learned that {moral}.",
    "{n} never forgot that {moral}.",
    "Since that day, {n} tells everyone that {moral}.",
]


class Story:
    """A drawn story: its text, and what a question about it may ask for."""

    def __init__(self, rng, hero, helper, plot, drawn, home=None, short=False):
        self.hero, self.helper, self.plot = hero, helper, plot
        slots = {**drawn, **hero.slots(), **helper.slots("2")}
        slots["home"] = home or favour(rng, KINDS[hero.kind][1])
        slots["adj"], slots["an_adj"] = hero.adjective, article(hero.adjective)
        slots["moral"] = favour(rng, plot.moral)
        habit = "" if short or rng.random() < 0.6 else favour(rng, HABITS)
        parts = [favour(rng, OPENINGS) + " " + habit]
        parts += list(plot.text)
        parts[-1] += " " + favour(rng, CLOSINGS)
        self.text = "\n\n".join(expand(rng, part, slots).strip() for part in parts)
        self.summary = expand(rng, plot.summary, slots)
        self.moral = slots["moral"]
        self.home = slots["home"]


def _request_noun(rng):
    return rng.choice(
        [
            "a story",
            "a story",
            "a story",
            "a short story",
            "a short story",
            "a tale",
            "a little story",
            "a bedtime story",
            "a fairy tale",
            "a nice story",
            "a funny story",
            "a very short story",
            "a happy story",
            "a children's story",
        ]
    )


_REQUESTS = [
    "Tell me {what}{about}{end}",
    "Tell me {what}{about}{end}",
    "Tell me {what}{about}{end}",
    "Write {what}{about}{end}",
    "Write {what}{about}{end}",
    "Write me {what}{about}{end}",
    "Can you tell me {what}{about}?",
    "Could you write {what}{about}?",
    "Please tell me {what}{about}{end}",
    "Please write {what}{about}{end}",
    "I would like to hear {what}{about}{end}",
    "I want {what}{about}{end}",
    "Give me {what}{about}{end}",
    "Make up {what}{about}{end}",
    "Do you know {what}{about}?",
    "Invent {what}{about}{end}",
    "{What}{about}, please{end}",
    "{What}{about}{end}",
    "Will you tell me {what}{about}?",
    "Tell us {what}{about}{end}",
    "Let me hear {what}{about}{end}",
    "Hi! Tell me {what}{about}{end}",
    "Hello, can you tell me {what}{about}?",
    "Would you tell me {what}{about}?",
    "Create {what}{about}{end}",
    "Now tell me {what}{about}{end}",
    "I'd like {what}{about}, please{end}",
    "Let's have {what}{about}{end}",
]

PLACES = {
    "in the forest": "in a quiet forest",
    "in a castle": "in an old castle",
    "by the sea": "in a house by the sea",
    "on a farm": "on a sunny farm",
    "in a big city": "in a big city",
    "on the moon": "on the moon",
    "in a lighthouse": "in an old lighthouse",
    "in the mountains": "high in the mountains",
    "in a small village": "in a small village",
    "on an island": "on a small island",
    "in the desert": "in a wide desert",
    "in a garden": "in a sunny garden",
}


def _set_apart(rng, hero, helper, about):
    """Names helper and hero from different halves of the lists, and makes an unasked-for helper of another kind.

    Leaving out the one name that is taken is too subtle a rule for a model of this size; two separate lists are not.
    """
    for character, half in ((hero, slice(0, 15)), (helper, slice(15, None))):
        character.name = favour(rng, (GIRLS if character.female else BOYS)[half])
    if not about.count(helper.noun):
        needs_animal = hero.kind in ("human", "girl", "boy", "machine")
        helper.noun = favour(rng, ANIMAL_HELPERS if needs_animal else HUMAN_HELPERS)


def draw_story(rng, settle=False):
    """Returns (request, Story). `settle` keeps the names of hero and helper apart, see `_set_apart`."""
    hero = Character(rng, noun=made_up_noun(rng) if rng.random() < 0.06 else None)
    helper = Character(rng, taken=(hero.name,), helper=True)
    while helper.noun == hero.noun:
        helper = Character(rng, taken=(hero.name,), helper=True)
    plot = favour(rng, PLOTS)
    drawn = {key: favour(rng, values) for key, values in plot.slots.items()}
    about, home = _draw_subject(rng, hero, helper, plot, drawn, settle)
    if settle and hero.name not in about:
        _set_apart(rng, hero, helper, about)
    request = rng.choice(_REQUESTS).format(
        what=(what := _request_noun(rng)),
        What=capitalise(what),
        about=about,
        end=rng.choice((".", ".", ".", "!", "")),
    )
    return request, Story(rng, hero, helper, plot, drawn, home, short="short" in what)


def _draw_subject(rng, hero, helper, plot, drawn, settle):
    """Returns the subject as the user puts it (" about a fox and an owl") and the home that it fixes, or None.

    `settle` asks for two characters more often: taking the second from the request is learnt late.
    """
    link = rng.choice((" about ", " about ", " about ", " about ", " with ", " of "))
    kind = rng.random()
    if settle and rng.random() < 0.4:
        kind = rng.uniform(0.52, 0.72)
    noun = article(hero.noun)
    if rng.random() < 0.12:
        noun = rng.choice(("the " + hero.noun, "my " + hero.noun, hero.noun, "some " + hero.noun))
    if kind < 0.08:
        return "", None
    if kind < 0.40:
        return link + noun, None
    if kind < 0.52:
        return link + article(hero.adjective + " " + hero.noun), None
    if kind < 0.72:
        return link + noun + " and " + article(helper.noun), None
    if kind < 0.80:
        rare = rng.random() < 0.4
        female = hero.female
        if rare:
            hero.rename(rng.choice(RARE_GIRLS if female else RARE_BOYS), female)
        return link + noun + rng.choice((" named ", " called ")) + hero.name, None
    if kind < 0.90:
        place = rng.choice(sorted(PLACES))
        return link + noun + " " + place, PLACES[place]
    if kind < 0.94:
        return " about " + rng.choice(plot.themes), None
    if kind < 0.985:
        return link + noun + " " + expand(rng, plot.clause, {**drawn, **hero.slots()}), None
    return link + noun + " and " + rng.choice(plot.themes), None
