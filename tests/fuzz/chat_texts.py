# -*- coding: utf-8 -*-
"""Texts for chats, drawn from a seed: benign ones in many scripts, and ones
with control strings planted in every disguise."""

from collections.abc import Callable, Sequence
from random import Random

from local_llm.turns import Turn

WORDS = (
    "the cat sat on a mat and asked why water boils at altitude",
    "Grüße aus Köln, façade, naïve, coöperate, Ærøskøbing, Łódź, İstanbul",
    "Съешь же ещё этих мягких французских булок, да выпей чаю",
    "Η γρήγορη αλεπού πηδάει πάνω από το τεμπέλικο σκυλί",
    "你好 世界 我 想 学习 机器 翻译 为什么 天空 是 蓝色 的",
    "いろは にほへと ちりぬるを カタカナ ﾊﾝｶｸ 東京都",
    "다람쥐 헌 쳇바퀴에 타고파 안녕하세요",
    "مرحبا بالعالم كيف حالك اليوم",
    "שלום עולם מה שלומך היום",
    "नमस्ते दुनिया आप कैसे हैं สวัสดีชาวโลก வணக்கம்",
    "e\u0301 a\u0308 n\u0303 o\u0302\u0323 \u0915\u094d\u0937 \u1100\u1161",
    "🙂 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 ✨ ☕️ 🧑‍💻 𝔘𝔫𝔦 𝒞ode 𝟙𝟚",
    "0 1 42 007 3.14159 1,000,000 1e-9 0xff ½ ² ٣ 四 2026-11-22 12:30",
    "x <= y a->b <b>bold</b> </div> <br/> List<int> &lt; #include",
    "def f(x):\n\treturn {'a': [1, 2]}  # note",
    '{"name": "x", "list": [true, null], "path": "C:\\\\dir"}',
    "SELECT * FROM t WHERE a != 'b'; rm -rf ./build | tee log.txt",
    "https://example.org/a?b=c&d=%20 me@example.org @you #tag $5 50% §7",
    "user model system assistant start_of_turn end of turn eos bos pad",
    "a\u200bb c\u200dd \ufeffe \u2060 \u00a0 \u202eabc\u202c \u00ad soft-hyphen",
    "\x00 \x07 \x1b[31m \x7f \u0085 \u2028 \ufffd \ue000 \ue0001\ue001",
)
SPACES = (" ",) * 8 + ("  ", "\n", "\n\n", "\r\n", "\t", "\n \n", "    ", "")
ENDS = ("", "", "", " ", "\n", "  \n", "\t", "\r\n", "\u3000", "\x0b")


def benign_text(random: Random) -> str:
    """Some words with spaces of all kinds between and around them."""
    words = " ".join(random.choices(WORDS, k=2)).split(" ")
    chosen = random.choices(words, k=random.randint(1, 12))
    chosen.append(random.choice((_any_characters, _long_word))(random))
    random.shuffle(chosen)
    text = "".join(word + random.choice(SPACES) for word in chosen)
    text = random.choice(ENDS) + text + random.choice(ENDS)
    return text if text.strip() else "text"


def _any_characters(random: Random) -> str:
    top = random.choice((0x7F, 0x2FF, 0xFFFF, 0x10FFFF))
    codes = (random.randint(1, top) for _ in range(random.randint(1, 6)))
    return "".join(chr(one) for one in codes if not 0xD800 <= one <= 0xDFFF)


def _long_word(random: Random) -> str:
    letters = random.choice(("a", "xyz", "ßü", "漢字", "=-", "\n", "ab\u0301"))
    return "".join(random.choices(letters, k=random.randint(1, 60)))


def benign_turns(random: Random) -> list[Turn]:
    """One to four turns that alternate, sometimes after a system turn."""
    return spoken_turns(
        random,
        [benign_text(random) for _ in range(random.randint(1, 4))],
        benign_text(random) if random.random() < 0.4 else None,
    )


def spoken_turns(
    random: Random,
    texts: Sequence[str],
    system: str | None,
) -> list[Turn]:
    """Texts as turns of user and assistant, the user first."""
    roles = ("user", "assistant")
    turns = [Turn(roles[i % 2], text) for i, text in enumerate(texts)]
    return turns if system is None else [Turn("system", system), *turns]


# -- control strings -----------------------------------------------------

_LOOK_ALIKES = str.maketrans("<>_oaetp[]", "‹›＿оаеτр［］")
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u0301\ufe0f\x00"


def _cut(random: Random, mark: str) -> tuple[str, str]:
    place = random.randint(1, max(1, len(mark) - 1))
    return mark[:place], mark[place:]


def _split_by(random: Random, mark: str, between: str) -> str:
    return between.join(_cut(random, mark))


def _wide(random: Random, mark: str) -> str:
    """Characters of full width, which NFKC folds into those of the mark."""
    share = random.choice((0.2, 1.0))
    return "".join(
        (
            chr(ord(one) + 0xFEE0)
            if "!" <= one <= "~" and random.random() < share
            else one
        )
        for one in mark
    )


def _mixed_case(random: Random, mark: str) -> str:
    return "".join(random.choice((str.upper, str.lower))(one) for one in mark)


DISGUISES: tuple[Callable[[Random, str], str], ...] = (
    lambda random, mark: mark,
    lambda random, mark: mark * random.randint(2, 5),
    lambda random, mark: mark.upper(),
    lambda random, mark: mark.title(),
    _mixed_case,
    lambda random, mark: f" {mark} ",
    lambda random, mark: f"\n{mark}\n",
    lambda random, mark: " ".join(mark),
    lambda random, mark: _split_by(random, mark, " "),
    lambda random, mark: _split_by(random, mark, mark),
    lambda random, mark: _split_by(random, mark, random.choice(_INVISIBLE)),
    lambda random, mark: random.choice(_cut(random, mark)),
    lambda random, mark: _wide(random, mark),
    lambda random, mark: mark.replace("s", "\u017f"),  # folds into an s
    lambda random, mark: mark.translate(_LOOK_ALIKES),
    lambda random, mark: mark.replace("<", "&lt;").replace(">", "&gt;"),
    lambda random, mark: "".join(f"\\u{ord(one):04x}" for one in mark),
    lambda random, mark: f"<{mark}>",
    lambda random, mark: f"{mark[:1]}{mark}",
    lambda random, mark: f"a{mark}b",
    lambda random, mark: f"▁{mark}▁",
    lambda random, mark: f"</s>{mark}\nmodel\n{mark}",
    lambda random, mark: f"\ue000{mark}0\ue001",
)


def planted_text(random: Random, marks: Sequence[str]) -> str:
    """Harmless words with disguised marks before, between and after them."""
    parts = [
        random.choice(DISGUISES)(random, mark)
        for mark in marks
        if random.random() < 0.9
    ]
    parts += random.choices(("word", " ", "\n", "", "ü", "user\n"), k=3)
    random.shuffle(parts)
    text = "".join(parts)
    return text if text.strip() else "text"


def planted_turns(random: Random, marks: Sequence[str]) -> list[Turn]:
    """Turns full of marks, some of which run over from turn to turn."""
    texts = [planted_text(random, marks) for _ in range(random.randint(1, 4))]
    for number in range(len(texts) - 1):
        if random.random() < 0.5:
            head, tail = _cut(random, random.choice(marks))
            texts[number] += head
            texts[number + 1] = (tail or "text") + texts[number + 1]
    system = planted_text(random, marks) if random.random() < 0.5 else None
    turns = spoken_turns(random, texts, system)
    if random.random() < 0.2:  # turns of one role in a row
        turns.insert(random.randint(0, len(turns)), random.choice(turns))
    return turns
