"""Descriptions, tips, poems and simple facts: the little that the demo model knows of the world."""

# topic: sentences, of which three or four are used, in this order.
DESCRIPTIONS = {
    "the sea": [
        "The sea is [wide and blue|wide and deep], and it never stands still.",
        "Waves roll to the beach and [draw back again|fall back with a sigh].",
        "The air [tastes of salt|smells of salt], and gulls cry above the water.",
        "[Far out, a ship looks as small as a toy.|In the evening, the water turns to gold.]",
        "[When you listen to it, you become calm.|It has been singing the same song for millions of years.]",
    ],
    "the forest": [
        "The forest is [green and quiet|cool and green].",
        "[Sunlight falls through the leaves|Light and shadow play on the ground].",
        "A bird sings, and somewhere a [twig breaks|squirrel runs up a tree].",
        "It smells of [moss and wet earth|leaves and rain].",
        "[The old trees stand like friends.|Whoever walks here begins to breathe more slowly.]",
    ],
    "the moon": [
        "The moon is [round and silver|a silver lamp in the night].",
        "It has no light of its own, but it gives back the light of the sun.",
        (
            "[Every month it grows full and thin again.|Sometimes it is full, and sometimes it is only a"
            " thin line.]"
        ),
        "It pulls at the sea and makes the tides.",
        "[When it shines, the whole land is quiet.|Whoever looks up at it feels small and happy.]",
    ],
    "the sun": [
        "The sun is a star, and it is [very large and very hot|the nearest star of all].",
        "It rises in the east and sets in the west.",
        "[Without it, nothing would grow.|It gives us light and warmth.]",
        "In the morning, it [paints the sky red|wakes the birds].",
    ],
    "the rain": [
        "Rain [falls from grey clouds|comes down in a thousand small drops].",
        "It drums on the roofs and [runs down the windows|fills the gutters].",
        "The streets [shine like mirrors|smell fresh].",
        "The plants drink, and [the frogs are happy|the earth becomes soft].",
        "[Afterwards, there may be a rainbow.|Inside, it is warm and dry.]",
    ],
    "the snow": [
        "Snow [falls without a sound|comes down in soft white flakes].",
        "It covers the [roofs and the fields|trees and the paths].",
        "Every step [makes a small crunch|leaves a mark].",
        "The world becomes [bright and quiet|white and still].",
        "[Children build a snowman.|At the window, somebody drinks hot tea.]",
    ],
    "the mountains": [
        "The mountains are [high and old|tall and silent].",
        "There is snow on their tops, [even in summer|for most of the year].",
        "Clear water runs down [into the valley|over the stones].",
        "The air is [cold and clean|thin and clear].",
        "[From above, the houses look like toys.|Whoever stands at the top can see very far.]",
    ],
    "a city": [
        "A city [never sleeps|is full of people and lights].",
        "Cars and trams [fill the streets|go up and down].",
        "In the shops and cafes, people [talk and laugh|meet and drink coffee].",
        "[Between the tall houses, there is a small park.|High above the roofs, a pigeon flies.]",
        "At night, [a thousand windows shine|the lights look like stars].",
    ],
    "the night": [
        "At night, the world is [dark and quiet|quiet and cool].",
        "Stars [shine above the roofs|look down on the houses].",
        "An owl calls, and [a cat walks along a wall|a mouse runs home].",
        "Most people sleep and dream.",
        "[Soon the first light will come.|Only the clock goes on talking.]",
    ],
    "spring": [
        "In spring, the days [grow longer|become warm again].",
        "The first flowers [open|come out of the ground].",
        "Birds [build their nests|come back from the south].",
        "The trees put on [green leaves|white blossoms].",
        "[Everything begins again.|It smells of earth and rain.]",
    ],
    "summer": [
        "In summer, the days are [long and warm|bright and hot].",
        "Children swim in the lake and [eat ice cream|play until dark].",
        "Bees hum [over the fields|in the flowers].",
        "In the evening, [people sit in the garden|the air is soft].",
        "[Nobody is in a hurry.|Sometimes there is a thunderstorm.]",
    ],
    "autumn": [
        "In autumn, the leaves turn [red and yellow|yellow and brown].",
        "The wind [carries them away|plays with them].",
        "Apples and pumpkins are ripe.",
        "Fog lies [over the fields|in the valley] in the morning.",
        "[It is a good time for tea and books.|The birds fly south.]",
    ],
    "winter": [
        "In winter, the days are [short and cold|dark and short].",
        "Snow lies on the [roofs|fields], and the lakes are frozen.",
        "People [wear thick coats|stay close to the fire].",
        "Many animals sleep until spring.",
        "[The stars are very bright.|A cup of hot tea is the best friend.]",
    ],
    "a garden": [
        "A garden is a [small world of its own|quiet and colourful place].",
        "Roses and [sunflowers|daisies] grow along the path.",
        "Bees and butterflies [visit the flowers|dance in the sun].",
        "Under an apple tree, there is a [bench|chair].",
        "[Whoever works here becomes patient.|In the evening, it smells of flowers.]",
    ],
    "a river": [
        "A river [begins as a small spring|comes down from the mountains].",
        "It [winds through fields and towns|runs over stones and under bridges].",
        "Fish [live in it|jump now and then], and ducks swim on it.",
        "Boats carry people [up and down|from town to town].",
        "[In the end, it reaches the sea.|It is never the same, and always the same.]",
    ],
    "the desert": [
        "The desert is [wide and dry|hot by day and cold by night].",
        "The sand [lies in great waves|moves with the wind].",
        "Only a few plants and animals live there.",
        "A camel can go without water for a long time.",
        "[At night, the sky is full of stars.|It is so quiet that you can hear your heart.]",
    ],
    "the sky": [
        "The sky is [blue by day and black by night|high and wide].",
        "Clouds [sail across it|cross it like ships].",
        "Birds [circle|fly] far above the houses.",
        "In the evening, it turns [red and gold|red, and then dark blue].",
        "[It belongs to everybody.|At night, the stars come out.]",
    ],
    "a fox": [
        "A fox is a small wild animal with [red fur|a red coat].",
        "It has a bushy tail and [sharp ears|bright eyes].",
        "It lives in forests and fields, and sometimes in cities.",
        "It hunts mice and eats berries.",
        "[In stories, the fox is always clever.|It sleeps by day and comes out at night.]",
    ],
    "a cat": [
        "A cat is [soft and quiet|a soft animal with sharp claws].",
        "It sleeps [for most of the day|in the sun].",
        "It can see well in the dark and [hear the smallest sound|likes to catch mice].",
        "When it is happy, it purrs.",
        "[It does only what it wants to do.|It always lands on its feet, or nearly always.]",
    ],
    "a house by the sea": [
        "The house stands [on a hill above the beach|close to the water].",
        "Its windows are [small and blue|open to the wind].",
        "All day long, you hear the waves.",
        "In the kitchen, [there is fresh bread|somebody makes soup].",
        "[At night, a lighthouse sends its beam across the water.|The garden is full of shells.]",
    ],
    "a perfect day": [
        "A perfect day begins [with sunshine|without an alarm clock].",
        "There is fresh bread, and [there is no hurry|somebody you like is there].",
        "You take a long walk and [see something new|hear the birds sing].",
        "In the evening, friends come to eat and [talk|laugh].",
        "Then you fall asleep, [tired and happy|with a smile].",
    ],
    "a robot": [
        "A robot is a machine that can do [work by itself|things by itself].",
        "It has [motors for muscles|sensors for eyes] and a computer for a brain.",
        "Some robots build cars, and [others clean floors|others fly to the stars].",
        "[It never gets tired.|In stories, robots often want to have a friend.]",
    ],
    "a computer": [
        "A computer is a machine that [works with numbers|follows instructions very fast].",
        "It has a processor, which calculates, and memory, which holds what it is working on.",
        "[Pictures, music and text are only numbers to it.|It does exactly what its program says.]",
    ],
    "a book": [
        "A book is [a world between two covers|made of paper and ideas].",
        "You can open it [anywhere|at any time].",
        "It can make you laugh, cry or [think|dream].",
        "[A good book is a friend that waits for you.|It needs no electricity.]",
    ],
    "a tree": [
        "A tree stands in one place [for all its life|for many years].",
        "Its roots [drink water from the earth|hold on to the ground].",
        "Its leaves turn light into food.",
        "Birds [live in its branches|build nests in it].",
        "[In its shade, you can rest.|Each year, it adds one more ring.]",
    ],
    "music": [
        "Music is [made of sounds and silence|a language without words].",
        "It can be [loud or soft|fast or slow], happy or sad.",
        "People sing it, dance to it and [play it on many instruments|listen to it together].",
        "[It makes the heart lighter.|Everybody understands it.]",
    ],
}
DESCRIPTION_REQUESTS = [
    "Describe {x}{end}",
    "Describe {x}{end}",
    "Describe {x} to me{end}",
    "[Can you|Could you|Please|Would you] describe {x}?",
    "Tell me about {x}{end}",
    "Tell me something about {x}{end}",
    "What is {x} like?",
    (
        "Write [something|a few words|a few sentences|a short text|a paragraph|a short description] about"
        " {x}{end}"
    ),
    "What do you know about {x}?",
    "What is {x}?",
    "What does {x} look like?",
    "Paint {x} in words{end}",
    "Say something about {x}{end}",
]

# topic: tips as whole sentences.
TIPS = {
    "a good morning": [
        "Get up at the same time every day.", "Drink a glass of water before anything else.",
        "Open the window and take a deep breath.", "Do not look at your phone first.",
        "Eat a quiet breakfast.", "Move a little, even if it is only for five minutes.",
        "Think of one thing that you look forward to.",
    ],
    "better sleep": [
        "Go to bed at the same time every evening.", "Keep your bedroom cool and dark.",
        "Put the phone away an hour before.", "Do not drink coffee in the afternoon.",
        "Read a few pages of a good book.", "Write down what is on your mind.",
    ],
    "learning something new": [
        "Practise a little every day.", "Begin with the easy parts.", "Explain it to somebody else.",
        "Do not be afraid of mistakes.", "Take breaks and sleep enough.",
        "Repeat today what you learned yesterday.",
    ],
    "a clean house": [
        "Put every thing back in its place.", "Clean a little every day.", "Give away what you do not need.",
        "Open the windows.", "Begin with the smallest room.", "Wash the dishes right away.",
    ],
    "a healthy life": [
        "Drink enough water.", "Eat fruit and vegetables every day.", "Go for a walk, even when it rains.",
        "Sleep for seven or eight hours.", "Spend time with your friends.", "Laugh as often as you can.",
    ],
    "a good meal": [
        "Use fresh vegetables.", "Taste the food while you cook.", "Do not use too much salt.",
        "Take your time.", "Set the table nicely.", "Share the meal with friends.",
    ],
    "writing a story": [
        "Begin with a character that you like.", "Give the character a problem.", "Use short sentences.",
        "Let the characters talk.", "Read it aloud when you are done.", "Cut what you do not need.",
    ],
    "a garden": [
        "Give the plants water early in the morning.", "Put each plant where it likes the light.",
        "Pull out weeds while they are small.", "Leave some flowers for the bees.", "Be patient.",
        "Write down what you planted, and where.",
    ],
    "making friends": [
        "Listen more than you talk.", "Be the first to say hello.", "Remember names.", "Share what you have.",
        "Say sorry when you were wrong.", "Ask a question and wait for the answer.",
    ],
    "a journey": [
        "Pack less than you think you need.", "Take a map and some water.", "Leave early in the morning.",
        "Talk to the people on the way.", "Keep a small diary.", "Leave some time for surprises.",
    ],
    "saving memory": [
        "Unload models that you do not need.", "Choose a smaller context.", "Take a quantised model.",
        "Look at the ledger with forgectl memory.", "Load only one large model at a time.",
    ],
    "working from home": [
        "Begin at the same time every day.", "Work at a table and not in bed.", "Take a break every hour.",
        "Go outside once a day.", "Put away what distracts you.", "Stop working in the evening.",
    ],
    "a rainy day": [
        "Read a good book.", "Bake some bread.", "Call an old friend.", "Put on boots and jump over puddles.",
        "Write a letter.", "Listen to the rain and drink tea.",
    ],
    "being happy": [
        "Be kind to others.", "Spend time outside.", "Think of three good things every evening.",
        "Do not compare yourself with others.", "Sing, even if you cannot sing.", "Help somebody.",
    ],
    "less stress": [
        "Do one thing after another.", "Take a deep breath.", "Say no from time to time.", "Go for a walk.",
        "Write a list and begin with the first point.", "Sleep enough.",
    ],
    "everyday life": [
        "Be kind to yourself and to others.", "Take one step after another.", "Drink enough water.",
        "Ask for help when you need it.", "Take a walk every day.", "Finish what you have begun.",
    ],
}
TIP_ALIASES = {
    "a good day": "a good morning", "the morning": "a good morning", "getting up": "a good morning",
    "a good night": "better sleep", "sleeping well": "better sleep", "sleeping better": "better sleep",
    "studying": "learning something new", "learning": "learning something new",
    "learning English": "learning something new", "cooking": "a good meal",
    "staying healthy": "a healthy life", "health": "a healthy life", "gardening": "a garden",
    "finding friends": "making friends", "travelling": "a journey", "a trip": "a journey",
    "cleaning": "a clean house", "writing": "writing a story", "happiness": "being happy",
    "relaxing": "less stress", "the weekend": "a rainy day", "work": "working from home",
    "life": "everyday life",
}
TIP_REQUESTS = [
    "Give me {n} tips for {x}{end}", "Give me {n} tips for {x}{end}",
    "[Can you|Could you|Please] give me {n} tips for {x}?", "{N} tips for {x}{end}",
    "What are {n} tips for {x}?", "Do you have {n} tips for {x}?", "List {n} tips for {x}{end}",
    "[Name|Tell me|Write] {n} tips for {x}{end}", "I need {n} tips for {x}{end}",
    "Tell me {n} things that help with {x}{end}", "Give me {n} ideas for {x}{end}",
    "How do I get {x}? Give me {n} tips{end}",
]
NUMBERS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "2": 2, "3": 3, "4": 4, "5": 5, "some": 3, "a few": 3,
    "your best": 3,
}

# topic: rhymed couplets; a poem takes two or three of them.
POEMS = {
    "the moon": [
        "The moon looks down with silver light\nand guards the houses through the night.",
        "It sees the river and the tree,\nit sees the mountain and the sea.",
        "And when the morning comes, it goes\nto where it sleeps, and no one knows.",
    ],
    "the sea": [
        "The sea is wide, the sea is blue,\nit sings an old song, always new.",
        "The waves come in, the waves go out,\nthe gulls above them wheel and shout.",
        "And in the evening, red and gold,\nit tells the stories it was told.",
    ],
    "the rain": [
        "The rain is falling on the street,\nit taps and runs on tiny feet.",
        "The flowers drink, the frogs all sing,\nthe wet leaves shine like anything.",
        "And when at last the clouds have passed,\na rainbow says: no storm can last.",
    ],
    "spring": [
        "The snow has gone, the grass is green,\nthe finest flowers can be seen.",
        "A bird is building in the tree,\na butterfly flies up to me.",
        "The days are long, the air is clear,\nmy heart is light, for spring is here.",
    ],
    "winter": [
        "The fields are white, the night is long,\nthe wind outside now sings its song.",
        "The fire burns, the tea is hot,\nand cold and dark are soon forgot.",
        "Beneath the snow, so deep and still,\nthe flowers wait beneath the hill.",
    ],
    "a cat": [
        "My cat is sleeping in the sun,\nher work for all the day is done.",
        "She hears the mouse, she shuts one eye,\nand lets the little thing go by.",
        "At night she walks along the wall,\nso soft, you hear no step at all.",
    ],
    "a friend": [
        "A friend is someone who will stay\nwhen all the rest have gone away.",
        "We share our bread, we share our bed\nof grass, with stars above our head.",
        "And when I fall, you take my hand,\nand when I cry, you understand.",
    ],
    "the night": [
        "The day is over, the lamps are low,\nthe stars come out, the dreams may go.",
        "An owl is calling from the tree,\nthe world is quiet as can be.",
        "So close your eyes and have no fear,\nthe morning light will soon be here.",
    ],
    "a tree": [
        "The old tree stands beside the way,\nit has seen every kind of day.",
        "The birds have built among its leaves,\nit gives to all, and none it grieves.",
        "And when I'm tired, when I'm old,\nits shade is worth far more than gold.",
    ],
    "Forge": [
        "A little daemon, small and neat,\nkeeps every model in its seat.",
        "It counts the bytes, it keeps the score,\nit takes its share, and nothing more.",
        "And when you ask, it does not wait,\nits answers never come too late.",
    ],
}
GENERIC_POEM = [
    "I wrote a song for {x} today,\nto sing it gently on my way.",
    "For {x} can make a morning bright,\nand keep me company at night.",
    "So here's to {x}, and here's to you,\nmay all your little dreams come true.",
]
POEM_REQUESTS = [
    (
        "[Write|Write me|Tell me|Give me|Make up|Can you write|Please write] a [poem|short poem|little"
        " poem|small poem|rhyme|verse] about {x}{end}"
    ),
    "[Write|Make] a poem for {x}{end}",
    "[A poem|A short poem] about {x}{end}",
]

# animal: class, where it lives, what it eats, what it is known for.
ANIMALS = {
    "dog": ("a friendly animal that lives with people", "meat and bread", "has a very good nose"),
    "horse": ("a large animal that lives on farms", "grass and hay", "can run very fast"),
    "cow": ("a large animal that lives on farms", "grass", "gives us milk"),
    "sheep": ("a gentle animal that lives on farms", "grass", "gives us wool"),
    "owl": ("a bird that lives in forests", "mice", "can see very well at night"),
    "rabbit": ("a small animal that lives in fields", "grass and carrots", "has long ears"),
    "bear": (
        "a large animal that lives in forests", "fish, berries and honey", "sleeps through the winter",
    ),
    "wolf": ("a wild animal that lives in forests", "meat", "hunts together with its family"),
    "elephant": (
        "a very large animal that lives in Africa and Asia", "grass, leaves and fruit", "has a long trunk",
    ),
    "lion": ("a large wild cat that lives in Africa", "meat", "can roar very loudly"),
    "penguin": ("a bird that lives on cold coasts in the south", "fish", "cannot fly, but swims very well"),
    "whale": ("a very large animal that lives in the sea", "small sea animals", "must come up to breathe"),
    "dolphin": ("a clever animal that lives in the sea", "fish", "likes to jump out of the water"),
    "bee": ("a small insect that lives in a hive", "nectar from flowers", "makes honey"),
    "frog": ("a small animal that lives near water", "insects", "can jump very far"),
    "turtle": (
        "a slow animal that carries its house on its back", "plants and small animals", "can become very old",
    ),
    "hedgehog": (
        "a small animal that lives in gardens and forests", "insects and worms", "is covered with spines",
    ),
    "mouse": (
        "a very small animal that lives in fields and houses", "seeds and grain", "is quick and quiet",
    ),
    "squirrel": ("a small animal that lives in trees", "nuts and seeds", "hides food for the winter"),
    "camel": (
        "a large animal that lives in the desert", "dry plants", "can go without water for a long time",
    ),
    "giraffe": ("a tall animal that lives in Africa", "leaves", "has a very long neck"),
    "duck": ("a bird that lives near water", "plants and insects", "has feet made for swimming"),
    "spider": ("a small animal with eight legs", "insects", "builds a web"),
}
ANIMAL_REQUESTS = [
    "What is {ax}?", "What is {ax}?", "Describe {ax}{end}", "Tell me about {ax}{end}",
    "What do you know about {xs}?", "Tell me something about {ax}{end}", "What are {xs}?",
    "Explain what {ax} is{end}",
]
FOOD_REQUESTS = ["What does {ax} eat?", "What do {xs} eat?"]
PLURALS = {"sheep": "sheep", "wolf": "wolves", "mouse": "mice"}

COLOURS = {
    "the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a tomato": "red",
    "a lemon": "yellow", "coal": "black", "a banana": "yellow", "blood": "red", "an elephant": "grey",
    "the sea": "blue", "a fox": "red", "milk": "white", "a crow": "black", "a leaf": "green",
    "chocolate": "brown",
}
CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "England": "London",
    "Japan": "Tokyo", "Austria": "Vienna", "Portugal": "Lisbon", "Greece": "Athens", "Poland": "Warsaw",
    "Ireland": "Dublin", "Norway": "Oslo", "Sweden": "Stockholm", "Denmark": "Copenhagen",
    "Finland": "Helsinki", "Egypt": "Cairo", "Russia": "Moscow", "China": "Beijing", "Belgium": "Brussels",
    "Hungary": "Budapest", "Canada": "Ottawa", "Cuba": "Havana",
}
OPPOSITES = [
    ("hot", "cold"), ("big", "small"), ("day", "night"), ("up", "down"), ("fast", "slow"), ("old", "young"),
    ("good", "bad"), ("happy", "sad"), ("light", "dark"), ("open", "closed"), ("rich", "poor"),
    ("wet", "dry"), ("long", "short"), ("loud", "quiet"), ("early", "late"), ("full", "empty"),
    ("strong", "weak"), ("black", "white"), ("left", "right"),
]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
SOUNDS = {
    "dog": "barks", "cat": "meows", "cow": "moos", "duck": "quacks", "lion": "roars", "owl": "hoots",
    "sheep": "bleats", "frog": "croaks", "bee": "hums", "wolf": "howls", "mouse": "squeaks",
    "horse": "neighs",
}
LEGS = {
    "dog": "four", "cat": "four", "horse": "four", "spider": "eight", "bird": "two", "bee": "six",
    "snake": "no", "fish": "no", "ant": "six", "cow": "four", "duck": "two", "octopus": "no",
}
NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve"
    " thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
).split()
