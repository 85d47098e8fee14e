"""BLEU: clipped counts, corpus and sentence scores."""

import collections
import logging

import numpy as np
from sacrebleu.metrics import BLEU

from dlref.metrics import bleu_counts, corpus_bleu, sentence_bleu
from tests.bounds import Exact, Normwise
from tests.cases import Bench, Case, Convention, Edge, Proof, Row

logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # its advice to use the effective order

WORDS = [f"w{i}" for i in range(400)]


def corpus(rng, sentences=40, references=3):
    """Sentences of 1 to 30 frequent and rare words, and references that share most of each."""
    chance = 1 / np.arange(1, len(WORDS) + 1)
    chance /= chance.sum()

    def text(words):
        return [WORDS[k] for k in rng.choice(len(WORDS), words, p=chance)]

    def varied(words):
        kept = [word if rng.random() < 0.8 else text(1)[0] for word in words]
        return kept[: len(kept) - int(rng.integers(0, 3))] or kept

    candidates = [text(int(n)) for n in rng.integers(1, 31, sentences)]
    return candidates, [[varied(words) for _ in range(rng.integers(1, references + 1))] for words in candidates]


def lines(candidates, references):
    """Return the corpus as sacrebleu takes it: one string a sentence, references by their place."""
    most = max(len(several) for several in references)
    places = [[" ".join(s[k]) if k < len(s) else None for s in references] for k in range(most)]
    return [" ".join(words) for words in candidates], places


def sacrebleu(smoothing, value=None, effective_order=False, order=4):
    return BLEU(
        tokenize="none",
        smooth_method=smoothing,
        smooth_value=value,
        effective_order=effective_order,
        max_ngram_order=order,
        force=True,
    )


def corpus_score(candidates, references, order=4, smoothing="none", value=None):
    got = sacrebleu(smoothing, value, order=order).corpus_score(*lines(candidates, references))
    return got.score / 100, tuple(p / 100 for p in got.precisions), got.bp, got.sys_len, got.ref_len


def by_counter(candidates, references, order):
    """The definition, with a counter for each sentence and order."""
    matches = np.zeros((len(candidates), order), int)
    for s, (words, several) in enumerate(zip(candidates, references, strict=True)):
        for n in range(1, order + 1):
            mine, *theirs = (
                collections.Counter(tuple(t[i : i + n]) for i in range(len(t) - n + 1)) for t in (words, *several)
            )
            matches[s, n - 1] = sum(min(c, max(t[gram] for t in theirs)) for gram, c in mine.items())
    totals = [[max(len(words) - n, 0) for n in range(order)] for words in candidates]
    lengths = [len(words) for words in candidates]
    closest = [
        min((abs(len(t) - n), len(t)) for t in several)[1] for n, several in zip(lengths, references, strict=True)
    ]
    return matches, np.array(totals), np.array(lengths), np.array(closest)


SMOOTHINGS = (("none", None), ("floor", 0.3), ("add-k", 2.0), ("exp", None))

CASES = [
    Case(
        bleu_counts,
        corpus,
        "the definition with counters",
        by_counter,
        kwargs={"order": 5},
        sweep={"400 sentences": lambda rng, dtype: corpus(rng, 400)},
        bound=Exact(),
        refuses=[
            ((["a b"], [["a b"]]), {}, TypeError, "candidates: expected sentences split into tokens, got a string"),
            (([["a"]], ["ab"]), {}, TypeError, "references: expected sentences split into tokens, got a string"),
            (([["a"]], []), {}, ValueError, "references: expected one list for each of 1 candidates, got 0"),
            (([["a"]], [[]]), {}, ValueError, "references: expected at least one for each sentence, got none"),
            (([["a"]], [[["a"]]], 0), {}, ValueError, "order: expected an integer at least 1, got 0"),
        ],
    ),
    *(
        Case(
            corpus_bleu,
            corpus,
            "sacrebleu from the same tokens",
            corpus_score,
            kwargs={"smoothing": smoothing, "value": value},
            bound=Normwise(length=1000),
            label=smoothing,
            refuses=[
                (([["a"]], [[["a"]]], 4, "nist"), {}, ValueError, "smoothing: expected one of 'none', 'floor', 'add-k'")
            ]
            * (smoothing == "none"),
        )
        for smoothing, value in SMOOTHINGS
    ),
]


def sentences(dtype):
    """The worst difference from sacrebleu over all smoothings, with and without the effective order."""
    candidates, references = corpus(np.random.default_rng(5), 60)
    worst = 0.0
    for smoothing, value in SMOOTHINGS:
        for effective in (True, False):
            got = sentence_bleu(candidates, references, 4, smoothing, value, effective)
            judge = sacrebleu(smoothing, value, effective)
            want = [
                judge.sentence_score(" ".join(words), [" ".join(t) for t in several]).score / 100
                for words, several in zip(candidates, references, strict=True)
            ]
            worst = max(worst, np.abs(got - want).max())
    return worst, 8 * len(candidates)


# The candidates and references of examples 1 and 2 of Papineni et al. (2002).
ONE = "It is a guide to action which ensures that the military always obeys the commands of the party"
TWO = "It is to insure the troops forever hearing the activity guidebook that party direct"
REFERENCES = (
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
)
SEVEN = "the the the the the the the"
CATS = ("the cat is on the mat", "there is a cat on the mat")


def published(dtype):
    """How many of the published counts differ: 17/18, 10/17; 8/14, 1/13; 2/7."""
    split = [[text.lower().split() for text in REFERENCES]] * 2 + [[text.split() for text in CATS]]
    counts = bleu_counts([ONE.lower().split(), TWO.lower().split(), SEVEN.split()], split, order=2)
    want = [(17, 18), (10, 17), (8, 14), (1, 13), (2, 7)]
    got = list(zip(counts.matches.ravel().tolist(), counts.totals.ravel().tolist(), strict=True))[:5]
    return sum(g != w for g, w in zip(got, want, strict=True)), 5


PROOFS = [
    Proof(
        [sentence_bleu],
        "sacrebleu from the same tokens",
        "60 sentences, four smoothings, effective order and not",
        "absolute",
        4e-15,
        sentences,
        dtypes=("float64",),
    ),
    Proof(
        [bleu_counts],
        "the worked examples of Papineni et al. (2002)",
        "modified unigram and bigram precisions",
        "count",
        0,
        published,
        dtypes=("float64",),
    ),
]

ABC = [["a", "b", "c"]], [[["a", "b", "c"]]]

EDGES = [
    Edge(
        corpus_bleu,
        ([["a", "b", "c", "d"]], [[["a", "b", "c", "d"]]]),
        (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4, 4),
        "the reference itself",
        input="a b c d; a b c d",
        output="1",
    ),
    Edge(
        corpus_bleu,
        ([["d", "c", "b", "a"]], [[["a", "b", "c", "d"]]]),
        (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 4, 4),
        "no order above 1 matches, and no smoothing",
        input="d c b a; a b c d",
        output="0, unigrams 1",
    ),
    Edge(
        sentence_bleu,
        ABC,
        (np.array([1.0]),),
        "too short for 4-grams: three orders count",
        input="a b c; a b c",
        output="1",
    ),
    Edge(
        sentence_bleu,
        ABC,
        (np.array([0.0]),),
        "with all four orders it scores 0, whatever it says",
        kwargs={"effective_order": False},
        input="a b c; a b c, effective_order=False",
        output="0",
    ),
    Edge(
        sentence_bleu,
        ([["x", "y"]], [[["a", "b"]]]),
        (np.array([0.0]),),
        "no match at all: 0, smoothed or not",
        input="x y; a b",
        output="0",
    ),
    Edge(sentence_bleu, ([[]], [[["a"]]]), (np.array([0.0]),), "an empty candidate", input="(empty); a", output="0"),
    Edge(sentence_bleu, (["a b"], [[["a", "b"]]]), TypeError, "a string is not split into tokens", input='"a b"; a b'),
]
TEXT = "It's a well-known fact, he said."
RESPELLED = "It's a well-known fact, they said."


def tokenized(name):
    def score():
        return BLEU(tokenize=name, force=True).corpus_score([TEXT], [[RESPELLED]]).score

    return score


BROKEN = ["the", "quick", "brown", "cat", "jumps", "high"], [["the", "fast", "brown", "cat", "leaps", "high"]]


def smoothed(smoothing, pair=BROKEN):
    return lambda: sentence_bleu([pair[0]], [pair[1]], smoothing=smoothing)[0]


def brevity(length):
    return lambda: np.exp(min(0.0, 1 - length / 5))


TIE = ["a", "b", "c", "d", "e"], [["a", "b", "c", "d"], ["a", "b", "c", "d", "e", "f"]]

TWO_SENTENCES = (
    [["the", "cat", "sat", "on", "the", "mat", "today"], ["it", "rained"]],
    [[["the", "cat", "sat", "on", "the", "rug", "today"]], [["it", "rained"]]],
)

CONVENTIONS = [
    Convention(
        "bleu-score",
        "bleu-score-tokens",
        "Tokens",
        f"{TEXT!r} against the same with 'they'",
        [
            Row("sacrebleu", f"`tokenize={name!r}`", shown, tokenized(name), format="{:.1f}", package="sacrebleu")
            for name, shown in (("none", "53.7"), ("13a", "59.5"), ("intl", "76.9"), ("char", "82.2"))
        ],
    ),
    Convention(
        "bleu-score",
        "bleu-score-smoothing",
        "A sentence of which no three words in a row match",
        "'the quick brown cat jumps high' against 'the fast brown cat leaps high'",
        [
            Row("dlref", f"`smoothing={name!r}`", shown, smoothed(name), format="{:.4f}", package="dlref")
            for name, shown in (("none", "0.0000"), ("floor", "0.1027"), ("add-k", "0.3247"), ("exp", "0.1930"))
        ]
        + [
            Row(
                "sacrebleu",
                "its default for sentences, `exp`, from 0 to 100",
                "19.30",
                lambda: (
                    sacrebleu("exp", effective_order=True)
                    .sentence_score(" ".join(BROKEN[0]), [" ".join(BROKEN[1][0])])
                    .score
                ),
                format="{:.2f}",
                package="sacrebleu",
            )
        ],
    ),
    Convention(
        "bleu-score",
        "bleu-score-length",
        "The reference length of two references",
        "5 words, references of 4 and 6 words: the brevity penalty",
        [
            Row(
                "dlref",
                "the closest, of two the shorter",
                "1.0000",
                lambda: corpus_bleu([TIE[0]], [TIE[1]]).brevity_penalty,
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "sacrebleu",
                "the same",
                "1.0000",
                lambda: sacrebleu("none").corpus_score(*lines([TIE[0]], [TIE[1]])).bp,
                format="{:.4f}",
                package="sacrebleu",
            ),
            Row("another rule", "the closest, of two the longer", "0.8187", brevity(6), format="{:.4f}"),
        ],
    ),
    Convention(
        "bleu-score",
        "bleu-score-corpus",
        "Two sentences, one number",
        "seven words with one wrong, and two words that are right",
        [
            Row(
                "dlref",
                "`corpus_bleu`",
                "0.6606",
                lambda: corpus_bleu(*TWO_SENTENCES).score,
                format="{:.4f}",
                package="dlref",
            ),
            Row(
                "sacrebleu",
                "`corpus_score`, from 0 to 100",
                "66.06",
                lambda: sacrebleu("none").corpus_score(*lines(*TWO_SENTENCES)).score,
                format="{:.2f}",
                package="sacrebleu",
            ),
            Row(
                "dlref",
                "the mean of `sentence_bleu`",
                "0.8217",
                lambda: sentence_bleu(*TWO_SENTENCES).mean(),
                format="{:.4f}",
                package="dlref",
            ),
        ],
    ),
]


def scoring(_):
    candidates, references = corpus(np.random.default_rng(0), 2000, 1)
    texts = lines(candidates, references)
    judge = sacrebleu("none")
    return lambda: corpus_bleu(candidates, references), lambda: judge.corpus_score(*texts)


def sentence_scoring(_):
    candidates, references = corpus(np.random.default_rng(0), 500, 1)
    judge = sacrebleu("exp", effective_order=True)
    texts = [(" ".join(words), [" ".join(several[0])]) for words, several in zip(candidates, references, strict=True)]
    return lambda: sentence_bleu(candidates, references), lambda: [judge.sentence_score(*pair) for pair in texts]


def counting(_):
    candidates, references = corpus(np.random.default_rng(0), 2000, 1)
    texts, judge = lines(candidates, references), sacrebleu("none")
    # what corpus_score does before it adds up; sacrebleu has no public name for it
    return lambda: bleu_counts(candidates, references), lambda: judge._extract_corpus_statistics(*texts)


ONCE = {"dtypes": ("float64",), "aim": 5.0}
BENCH = [
    Bench("metrics.bleu_counts", "sacrebleu's counts, tokenize='none'", "2,000 sentences", counting, **ONCE),
    Bench("metrics.corpus_bleu", "sacrebleu, tokenize='none'", "2,000 sentences", scoring, **ONCE),
    Bench("metrics.sentence_bleu", "sacrebleu, each sentence", "500 sentences", sentence_scoring, **ONCE),
]
