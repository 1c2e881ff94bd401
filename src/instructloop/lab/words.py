"""The closed vocabulary: every noun, name and verb of the small world, and the classes that slots of its sentences are read by."""

from collections.abc import Mapping

MEN = (
    "Max", "Tom", "Ben", "Sam", "Leo", "Jack", "Paul", "Peter", "Hugo", "Felix",
    "Oscar", "Simon", "Jonas", "Adam", "Henry", "Karl", "Noah", "David", "Martin", "Lukas",
)  # fmt: skip
WOMEN = (
    "Anna", "Lily", "Emma", "Mia", "Ella", "Nina", "Clara", "Ida", "Ruth", "Vera",
    "Alice", "Edith", "Julia", "Sara", "Maria", "Eva", "Greta", "Iris", "Olga", "Paula",
)  # fmt: skip
PEOPLE = (*MEN, *WOMEN)

MAMMALS = ("cow", "horse", "sheep", "goat", "pig", "dog", "cat", "fox", "rabbit", "mouse", "bear", "wolf")
BIRDS = ("hen", "owl", "duck", "goose", "crow", "swan")
FISH = ("trout", "salmon", "pike")
INSECTS = ("bee", "ant", "beetle")
ANIMALS = (*MAMMALS, *BIRDS, *FISH, *INSECTS)
PETS = ("dog", "cat", "rabbit", "mouse", "horse", "hen", "goat", "duck", "goose", "sheep")

TOWNS = (
    "Oakford", "Millbrook", "Redhill", "Stonebridge", "Greenfield", "Lakeside",
    "Ashton", "Westport", "Norwick", "Fairview", "Brinley", "Seaton",
)  # fmt: skip
JOBS = (
    "baker", "farmer", "teacher", "doctor", "painter", "singer", "cook", "driver",
    "gardener", "nurse", "pilot", "sailor", "tailor", "writer", "carpenter", "fisher",
)  # fmt: skip
PLACES = ("park", "garden", "forest", "kitchen", "school", "library", "barn", "village", "shop", "field", "street", "museum", "cellar", "castle")

FRUITS = ("apple", "pear", "plum", "cherry", "banana", "lemon", "grape", "peach")
VEGETABLES = ("carrot", "onion", "potato", "pea", "bean", "cabbage", "cucumber", "pumpkin")
PRODUCE = (*FRUITS, *VEGETABLES)
DISHES = ("soup", "bread", "cheese", "cake", "rice", "honey", "pie", "porridge", "salad", "pasta", "chocolate", "jam")
DRINKS = ("water", "milk", "tea", "juice", "lemonade", "cocoa")

CLOTHES = ("hat", "coat", "scarf", "shirt", "dress", "jacket", "belt", "cap")
TOOLS = ("hammer", "rope", "brush", "ladder", "spade", "bucket", "needle")
TOYS = ("ball", "kite", "doll", "drum", "puzzle", "boat", "whistle")
THINGS = ("book", "box", "cup", "key", "lamp", "chair", "clock", "bag", "umbrella", "bottle", "spoon", "plate")
RARE_THINGS = ("bell", "mirror", "candle", "basket", "ring", "pillow", "flute", "coin", "vase", "carpet")
"""Things that no training prompt and no demonstration speaks of."""
OBJECTS = (*CLOTHES, *TOOLS, *TOYS, *THINGS, *RARE_THINGS)

COLOURS = ("red", "blue", "green", "yellow", "white", "black", "brown", "grey", "purple", "orange")
COATS = COLOURS[:8]
"""Colours that things have."""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GLAD = ("happy", "glad", "proud", "merry")
SAD = ("sad", "angry", "worried", "tired")
MOODS = (*GLAD, *SAD)
WEATHER = ("sunny", "cold", "warm", "windy", "rainy", "foggy")

SITES = ("by the sea", "on a river", "on a hill", "near a lake", "in the mountains", "near a big forest")
FODDER = ("grass", "seeds", "fish", "leaves", "meat", "corn", "worms", "flowers", "flies", "cheese", "berries", "roots")
HOMES = ("on a farm", "in the forest", "in a house", "near a lake", "in a river", "in a hole", "in a garden")
KINDS = ("mammal", "bird", "fish", "insect")
SORTS = ("fruit", "vegetable")
VERDICTS = ("good", "bad")
MANNERS = ("friendly", "rude")
GOODS = ("cheese", "bread", "honey", "boats", "clocks", "hats", "cakes", "lamps", "drums", "apples", "bells", "horses")

VERBS: Mapping[str, tuple[str, str]] = {
    "finds": ("found", "find"),
    "loses": ("lost", "lose"),
    "buys": ("bought", "buy"),
    "makes": ("made", "make"),
    "paints": ("painted", "paint"),
    "hides": ("hid", "hide"),
    "breaks": ("broke", "break"),
    "sees": ("saw", "see"),
    "sells": ("sold", "sell"),
    "carries": ("carried", "carry"),
}
"""Third person -> past and plain form of the verbs that happen to things."""
PAST = {present: forms[0] for present, forms in VERBS.items()}
PLAIN: Mapping[str, str] = dict(VERBS.values())
GAINS = ("found", "bought", "made", "painted", "saw", "carried")
"""Past forms after which one is glad; after the others one is not."""

NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10}

CATEGORIES: Mapping[str, tuple[str, ...]] = {
    "animals": ANIMALS,
    "mammals": MAMMALS,
    "birds": BIRDS,
    "pets": PETS,
    "fruits": FRUITS,
    "vegetables": VEGETABLES,
    "things to eat": (*DISHES, *PRODUCE),
    "things to drink": DRINKS,
    "clothes": CLOTHES,
    "tools": TOOLS,
    "toys": TOYS,
    "jobs": JOBS,
    "colours": COLOURS,
    "towns": TOWNS,
    "days of the week": DAYS,
    "kinds of weather": WEATHER,
}
"""What lists are asked of -> everything that belongs there."""

ROLES = (*ANIMALS, *JOBS)
PRONOUNS = ("he", "she", "it")

OPENINGS = ("One day", "Once", "Yesterday", "Last week", "This morning")
"""How stories start."""


def pronoun(person: str) -> str:
    """he or she."""
    return "she" if person in WOMEN else "he"


def possessive(person: str) -> str:
    """his or her."""
    return "her" if person in WOMEN else "his"


def with_article(noun: str) -> str:
    """a ball, an owl."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def joined(items: tuple[str, ...] | list[str]) -> str:
    """apple, pear and plum."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def capitalised(text: str) -> str:
    """The text with a capital at its start."""
    return text[:1].upper() + text[1:]


LEXICON: Mapping[str, tuple[str, ...]] = {
    "person": PEOPLE,
    "animal": ANIMALS,
    "pet": PETS,
    "job": JOBS,
    "role": ROLES,
    "who": (*PEOPLE, *(f"the {role}" for role in ROLES), *(with_article(role) for role in ROLES), *PRONOUNS),
    "friend": (*PEOPLE, "a friend"),
    "child": ("boy", "girl"),
    "opening": OPENINGS,
    "pro": PRONOUNS,
    "his": ("his", "her", "its"),
    "him": ("him", "her", "it"),
    "town": TOWNS,
    "place": PLACES,
    "object": OBJECTS,
    "produce": PRODUCE,
    "dish": DISHES,
    "drink": DRINKS,
    "clothing": CLOTHES,
    "toy": TOYS,
    "colour": COLOURS,
    "day": DAYS,
    "mood": MOODS,
    "glad": GLAD,
    "sad": SAD,
    "weather": WEATHER,
    "site": SITES,
    "fodder": FODDER,
    "home": HOMES,
    "kind": KINDS,
    "sort": SORTS,
    "goods": GOODS,
    "does": tuple(VERBS),
    "did": tuple(PAST.values()),
    "do": tuple(PLAIN),
    "plain": tuple(PLAIN.values()),
    "label": (*VERDICTS, *MANNERS, *SORTS),
    "number": tuple(NUMBERS),
    "category": tuple(CATEGORIES),
}
"""Class of a slot -> what may stand there."""
