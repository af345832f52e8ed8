"""How well memories are found: thirty notes, each asked for once in other words."""

from __future__ import annotations

from app.memory.vectors.embedder import EmbedderSource, embed

# What an agent or a person noted, and how somebody asks for it later. Written once, not tuned.
PAIRS = [
    ("Marta cannot eat anything with peanuts", "Which food is our colleague allergic to?"),
    (
        "The nightly backup of the orders starts at half past two",
        "When do we save copies of data?",
    ),
    ("Prefer short answers without bullet lists", "What style of reply does the person like?"),
    ("The staging server was moved to Frankfurt in March", "Where is the test machine hosted?"),
    ("Jonas rides his bicycle to the office every day", "How does he commute to work?"),
    ("Invoices above 10,000 euros need two signatures", "Who has to approve large bills?"),
    ("The coffee machine on the third floor is broken", "Is there a problem with the espresso?"),
    ("Our customer in Oslo pays in Norwegian kroner", "What currency does the Nordic client use?"),
    ("Deployments are forbidden on Fridays after noon", "May I release before the weekend?"),
    ("Elena's daughter was born on the ninth of May", "When is her child's birthday?"),
    ("The API key of the weather service expires in August", "Which credential must be renewed?"),
    ("Pavel speaks Czech, German and a little Japanese", "Which languages does he know?"),
    ("Meeting room Blue has no projector", "Where can we not show slides?"),
    ("The checkout fails when the cart has more than 99 items", "Bug with too many products"),
    ("She would rather be called by phone than get e-mail", "How should I contact her?"),
    (
        "The flight to Lisbon leaves on Tuesday at six o'clock",
        "When is the plane departing?",
    ),
    ("Use tabs instead of spaces in the legacy repository", "Indentation rule of the old code"),
    ("The landlord raised the rent of the warehouse by five percent", "Storage got more expensive"),
    ("Ibrahim is away on parental leave until September", "Who is absent with a new baby?"),
    ("The red button on the pump stops the whole production line", "Emergency halt of the factory"),
    ("Redis is only used for caching, never as a source of truth", "Role of the in-memory store"),
    ("The dog is afraid of thunder and hides under the bed", "How does the pet react to storms?"),
    ("Passwords have to be changed every ninety days", "How often do we rotate our logins?"),
    ("The violin lesson was postponed to Thursday", "When is music class now?"),
    ("Our German supplier closes for two weeks in August", "Vendor holidays in summer"),
    ("Grandmother's apple cake needs a pinch of cardamom", "Secret ingredient of the dessert"),
    ("The lawyer advised us not to sign the new contract", "Legal opinion about the agreement"),
    ("He lost his wallet on the train to Milan", "What was missing after the rail journey?"),
    ("The mobile app crashes on phones with Android 9", "Trouble with old smartphone versions"),
    ("Solar panels on the roof produce most of the power", "Where does the electricity come from?"),
]


def test_paraphrases_find_their_note_among_the_first_five() -> None:
    embedder = EmbedderSource().get(60)
    notes = embed(embedder, [note for note, _ in PAIRS]).vectors
    questions = embed(embedder, [question for _, question in PAIRS]).vectors
    ranks = [
        int((scores > scores[number]).sum()) for number, scores in enumerate(questions @ notes.T)
    ]
    missed = [PAIRS[number][1] for number, rank in enumerate(ranks) if rank >= 5]
    assert len(PAIRS) == 30 and len(PAIRS) - len(missed) >= 25, missed
