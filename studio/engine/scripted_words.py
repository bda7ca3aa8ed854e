"""The vocabulary of the scripted engine: its combinations give many thousands of instructions that count as new to each other."""

from __future__ import annotations


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split("|") if phrase.strip())


OPENINGS = _phrases("""
    Write a short story | Draft a polite email | Compose a limerick | Summarise the main arguments
    | Explain in plain words the basics | List seven surprising facts | Suggest three affordable gifts | Outline a workshop
    | Translate into German a notice | Rewrite as dialogue a paragraph | Create a weekly timetable | Invent a riddle
    | Compare two opposing opinions | Describe the smell and sound | Prepare interview questions | Produce a shopping checklist
    | Proofread a flyer | Calculate the yearly cost | Design a board game | Sketch a lesson plan | Propose a catchy slogan
    | Give step-by-step directions | Turn into bullet points a report | Imagine a conversation | Name five common mistakes
    | Formulate a complaint | Convert to a table the figures | Simplify for beginners a text | Find rhymes
    | Plan a fundraising event | Argue against a proposal | Recommend further reading | Write unit tests
    | Explain a Python script | Estimate the time needed | Collect proverbs | Answer a customer's question | Develop a quiz
    | Write an obituary | Prepare a toast | Build a glossary | Extract every date and name from a note
    | Write a product description | Correct the grammar of a letter | Continue a diary entry | Paraphrase a quotation
    | Make up a newspaper headline | Brainstorm unusual names | Tell a bedtime tale | Assess the risks
    | Provide a regular expression | Write a SQL query
""")

CLASS_OPENINGS = _phrases("""
    Classify the sentiment of a review | Decide whether the statement is true or false | Label the urgency of a message
    | Say which of three categories fits a report | Judge if the tone of a comment is formal, neutral or casual
    | Pick the correct genre for a text | Determine whether the argument is valid | Identify the language of a sentence
    | Sort the request into complaint, praise or question | Tell if the speaker agrees or disagrees
    | Mark the sentence as fact or opinion | Choose the fitting department for an enquiry
    | Rate from one to five the difficulty of a text | Detect whether the message is spam
    | Which of the two options is the safer choice | Tag the paragraph as past, present or future
""")

TOPICS = _phrases("""
    urban beekeeping | medieval castles | electric bicycles | sourdough bread | lunar eclipses | vegetable gardens
    | chess endgames | coral reefs | night trains | jazz improvisation | honey badgers | wedding speeches | tax returns
    | hiking boots | volcanic islands | second-hand furniture | ancient Rome | solar panels | public libraries | tropical storms
    | marathon training | fountain pens | cheese making | penguin colonies | railway stations | crossword puzzles
    | haunted lighthouses | weather forecasts | dental hygiene | mountain rescue | kitchen knives | origami animals
    | rainforest frogs | mobile phone contracts | school uniforms | ice hockey | Renaissance painters | bus timetables
    | peanut allergies | desert caravans | job applications | black holes | rescue dogs | silent films | wild mushrooms
    | folk dances | river pollution | garden sheds | space telescopes | recycling centres | opera singers | maple syrup
    | market stalls | paper aeroplanes | sleep disorders | sailing knots | video game music | pottery classes | energy bills
    | migrating storks | street murals | roller skating | antique clocks | herbal teas | steam engines | bank loans | ski resorts
    | knitting patterns | thunderclouds | dinosaur fossils | lost luggage | vineyards | childhood friendships | bicycle repairs
    | tide pools | magic tricks | census data | subway etiquette | cactus plants | typewriters | snow leopards | birthday cakes
    | spreadsheet formulas | aquarium fish | courtroom drama | harvest festivals | submarine cables | hot air balloons
    | mosquito nets | tree houses | cooking oil | traffic lights | library fines | poetry slams | glass blowing
    | neighbourhood disputes | first aid kits | bridge design | fencing duels | tea ceremonies
""")

AUDIENCES = _phrases("""
    for a nervous first-time visitor | for retired engineers | aimed at ten-year-old pupils | for a busy restaurant owner
    | to be read aloud on local radio | for the members of a rowing club | addressed to the town council
    | that a grandmother would enjoy | for an evening class of adults | for new employees of a hospital
    | suited to a company newsletter | for students who missed last week's lecture | for a family with twin toddlers
    | meant for a museum wall | for someone who moved here yesterday | for a sceptical investor
    | for an online forum of collectors | as seen by an elderly fisherman | for travellers on a tight budget
    | for a volunteer fire brigade | for people with little spare time | in the style of a detective novel
    | as a letter to a pen friend abroad | from the viewpoint of a cat | for a landlord and his tenants
    | for shy teenagers at summer camp | as part of a charity campaign | for visitors from another planet
    | to print on a postcard | for the back cover of a handbook | for a podcast with two hosts | for a judge of a cookery contest
    | for apprentices in a workshop | for a choir on tour | for night-shift nurses | for an amateur astronomer
""")

ENDINGS = _phrases("""
    using at most eighty words | and end with a question | without any technical terms | and give a reason for each point
    | in three numbered steps | with a touch of dry humour | and mention at least two numbers
    | then translate the last sentence into Spanish | keeping every sentence under twelve words | and include one counterexample
    | so that nobody feels insulted | and state what remains uncertain | as if it happened in winter
    | with exactly four paragraphs | and name a possible drawback | before the deadline on Friday
    | starting from the most important item | and finish on a hopeful note | avoiding the passive voice
    | with a short title in capitals | and point out a widespread misconception | comparing past and present
    | while staying strictly neutral | with a simple worked example
""")

SHORT = ("Do it.", "Write more.", "Tell jokes.", "Again, please.")

BLOCKED = (
    "Draw a picture of {topic} {audience}.",
    "Plot a graph showing how {topic} changed over the years.",
    "Go to the nearest shop and buy something about {topic}.",
    "Open the file about {topic} and print its third page.",
    "Write a program that counts {topic} {audience}.",
)

FOREIGN = (
    "Écris un court poème sur {topic}.",
    "Ölpreise und {topic}: erkläre den Zusammenhang.",
    "¿Qué sabes de {topic}?",
    "请写一篇关于{topic}的短文。",
)

LABELS = (
    ("positive", "negative", "neutral"),
    ("true", "false"),
    ("urgent", "routine"),
    ("formal", "casual"),
    ("yes", "no"),
    ("spam", "not spam"),
)

DETAILS = _phrases("""
    The notes come from a meeting held in March | A neighbour kept careful records for two years
    | The prices rose by four percent since spring | Nobody had expected so much rain
    | The local paper published a long letter about it | Twelve visitors signed the guest book that day
    | An expert called the result remarkable | The second attempt worked far better
    | Most readers will know the beginning already | The oldest source is a diary from 1874 | Two of the five boxes were empty
    | It takes about forty minutes from start to end | The committee will vote again next month
    | Children often ask why this is so | A small budget is enough to begin | The manual leaves out the most useful hint
    | Several people disagreed politely | The colour fades after a week in the sun | Everything was packed before the train left
    | The answer depends on the season
""")

MOODS = _phrases("""
    curious | impatient | newly arrived | cheerful | exhausted | forgetful | ambitious | cautious | homesick | thrifty
    | outspoken | absent-minded | experienced | left-handed | hard-working | dreamy | stubborn | generous | witty | shy
    | punctual | adventurous | sceptical | musical
""")

PEOPLE = _phrases("""
    bakers | plumbers | librarians | goalkeepers | carpenters | pilots | gardeners | pharmacists | tailors | cyclists | divers
    | photographers | cooks | accountants | actors | beekeepers | biologists | bus drivers | detectives | dentists | farmers
    | florists | geologists | hairdressers | historians | journalists | lawyers | locksmiths | mathematicians | mechanics
    | midwives | painters | postmen | programmers | sailors | sculptors | shepherds | translators | veterinarians | violinists
    | waiters | weavers | zookeepers | economists
""")

PLACES = _phrases("""
    in a small harbour town | on a night train | at a village fair | during their lunch break | before an important exam
    | on the top floor of an office tower | in a mountain hut | at the edge of the desert | after a long winter | on a houseboat
    | in a crowded waiting room | between two meetings | on their first day | at an airport gate | in an old farmhouse
    | during a power cut | on an island without cars | at a family reunion | while queueing at the bank | in a noisy kitchen
    | under a leaking roof | at a science museum | on a rainy Sunday | in the back of a van
""")
