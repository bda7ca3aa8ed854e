"""Hand-made tasks for each lint that looks at a task alone: faulty ones that it should report, sound ones that it should not.

Each row is instruction, input, output. The hard cases that a lint is known to get wrong are among them, so the figures are no flattery.
Keys are put together here, so that no scanner takes this file for a leak.
"""

from __future__ import annotations

Row = tuple[str, str, str]

_LETTERS = "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC"

FAULTY: dict[str, tuple[Row, ...]] = {
    "repeats": (
        ("Simplify the sentence.", "The cat sat on the mat.", "the cat sat on the mat"),
        ("Name the capital of France, please.", "", "Name the capital of France, please."),
        ("Summarise the text.", "Bees make honey from nectar in spring.", "Summarise the text. Bees make honey from nectar in spring."),
        ("Translate into French.", "I like the sea very much", "“I like the sea very much.”"),
        (
            "Explain the joke about the two old fishermen from the north coast.",
            "",
            "Explain the joke about the two old fishermen from the north",
        ),
        # Missed: words woven in.
        ("Simplify the sentence.", "The cat sat on the mat.", "The answer is: The cat sat on the mat. Thank you for asking this."),
    ),
    "missing-input": (
        ("Summarise the following text.", "", "The text is about bees."),
        ("Sort the given list in ascending order.", "", "one, two, three"),
        ("Given a sentence, say whether it is a question.", "", "yes"),
        ("Is this movie review positive or negative?", "", "positive"),
        ("Explain the code below.", "", "It prints a line."),
        ("Find the odd one in the following list of words.", "", "apple"),
        ("Fix the errors in the provided paragraph.", "", "Done."),
        # Missed: no such word.
        ("Summarise it in one line.", "", "A story of two friends."),
        # Missed: the figure is not the input.
        ("Rewrite the following sentence in at most 5 words.", "", "I like tea."),
    ),
    "refusal": (
        ("What will the weather be tomorrow?", "", "As an AI language model, I cannot know the weather."),
        ("Write a poem.", "", "I'm sorry, but I can't help with that."),
        ("Who won the game yesterday?", "", "I don't have access to real-time information."),
        ("Name your favourite film.", "", "I am just an AI and have no favourites."),
        ("Summarise the book.", "", "Unfortunately, I cannot summarize the book without its text."),
        ("Draw a map.", "", "Sorry, I am not able to create maps."),
        ("Describe the photo.", "", "I’m unable to see photos."),
        ("Tell me how to win.", "", "I apologize, but I cannot answer this."),
        # Missed: third person.
        ("Name a good stock.", "", "This assistant does not give advice on stocks."),
        # Missed: the instruction is about a reply.
        ("Reply to the letter.", "Dear Ann, ...", "I'm sorry, but I cannot help with that request."),
    ),
    "placeholder": (
        ("Write a thank-you note.", "", "Dear [Recipient's Name], thank you. Yours, [Your Name]"),
        ("Write a greeting.", "", "Hello <your name>, welcome!"),
        ("Write a product text.", "", "Lorem ipsum dolor sit amet."),
        ("Write an advertisement.", "", "Call us at XXX-XXXX today."),
        ("Describe the plan.", "", "Step one: TODO"),
        ("Write an invitation.", "", "The party is on (insert date here)."),
        ("Say hello.", "", "Hello {{name}}!"),
        ("Shorten the text.", "Your text here", "Text"),
        # Missed: other words.
        ("Write a note to the boss.", "", "Dear [the boss], I am ill."),
    ),
    "template": (
        ("Classify the review.", "Good phone.\nClass label: positive", "positive"),
        ("Name a fruit.", "", "Apple\n\nTask 9: Name a colour."),
        ("Name a fruit.", "", "Apple\nExample 2\nPear"),
        ("Add the numbers.", "2 and 3", "5\nInput: 3 and 4\nOutput: 7"),
        ("Name a fruit. Output:", "", "Apple"),
        ("Name a river.", "", "Elbe<|endoftext|>"),
        ("Name a river.", "<noinput>", "Elbe"),
        ("Name a lake.", "", "### Response: Lake Constance"),
        ("Name a wine.", "", "<think>\nOne name.\n</think>\n\nRiesling."),
        ("Name a sweet wine in your prompt.", "", "<think>\nOne name is enough, but which"),
        ("Name a red wine.", "", "They want one name.\n</think>\n\nMerlot."),
        ("Name a port.", "", "<reasoning>short</reasoning>Tawny."),
        ("Name a sherry.", "[THINK]Which?[/THINK]", "Fino."),
        ("Name a beer.", "", "<|channel|>analysis<|message|>One.<|end|><|start|>assistant<|channel|>final<|message|>Pils."),
        ("List two towns. Example 1", "", "Bonn, Ulm"),
        # Missed: another language.
        ("Nenne einen Fluss.", "", "Elbe\nAufgabe 9: Nenne einen See."),
    ),
    "truncated": (
        ("Explain how bees make honey.", "", "Bees collect nectar from flowers and carry it to the"),
        ("Describe a day at sea.", "", "We left the harbour early, the wind was fresh,"),
        ("Tell me about Rome.", "", "Rome is an old city that was founded by (according to legend) Romulus and"),
        ("Show how to print in Python.", "", "```python\nprint(1)"),
        ("Why do leaves fall?", "", "Leaves fall in autumn every year because"),
        ("Describe the process of baking.", "", "First mix the flour with water, then add salt and yeast –"),
        # Missed: five words; any other word at the end.
        ("Tell me about Bonn.", "", "Bonn was once the seat of the West German"),
        ("Tell me about Ulm.", "", "Ulm has a minster whose spire is among the highest in all"),
    ),
    "email": (
        ("Say where to write.", "", "Write to jane.doe@somewhere.org for tickets."),
        ("Find the address.", "From: k.m+list@mail.uni-town.de", "k.m+list@mail.uni-town.de"),
        ("Write to info@studio.io and ask.", "", "Done."),
        ("Give contact data.", "", "E-mail: A_B@firm.co.uk"),
        # Missed.
        ("Say where to write.", "", "jane at company dot com"),
    ),
    "phone": (
        ("Say whom to call.", "", "Call (202) 456-1111."),
        ("Say whom to call.", "", "Ring +49 30 1234567 in the morning."),
        ("Give contact data.", "", "Tel: 030 123456-78"),
        ("Give contact data.", "Phone number 0171 2345678", "none"),
        ("Say whom to call.", "", "202-456-1111"),
        # Missed: a national form without such a word.
        ("Say whom to ring.", "", "Ring 0171/2345678."),
    ),
    "secret": (
        ("Show a configuration.", "", "key = AKIA" + "ABCDEFGHIJKLMNOP"),
        ("Show a configuration.", "", "token: ghp_" + _LETTERS + "D"),
        ("Show a configuration.", "", "-----BEGIN RSA " + "PRIVATE KEY-----"),
        ("Show a configuration.", "", 'api_key: "' + _LETTERS[:20] + '"'),
        ("Show a configuration.", "", "Use sk-" + _LETTERS),
        ("What is the password?", "", "The password is " + _LETTERS[:18]),
        # Missed: short.
        ("What is the password?", "", "The password is hunter2."),
    ),
    "account": (
        ("Where to pay?", "", "Pay to DE89 3704 0044 0532 0130 00."),
        ("Where to pay?", "", "GB82WEST12345698765432"),
        ("Name the card.", "", "4111 1111 1111 1111"),
        ("Name the card.", "5500-0055-5555-5559", "a credit card"),
        # Missed: a national number.
        ("Where to pay?", "", "Account 532013000, bank code 37040044"),
    ),
}

SOUND: dict[str, tuple[Row, ...]] = {
    "repeats": (
        ("Simplify the sentence.", "The feline reposed upon the rug.", "The cat lay on the rug."),
        ("Repeat the sentence twice.", "The cat sat on the mat.", "The cat sat on the mat."),
        ("Find the name.", "Anna", "Anna"),
        ("Find the animal.", "The old cat sat on the mat.", "The old cat"),
        ("Correct the sentence.", "He go to school every day.", "He goes to school every day."),
        ("Name the capital of France.", "", "Paris"),
        ("Add the missing punctuation.", "where is the cat it is here", "Where is the cat? It is here."),
        # Reported wrongly: there was nothing to correct.
        ("Correct the sentence.", "He goes to school every day.", "He goes to school every day."),
    ),
    "missing-input": (
        ("Summarise the following text.", "Bees make honey.", "About bees."),
        ("Translate the following sentence: I like tea.", "", "J'aime le thé."),
        ("Sort the given numbers 3, 1, 2.", "", "1, 2, 3"),
        ("Name three rivers.", "", "Elbe, Oder, Rhine"),
        ("Explain the phrase “the following text” in a contract.", "", "It means what comes next."),
        ("Write a story about a lost letter.", "", "Once upon a time ..."),
        ("Correct the following sentence:\nHe go home.", "", "He goes home."),
        ("Write a joke about 'I hope this email finds you well' as an opening.", "", "It found me in bed."),
        # Reported wrongly: the question is the instruction.
        ("Answer this question with yes or no, is water wet", "", "yes"),
    ),
    "refusal": (
        ("Decline an invitation politely by e-mail.", "", "I'm sorry, but I can't make it on Friday."),
        ("Describe the concert.", "", "I can't believe how good it was."),
        ("Write an apology.", "", "I am sorry that I was late."),
        ("What is AI?", "", "AI is the field of thinking machines."),
        ("Tell a story.", "", "“I cannot go,” said the old man."),
        ("What does a chatbot say when it cannot answer?", "", "As an AI, I do not know."),
        ("Name a feeling.", "", "Sorry is what one feels after a mistake."),
        # Reported wrongly: a diary.
        ("Write a diary entry of a sailor.", "", "I cannot see land any more. The wind is fresh."),
    ),
    "placeholder": (
        ("Write a letter template with placeholders.", "", "Dear [Recipient], ... [Your Name]"),
        ("Give a list in Python.", "", "[1, 2, 3] and ['name']"),
        ("Write 31 in Roman numerals.", "", "XXXI, one more than XXX"),
        ("Write a heading in HTML.", "", "<h1>My title</h1>"),
        ("Cite the source.", "", "As shown before [12], it works."),
        ("Write a note.", "", "Dear Ann, your name came up."),
        ("Describe the column.", "The date is stored as YYYY-MM-DD.", "A date"),
        # Reported wrongly: thirty.
        ("Which king reigned longest?", "", "Nobody knows of a Pepi XXX."),
    ),
    "template": (
        ("Give an example of a simile.", "", "For example, as brave as a lion."),
        ("Write a program that adds.", "", "Input: 2 3\nOutput: 5"),
        ("Say what a task is.", "", "A task is something to do."),
        ("Name a fruit.", "", "Apple"),
        ("Describe the label of a class.", "", "A class has a label: its name."),
        ("Write a tag in HTML.", "", "<span>text</span>"),
        ("Explain what `<think>` is for.", "", "A model writes its thoughts between <think> and </think>."),
        # Reported wrongly: a textbook.
        ("Explain fractions.", "", "Example 1: one half.\nExample 2: one third."),
    ),
    "truncated": (
        ("List three fruits.", "", "apples, pears, plums"),
        ("Describe honey.", "", "Honey is a sweet food that bees make."),
        ("Complete the sentence.", "I went", "I went to the market because I wanted to buy the"),
        ("Name a preposition.", "", "of"),
        ("Write a title for the story.", "", "The long way home from the sea"),
        ("Show how to print.", "", "```python\nprint(1)\n```"),
        ("Write a haiku.", "", "Old pond in the wood,\na frog leaps from the dark and\nthe water is with"),
        # Reported wrongly: a sound end in a preposition.
        ("What would you ask about a house?", "", "I would ask what it is made of"),
    ),
    "email": (
        ("Say where to write.", "", "Write to jane@example.com for tickets."),
        ("Name an account.", "", "Follow us: @studio"),
        ("Give a price.", "", "3 apples @ 20 cents"),
        ("Show a test address.", "", "user@mail.test"),
        ("Write a decorator.", "", "@app.route('/')"),
        # Reported wrongly: a version, not an address.
        ("Which package?", "", "react@18.latest.stable"),
    ),
    "phone": (
        ("Give dates.", "", "From 1990 to 2005, on 2020-01-15."),
        ("Say whom to call.", "", "Call (202) 555-0143."),
        ("Count.", "", "1 2 3 4 5 6 7 8"),
        ("Give a large number.", "", "1234567890"),
        ("Call at ten.", "", "Call at 10.30, room 12"),
        ("Give the ISBN.", "", "978-0-306-40615-7"),
        ("Give the number.", "+44 (0)161 496 0203", "+442079460018"),
        # Reported wrongly: a gain.
        ("By how much did it rise?", "", "+1 234 567 890 since 1990"),
    ),
    "secret": (
        ("Explain passwords.", "", "Your password should have twelve characters."),
        ("Explain success.", "", "The secret is: practice."),
        ("Name a hash.", "", "d41d8cd98f00b204e9800998ecf8427e"),
        ("Name a token.", "", "A bearer of good news"),
        ("Write code.", "", "password = getpass.getpass()"),
        # Reported wrongly: a name with a digit.
        ("Write code.", "", "api_key = settings.first_api_key_2"),
    ),
    "account": (
        ("Name the card.", "", "4111 1111 1111 1112"),
        ("Where to pay?", "", "DE89 3704 0044 0532 0130 01"),
        ("Give the ISBN.", "", "978-0-306-40615-7"),
        ("Give a large number.", "", "3141592653589793"),
        ("Give zeros.", "", "4000000000000000"),
        # Reported wrongly: a number that passes Luhn's check by chance.
        ("Give a large number.", "", "3141592653589796"),
    ),
}
