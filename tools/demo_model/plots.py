"""The plots of the stories: each is three paragraphs after the opening, with a problem, a helper and an ending."""

CLAUSES = {
    "lost": "who [lost|has lost|cannot find] [{his}|a] {toy}",
    "storm": "who [gets caught in a storm|is out in a storm|is lost in the rain]",
    "fear": "who [is|was] afraid of {fear}",
    "build": "who [wants to build|builds] a {thing}",
    "share": "who [shares|cooks|makes] some {food}",
    "race": "who [runs in a race|wants to win a race|loses a race]",
    "sound": "who hears {sound}",
    "seed": "who [plants a seed|finds a seed|plants a {plant}]",
    "journey": "who [travels|goes|wants to go] to {goal}",
    "learn": "who [wants to learn|learns] {skill}",
    "rescue": "who [saves a friend|becomes a hero|helps somebody in danger]",
    "birthday": "who [has a birthday|thinks that everyone forgot {his} birthday]",
    "quarrel": "who [quarrels with a friend|is angry with a friend|says sorry]",
    "winter": "who [has nothing to eat in winter|is cold in winter]",
}


class Plot:
    """What happens. `slots` are drawn first; `summary` and `moral` answer questions about the story.

    A user asks for it by one of `themes` ("about courage"), or by a clause ("who is afraid of the dark").
    """

    def __init__(self, key, themes, slots, text, summary, moral):
        self.themes, self.slots, self.clause = themes, slots, CLAUSES[key]
        self.text, self.summary, self.moral = text, summary, moral


TOYS = [
    "red ball",
    "blue kite",
    "wooden flute",
    "silver bell",
    "warm scarf",
    "green hat",
    "golden key",
    "old map",
    "little drum",
    "yellow umbrella",
]
SPOTS = [
    "under the bridge",
    "behind the mill",
    "next to the well",
    "under a big stone",
    "in the tall grass",
    "near the old fence",
    "between the flowers",
    "in an empty boat",
    "behind the waterfall",
    "on the roof",
]
FOODS = ["apple pie", "honey bread", "berry cake", "warm soup", "cheese", "pancakes"]
MEETING = (
    "[Just then,|A moment later,|After a while,] {ac2} named {n2} came by. [{He2} saw that {n} was sad.|{He2} stopped"
    ' and looked at {n}.] "[What is wrong|What happened|Why are you so sad|Can I help you]?" asked {n2}.'
)

PLOTS = [
    Plot(
        "lost",
        ["a lost toy", "losing something", "helping each other", "a lost treasure"],
        {"toy": TOYS, "s1": SPOTS[:5], "s2": SPOTS[5:]},
        [
            (
                "[One day|One morning|One windy morning], {n} could not find {his} {toy}. {He} looked {s1}, [but it"
                " was not there|but found nothing]. [{n} was very sad.|A tear ran down {his} face.]"
            ),
            MEETING
            + ' "I have lost my {toy}," said {n}. "[Do not worry|Do not be sad]," said {n2}. "[Let us look for it'
            ' together.|Two can find more than one.]"',
            (
                "[They looked everywhere|The two looked for a long time|Together they searched], and at last {n2}"
                ' found the {toy} {s2}. "[Thank you|Oh, thank you]!" cried {n}, and [hugged {n2}|jumped for joy].'
            ),
        ],
        "{n} the {c} lost {his} {toy}, and {n2} the {c2} helped {him} to find it",
        ["two can find more than one", "it is good to ask for help", "a friend is worth more than any toy"],
    ),
    Plot(
        "storm",
        ["a storm", "bad weather", "a stormy night", "the rain"],
        {"food": FOODS, "home2": ["small house", "dry cave", "little hut", "warm barn"]},
        [
            (
                "[One evening|One autumn night], [dark clouds covered the sky|a great storm began]. The wind"
                " [howled|blew hard], and the rain [fell and fell|did not stop]. {n} was far from home and [very"
                " cold|wet and tired]."
            ),
            (
                "Then {he} saw a light in the dark. It came from the {home2} of {ac2} named {n2}. [{n} knocked"
                ' softly.|{n} called out.] "May I come in?" {he} asked. "[Of course|Come in, come in]," said {n2}.'
                ' "There is [room|a place by the fire] for two."'
            ),
            (
                "{n2} gave {him} [a dry blanket|a warm blanket] and some {food}. [They told each other stories until"
                " the storm was over.|They listened to the rain and were not afraid.] In the morning, the sun was"
                " shining, and {n} [invited {n2} to breakfast|said thank you a hundred times]."
            ),
        ],
        "{n} the {c} was caught in a storm, and {n2} the {c2} gave {him} a warm place to stay",
        ["every storm comes to an end", "a warm heart is the best shelter", "there is always room for a friend"],
    ),
    Plot(
        "fear",
        ["being afraid", "courage", "fear", "being brave", "the dark"],
        {"fear": ["the dark", "deep water", "thunder", "high places", "loud noises", "the old bridge"]},
        [
            (
                "But {n} had a secret: {he} was afraid of {fear}. [When the others played, {he} stayed at home.|{He}"
                " did not tell anyone about it.]"
            ),
            (
                '[One day|One evening], {ac2} named {n2} [sat down next to {him}|came to visit]. "I have a secret,"'
                ' said {n}. "I am afraid of {fear}." "[That is all right|Everyone is afraid sometimes]," said {n2}.'
                ' "[I used to be afraid, too.|Shall we try it together?]"'
            ),
            (
                "So they went step by step, and {n2} stayed close. [{His} heart was beating fast|{n} took a deep"
                ' breath], but {he} did not run away. "I did it!" [cried|laughed|shouted] {n}. {n2} was very proud of'
                " {him}."
            ),
        ],
        "{n} the {c} was afraid of {fear}, and {n2} the {c2} helped {him} to be brave",
        [
            "being brave means trying even when you are afraid",
            "fear grows smaller when you share it",
            "small steps lead to great courage",
        ],
    ),
    Plot(
        "build",
        ["building something", "working together", "teamwork", "a great plan"],
        {
            "thing": ["boat", "bridge", "tree house", "wagon", "windmill", "raft"],
            "part": ["rope", "wood", "nails", "paint"],
        },
        [
            (
                "[One spring|One summer|One sunny day], {n} wanted to build a {thing}. {He} worked all day, but [it"
                ' fell apart again and again|in the evening it fell down]. "[I cannot do it|It is too hard]," said'
                " {n}."
            ),
            (
                '{Ac2} named {n2} had watched {him}. "[You need more {part}|You have forgotten the {part}]," said'
                ' {n2}, "and I have some. [Shall we build it together?|May I help you?]" {n} [nodded|was glad and'
                " said yes]."
            ),
            (
                "[The next day|From then on], they worked side by side. One held the {part}, and the other [did the"
                " rest|held the hammer]. After [three|four|five] days, the {thing} was ready, and it was [the finest"
                " {thing} anyone had seen|strong and beautiful]."
            ),
        ],
        "{n} the {c} wanted to build a {thing}, and with the help of {n2} the {c2} it became a fine one",
        ["many hands make light work", "good work takes time", "together we can do more than alone"],
    ),
    Plot(
        "share",
        ["sharing", "being kind", "kindness", "a picnic", "food"],
        {"food": FOODS},
        [
            (
                '[One day|One Sunday], {n} made some {food}. It smelled [wonderful|so good]. "I will eat it all by'
                ' myself," {he} thought.'
            ),
            (
                'Then {ac2} named {n2} came along the path. {He2} had not eaten [all day|since yesterday]. "[That'
                ' smells good|What a lovely smell]," said {n2} in a small voice. {n} looked at the {food}, and then'
                " {he} looked at {n2}."
            ),
            (
                '"[Sit down|Come here]," said {n}. "There is enough for both of us." They ate together, and [the'
                " {food} tasted better than ever|it was the best meal of the year]. [The next day, {n2} brought a"
                " basket of berries.|The next week, {n2} cooked for {n}.]"
            ),
        ],
        "{n} the {c} shared {his} {food} with {n2} the {c2}, who was hungry",
        ["food tastes better when you share it", "a kind heart is never poor", "sharing makes a friend"],
    ),
    Plot(
        "race",
        ["a race", "winning", "a contest", "losing a race"],
        {
            "goal": ["the old tree", "the red gate", "the end of the valley", "the stone bridge"],
            "prize": ["golden cup", "basket of apples", "big cake", "blue ribbon"],
        },
        [
            (
                "[One summer|One day], there was a great race to {goal}. The prize was a {prize}. {n} had [trained"
                " for weeks|waited for this day all year]."
            ),
            (
                "[At first|Soon], {n} was in front. But then {he} heard a cry. {Ac2} named {n2} had fallen and could"
                " not get up. {n} [stopped|turned around at once]. The others ran past."
            ),
            (
                '"[Go on, or you will lose|You can still win]," said {n2}. "[A race is only a race|You are more'
                ' important]," said {n}, and helped {him2} up. They came in last, side by side, but everyone'
                " [clapped|cheered]. In the end, the two of them were given the {prize}."
            ),
        ],
        "{n} the {c} stopped in the middle of a race to help {n2} the {c2}",
        [
            "helping is better than winning",
            "a good heart wins the finest prize",
            "a friend is more important than a prize",
        ],
    ),
    Plot(
        "sound",
        ["a strange sound", "a mystery", "a secret", "the night"],
        {
            "sound": ["a soft humming", "a strange whistle", "a quiet ringing", "a gentle knocking"],
            "cause": ["small bell in the wind", "old music box", "little clock", "cup full of rain"],
        },
        [
            (
                "[One night|One quiet night], {n} heard {sound}. [It came from the garden.|It came from outside.]"
                ' "What can that be?" {he} whispered.'
            ),
            (
                '{n} woke {his} neighbour, {ac2} named {n2}. "Do you hear it, too?" asked {n}. "[Yes|I do]," said'
                ' {n2}. "[Let us find out what it is.|Let us go and see.]" They took a [lamp|lantern] and went out'
                " into the dark."
            ),
            (
                "[They followed the sound|They listened and went on], and at last they found [it behind the"
                " house|what they were looking for]: it was only a {cause}! [Both of them laughed.|{n} laughed, and"
                " {n2} laughed with {him}.] They took it home, [and it played for them every evening|and gave it a"
                " place by the window]."
            ),
        ],
        "{n} the {c} and {n2} the {c2} heard {sound} at night, and it was only a {cause}",
        [
            "strange things are less strange when you look at them closely",
            "asking is better than being afraid",
            "the night is full of small wonders",
        ],
    ),
    Plot(
        "seed",
        ["a garden", "patience", "a seed", "a flower", "growing things"],
        {"plant": ["sunflower", "apple tree", "pumpkin", "rose", "cherry tree"]},
        [
            (
                "[One day|One spring morning], {n} found a tiny seed. {He} put it in the earth and waited. [Nothing"
                ' happened|The days passed, but nothing grew]. "[It will never grow|Perhaps it is a bad seed]," said'
                " {n}."
            ),
            (
                '{Ac2} named {n2} looked over the fence. "[You must give it water|It needs water and sun]," said'
                ' {n2}, "and most of all it needs time." So {n} gave it water every day, and {n2} [sang to it|came to'
                " help]."
            ),
            (
                "[Weeks later|After a long rain], a small green leaf came out of the ground. It grew and grew until"
                " it was a [tall|beautiful] {plant}. [The two friends sat down in its shade.|{n} danced around it,"
                " and {n2} clapped.]"
            ),
        ],
        "{n} the {c} planted a seed, and {n2} the {c2} taught {him} to be patient until it became a {plant}",
        ["good things need time", "patience makes small things great", "everything big was small once"],
    ),
    Plot(
        "journey",
        ["a journey", "an adventure", "travelling", "the sea", "a long way"],
        {
            "goal": [
                "the sea",
                "the top of the mountain",
                "the city of lights",
                "the end of the rainbow",
                "the great lake",
            ]
        },
        [
            (
                "{n} had [always|long] dreamed of {goal}. [One morning|One day], {he} packed a small bag and set off."
                " The way was long, and [soon {he} was tired|by noon {he} was lost]."
            ),
            (
                'At a crossroads {he} met {ac2} named {n2}. "[Where are you going|Where do you want to go]?" asked'
                ' {n2}. "To {goal}," said {n}. "[I know the way|I have always wanted to see it, too]," said {n2}.'
                ' "[May I come with you?|Let us go together.]"'
            ),
            (
                "They walked for [two|three|four] days, and they [sang|told jokes] all the way. When they came to"
                ' {goal}, they were silent, because it was so beautiful. "[It was worth every step|Now I am happy],"'
                " said {n}."
            ),
        ],
        "{n} the {c} travelled to {goal} together with {n2} the {c2}",
        [
            "a long way is short with a friend",
            "dreams come true step by step",
            "the best part of a journey is the company",
        ],
    ),
    Plot(
        "learn",
        ["learning", "school", "practice", "music", "singing"],
        {"skill": ["to sing", "to swim", "to read", "to paint", "to dance", "to play the flute"]},
        [
            (
                "{n} [wanted to learn|dreamed of learning] {skill}, but the first try [went wrong|was not good]. [The"
                " others laughed.|Some of the others laughed at {him}.] {n} went away and sat down alone."
            ),
            (
                '{Ac2} named {n2} came and sat down next to {him}. "[I could not do it at first, either|Nobody can do'
                ' it on the first day]," said {n2}. "[Try a little every day.|I will show you how.]" So {n} practised'
                " every [morning|evening], [even when it rained|again and again]."
            ),
            (
                "In the autumn, there was a big party, and {n} [was asked to show what {he} had learned|stepped"
                " forward]. It was [perfect|wonderful]! Everyone [clapped and cheered|was amazed], and {n2} clapped"
                " the loudest."
            ),
        ],
        "{n} the {c} wanted to learn {skill}, and {n2} the {c2} helped {him} to practise",
        ["practice makes perfect", "nobody is a master on the first day", "a little every day becomes a lot"],
    ),
    Plot(
        "rescue",
        ["a rescue", "being a hero", "danger", "an accident"],
        {"trap": ["a deep hole", "an old net", "a thorn bush", "a hollow tree"]},
        [
            (
                "[One afternoon|One day], {n} heard someone call for help. {He} [ran|hurried] towards the voice."
                ' There, in {trap}, sat {ac2}. "[I am stuck|I cannot get out]," said the {c2}. "My name is {n2}.'
                ' [Please help me.|Can you help me?]"'
            ),
            (
                "{n} [thought for a moment|looked around]. Then {he} found a long [branch|rope] and held it out."
                ' "[Hold on tight|Do not let go]!" {he} called. {n} pulled [and pulled|with all {his} strength], and'
                " slowly, very slowly, {n2} came out."
            ),
            (
                '"[You saved me|You are a hero]!" said {n2}. "[You would have done the same|Anyone would have'
                ' helped]," said {n}, [and turned a little red|and smiled]. They [drank tea together|went home'
                " together], and {n2} gave {him} [a shiny stone|a small bell] to remember the day."
            ),
        ],
        "{n} the {c} saved {n2} the {c2}, who was stuck in {trap}",
        ["even the small can do great things", "it is good to listen when someone calls", "a calm head finds a way"],
    ),
    Plot(
        "birthday",
        ["a birthday", "a surprise", "a party", "a present"],
        {"gift": ["warm blanket", "new hat", "small boat", "box of colours", "jar of honey", "book of stories"]},
        [
            (
                "It was the birthday of {n}, but [nobody seemed to know it|nobody said a word about it]. The"
                ' [street|house] was quiet, and {n} felt [lonely|a little sad]. "[They have forgotten me|Nobody'
                ' thinks of me]," {he} said.'
            ),
            (
                'Then {his} friend {n2}, {ac2}, knocked at the door. "[Come with me|Quick, come along]," said {n2}.'
                ' "[I must show you something.|I need your help.]" {n} [followed {him2}|went along], down the path'
                " and over the bridge."
            ),
            (
                'Behind the bridge, [all the friends|everyone] stood around a big cake. "[Surprise|Happy birthday]!"'
                " they shouted. {n2} gave {him} a {gift}. {n} [laughed and cried at the same time|was so happy that"
                " {he} could not speak]."
            ),
        ],
        "{n} the {c} thought that everyone had forgotten {his} birthday, but {n2} the {c2} had planned a surprise",
        ["true friends do not forget you", "good surprises need a little patience", "joy grows when it is shared"],
    ),
    Plot(
        "quarrel",
        ["a quarrel", "friendship", "saying sorry", "friends", "making up"],
        {"thing": ["red apple", "shiny shell", "round stone", "wooden sword", "paper boat"]},
        [
            (
                "{n} had a friend, {ac2} named {n2}. [One day|One morning], they found a {thing}, and both of them"
                ' wanted it. "[It is mine|I saw it first]!" said {n}. "No, [it is mine|I saw it first]!" said {n2}.'
                " [They shouted, and then they went home.|They did not speak for three days.]"
            ),
            (
                "At home, {n} looked at the {thing}, but it was [no fun alone|not so beautiful any more]. {He} missed"
                " {n2}. So {n} [put the {thing} in a box|took the {thing}] and went to the house of {n2}."
            ),
            (
                '"I am sorry," said {n}. "[You are more important than a {thing}.|I want you to have it.]" "I am'
                ' sorry, too," said {n2}. [They shared the {thing}|They laughed and shook hands], and they never'
                " quarrelled about it again."
            ),
        ],
        "{n} the {c} and {n2} the {c2} quarrelled about a {thing}, and then they said sorry",
        [
            "a friend is worth more than any treasure",
            "it takes courage to say sorry",
            "saying sorry opens every door",
        ],
    ),
    Plot(
        "winter",
        ["winter", "the snow", "the cold", "a cold winter", "hope"],
        {"gift": ["a warm coat", "a basket of nuts", "some firewood", "a pot of soup"]},
        [
            (
                "[That year|One year], winter came early. Snow covered [the fields|every path], and {n} had [nothing"
                ' left to eat|no wood for the fire]. "What shall I do?" {he} sighed.'
            ),
            (
                "In the snow {he} met {ac2} named {n2}, who [was shivering|looked cold and tired]. {n} had only one"
                ' thing left: {gift}. "[Take it|Here, take this]," said {n}. "You need it more than I do."'
            ),
            (
                "The next morning, there was a knock at the door. {n2} was back, and with {him2} came [a dozen"
                ' friends|the whole village] with bread, wood and [cheese|honey]. "[Nobody should be alone in'
                ' winter|Now we help you]," said {n2}. They lit a big fire and stayed warm until spring.'
            ),
        ],
        "{n} the {c} gave {n2} the {c2} {gift} in a cold winter, and the kindness came back",
        ["kindness always comes back", "nobody should be alone in winter", "the one who gives is never poor"],
    ),
]
