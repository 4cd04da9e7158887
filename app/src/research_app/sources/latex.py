"""Plain text of LaTeX as it stands in the fields of BibTeX."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from pylatexenc import latex2text, latexwalker

from research_app.plain_text import one_line

# A conversion by pylatexenc takes a fifth of a millisecond: each different piece goes to it once,
# these many in all, and only short ones, which its recursion is safe with.
MAX_CONVERSIONS = 3000
MAX_PIECE = 60
MAX_FORMULA = 500
# what longer tokens and further ones stand for is not remembered
MAX_REMEMBERED = 40
MAX_TOKENS = 50_000

_GROUP = r"\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\}"
_SHORT = r"\{(?:[^{}]|\{[^{}]{0,8}\}){0,20}\}"
_ACCENT = r"(?:[`'^\"~=.]|[uvHtcdbkrhGU](?![A-Za-z]))"
_ACCENTED = rf"(?:{_SHORT}|\\[A-Za-z]++[ \t]?|\\[`'^\"~=.][A-Za-z]|[^\W_])"
_TOKEN = re.compile(
    # a look at one letter, before all that may begin with it
    r"(?=[\\~$`'<&?!-]|\{\\&\})(?:"
    r"(?P<entity>(?:\\?&|\{\\&\})(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,6}|#x[0-9A-Fa-f]{1,5});)"
    # two backslashes: what went through a JSON or a program's string once too often
    rf"|\\\\?(?P<accent>{_ACCENT}[ \t]*+{_ACCENTED})"
    r"|\\\((?P<round>(?:[^\\]|\\[^()])++)\\\)"
    # money is no formula: "$5 and $10", "$5--$10"
    r"|\$(?![\s$])(?!\d[^$]*+\$\d)(?P<math>(?:[^$\\]++|\\.)++)(?<!\s)\$"
    rf"|\\(?P<with>[A-Za-z]++)\*?(?:\[[^\[\]{{}}]{{0,200}}\])?(?P<first>{_GROUP})(?P<second>{_GROUP})?"
    r"|\\(?P<name>[A-Za-z]++)[ \t\n]*+"
    r"|\\(?P<sign>.)"
    r"|(?P<tag></?(?:i|b|u|em|strong|scp|span|sc|inf|mml:math|tt)(?:\s[^<>]{0,80})?>)"
    r"|<(?P<shift>sub|sup)>(?P<shifted>[^<>]{0,60})</(?P=shift)>"
    r"|(?P<plain>~|---?|``|''|[?!]`))",
    re.S,
)
_SPECIAL = re.compile(r"[\\{}~$`<&]|--|''")
_PLAIN = {
    "~": " ",
    "--": "\u2013",
    "---": "\u2014",
    "``": "\u201c",
    "''": "\u201d",
    "?`": "\u00bf",
    "!`": "\u00a1",
}
# what stands for braces that are meant, until the others are gone; of Unicode's private use
_OPEN, _CLOSE = "\ue000", "\ue001"
_MEANT = str.maketrans({_OPEN: "{", _CLOSE: "}"})
_NOT_MEANT = str.maketrans({_OPEN: " ", _CLOSE: " "})
# after a backslash: signs that stand for themselves, for a space, for nothing
_SIGNS = {sign: sign for sign in "&%$#_'\"`^~=.|"} | dict.fromkeys("\\ ,;:\n\t", " ")
_SIGNS |= {"{": _OPEN, "}": _CLOSE}
_SPACES = {"quad", "qquad", "space", "newline", "linebreak", "par", "enspace", "thinspace", "hfill"}
_LOGOS = {
    "TeX": "TeX",
    "LaTeX": "LaTeX",
    "LaTeXe": "LaTeX2e",
    "BibTeX": "BibTeX",
    "XeTeX": "XeTeX",
    "XeLaTeX": "XeLaTeX",
    "LuaTeX": "LuaTeX",
    "LuaLaTeX": "LuaLaTeX",
    "pdfTeX": "pdfTeX",
    "pdfLaTeX": "pdfLaTeX",
    "ConTeXt": "ConTeXt",
    "AmS": "AMS",
    "METAFONT": "METAFONT",
}
# what pylatexenc does not know, or puts otherwise than a title wants it
_SYMBOLS = _LOGOS | {
    "copyright": "\u00a9",
    "textcopyright": "\u00a9",
    "pounds": "\u00a3",
    "S": "\u00a7",
    "P": "\u00b6",
    "slash": "/",
    "textslash": "/",
    "textless": "<",
    "textgreater": ">",
    "textperiodcentered": "\u00b7",
    "textbar": "|",
    "textunderscore": "_",
    "textquotesingle": "'",
    "textquotedbl": '"',
    "textasciigrave": "`",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textbackslash": "\\",
    "textbraceleft": _OPEN,
    "textbraceright": _CLOSE,
    "lbrace": _OPEN,
    "rbrace": _CLOSE,
    "textdollar": "$",
    "textmu": "\u03bc",
    "textellipsis": "\u2026",
    "textnumero": "\u2116",
    "numero": "\u2116",
    "dh": "\u00f0",
    "nobreakdash": "",
    "micro": "\u00b5",
    "EUR": "\u20ac",
    "yen": "\u00a5",
    "dag": "\u2020",
    "ddag": "\u2021",
    "glqq": "\u201e",
    "grqq": "\u201c",
    "glq": "\u201a",
    "grq": "\u2018",
    "flqq": "\u00ab",
    "frqq": "\u00bb",
    "lq": "\u2018",
    "rq": "\u2019",
    # of the Mathematical Reviews
    "cprime": "\u02b9",
    "cdprime": "\u02ba",
    "Dbar": "\u0110",
    "dbar": "\u0111",
    "hyp": "-",
    "item": "",
    "mbox": "",
    "hbox": "",
    "frac": "",
    "sqrt": "\u221a",
    "left": "",
    "right": "",
    "ce": "",
    "textnormal": "",
    "cite": "",
    "url": "",
    "begin": "",
    "end": "",
    "footnote": "",
    "verb": "",
    "char": "",
}
# commands whose arguments are no text of the title
_SILENT = {
    "noopsort", "noop", "sortnoop", "sort", "cite", "citep", "citet", "label", "ref", "phantom",
    "vphantom", "hphantom", "hspace", "vspace", "thanks", "index", "vskip", "color", "begin", "end",
    "printfirst", "selectlanguage", "fontsize", "input", "include",
}  # fmt: skip
# commands whose second argument is the text, and the first how it is set
_SECOND = {
    "href", "textcolor", "foreignlanguage", "texorpdfstring", "fontspec", "colorbox", "raisebox",
    "scalebox", "switchargs", "textlang", "ifthenelse", "hyperlink", "printsecond",
}  # fmt: skip
# what stands between the two arguments of a command
_BETWEEN = {"frac": "/", "nicefrac": "/", "sfrac": "/", "SI": " ", "qty": " "}
# other names of accents, which pylatexenc does not know
_ACCENTS = {"ocirc": "r", "polhk": "k", "cftil": "~", "soft": "v"}
_RAISED = dict(zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True))
_LOWERED = dict(zip("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True))
_RAISED |= {"\u2212": "⁻", "\u2013": "⁻"}
_LOWERED |= {"\u2212": "₋", "\u2013": "₋"}
# commands of formulas that change the one letter that is their argument
_LETTERS = (
    "mathbb|mathcal|mathfrak|mathscr|bar|hat|tilde|vec|dot|ddot|acute|grave|check|breve|widehat"
    "|widetilde|mathring"
)
# In a formula: what stands above or below the line, commands with and without an argument.
_ONE = rf"(?:{_GROUP}|\\[A-Za-z]++|\\.|[^\s\\{{}}])"
_FORMULA = re.compile(
    rf"(?P<shift>[_^])\s*+(?P<shifted>{_ONE})"
    rf"|\\(?P<letter>{_LETTERS})(?![A-Za-z])\s*+(?P<lettered>{_ONE})"
    rf"|\\(?P<with>[A-Za-z]++)\s*+(?P<first>{_GROUP})(?:\s*+(?P<second>{_GROUP}))?"
    r"|\\(?P<name>[A-Za-z]++)"
    r"|\\(?P<sign>.)"
    r"|[{}~]",
    re.S,
)
_COMMAND = re.compile(r"\\(?:[A-Za-z]+\*?\s*|.)|[{}$]", re.S)
_OPENED = re.compile(r"(?<=[⟨⌈⌊‖]) | (?=[⟩⌉⌋])")


class Latex:
    """A converter for the fields of one file, which remembers what it has converted."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._pieces: dict[str, str] = {}

    @property
    def exhausted(self) -> bool:
        """Whether there is so much of LaTeX that further commands are left out."""
        return len(self._pieces) >= MAX_CONVERSIONS

    def plain(self, value: str) -> str:
        """The text in one line: accents as letters, no commands, no braces but written ones."""
        if _SPECIAL.search(value):
            value = self._text(value.translate(_NOT_MEANT)).translate(_MEANT)
        return one_line(value)

    def _text(self, value: str) -> str:
        """Text with the braces that are meant, and no others."""
        if _SPECIAL.search(value):
            value = _TOKEN.sub(self._token, value).replace("{", "").replace("}", "")
        return value

    def _token(self, found: re.Match[str]) -> str:
        token = found[0]
        known = self._tokens.get(token)
        if known is None:
            known = _READ[str(found.lastgroup)](self, found)
            if len(token) <= MAX_REMEMBERED and len(self._tokens) < MAX_TOKENS:
                self._tokens[token] = known
        return known

    def _entity(self, found: re.Match[str]) -> str:
        return html.unescape("&" + found[0].partition("&")[2].removeprefix("}"))

    def _accent(self, found: re.Match[str]) -> str:
        accent = found["accent"]
        if not any(map(str.isalnum, accent[1:])):  # the accent alone, as in \~{}
            return accent[0] if accent[0] in "`'^\"~=." else ""
        # an accent on an accented letter, which pylatexenc wants in braces
        doubled = re.fullmatch(r"(\S)[ \t]*(\\[^A-Za-z].)", accent)
        return self._converted(f"\\{doubled[1]}{{{doubled[2]}}}" if doubled else f"\\{accent}")

    def _math(self, found: re.Match[str]) -> str:
        return self._formula(found["math"])

    def _round(self, found: re.Match[str]) -> str:
        return self._formula(found["round"])

    def _formula(self, formula: str) -> str:
        if len(formula) > MAX_FORMULA:
            return _COMMAND.sub("", formula)
        return _OPENED.sub("", _FORMULA.sub(self._of_formula, formula))

    def _of_formula(self, found: re.Match[str]) -> str:
        if found["shift"]:
            text = self._index(found["shift"], found["shifted"])
        elif found["letter"]:
            text = self._converted(f"$\\{found['letter']}{{{_inner(found['lettered'])}}}$")
        elif found["with"]:
            text = self._structure(found["with"], found["first"], found["second"])
        elif found["name"]:
            text = self._symbol(found["name"])
        elif found["sign"]:
            text = _SIGNS.get(found["sign"], "")
        else:
            text = " " if found[0] == "~" else ""
        return text

    def _structure(self, name: str, first: str, second: str | None) -> str:
        text, further = self._formula(_inner(first)), self._formula(_inner(second or ""))
        if name == "overline" and len(text) == 1:
            text += "\u0305"
        elif name == "sqrt":
            text = f"\u221a{text}" if len(text) == 1 else f"\u221a({text})"
        elif name in _BETWEEN and second:
            text += _BETWEEN[name]
        else:
            text = self._symbol(name) + text
        return text + further

    def _index(self, mark: str, shifted: str) -> str:
        """What stands below or above the line in a formula."""
        text = self._formula(_inner(shifted)).strip()
        raised = mark == "^"
        if found := _shifted(text, _RAISED if raised else _LOWERED):
            return found
        if text in ("", "\u2218", "\u00b0"):  # 90^\circ
            return text and "\u00b0"
        # words, as in 4^{th}; one letter keeps its mark
        return text if raised and text.isalpha() and len(text) > 1 else mark + text

    def _command(self, found: re.Match[str]) -> str:
        name, first, second = found["with"], found["first"][1:-1], (found["second"] or "")[1:-1]
        if name in _SILENT or (name in _SECOND and found["second"]):
            return self._text(second)
        if name in _BETWEEN and found["second"]:
            return f"{self._text(first)}{_BETWEEN[name]}{self._text(second)}"
        set_so = _ARGUMENT.get(name)
        text = set_so(self, first) if set_so else self._symbol(name) + self._text(first)
        return text + self._text(second)

    def _raised(self, text: str) -> str:
        text = self._text(text)
        return _shifted(text, _RAISED) or text

    def _lowered(self, text: str) -> str:
        text = self._text(text)
        return _shifted(text, _LOWERED) or text

    def _name(self, found: re.Match[str]) -> str:
        name = found["name"]
        if name in _SPACES:
            return " "
        if name in _LOGOS:  # the space behind them is meant, although TeX eats it
            return _LOGOS[name] + (" " if found[0][-1].isspace() else "")
        return self._symbol(name)

    def _symbol(self, name: str) -> str:
        known = _SYMBOLS.get(name)
        if known is not None:
            return known
        found = self._converted(f"\\{name}").strip()
        # \textbeta is what \beta is in a formula
        return found or (self._symbol(name[4:]) if name.startswith("text") and name[4:] else "")

    def _sign(self, found: re.Match[str]) -> str:
        return _SIGNS.get(found["sign"], "" if found["sign"].isascii() else found["sign"])

    def _tag(self, _: re.Match[str]) -> str:
        return ""

    def _shift(self, found: re.Match[str]) -> str:
        return (self._raised if found["shift"] == "sup" else self._lowered)(found["shifted"])

    def _plain(self, found: re.Match[str]) -> str:
        return _PLAIN[found["plain"]]

    def _converted(self, piece: str) -> str:
        """A command with at most one short argument, as pylatexenc reads it."""
        known = self._pieces.get(piece)
        if known is None:
            if self.exhausted or len(piece) > MAX_PIECE + 30:
                return _COMMAND.sub("", piece)
            known = self._pieces[piece] = _read(piece)
        return known


_READ: dict[str, Callable[[Latex, re.Match[str]], str]] = {
    "entity": Latex._entity,
    "accent": Latex._accent,
    "round": Latex._round,
    "math": Latex._math,
    "first": Latex._command,
    "second": Latex._command,
    "name": Latex._name,
    "sign": Latex._sign,
    "tag": Latex._tag,
    "shifted": Latex._shift,
    "plain": Latex._plain,
}


def _accented(accent: str) -> Callable[[Latex, str], str]:
    return lambda latex, text: latex._converted(f"\\{accent}{{{text}}}")


def _quoted(latex: Latex, text: str) -> str:
    return f"\u201c{latex._text(text)}\u201d"


def _in_capitals(latex: Latex, text: str) -> str:
    return latex._text(text).upper()


# commands that change what their argument says
_ARGUMENT: dict[str, Callable[[Latex, str], str]] = {
    **{name: _accented(accent) for name, accent in _ACCENTS.items()},
    **dict.fromkeys(("enquote", "mkbibquote", "textquote"), _quoted),
    **dict.fromkeys(("uppercase", "MakeUppercase", "MakeTextUppercase"), _in_capitals),
    "textcommabelow": lambda latex, text: f"{latex._text(text)}\u0326",
    "ensuremath": Latex._formula,
    "url": lambda _, text: text.replace("\\", ""),
    "textsuperscript": Latex._raised,
    "textsubscript": Latex._lowered,
    "footnote": lambda latex, text: f" ({latex._text(text)})",
}


def _inner(group: str) -> str:
    """What is between the braces, if there are any."""
    return group[1:-1] if group.startswith("{") else group


def _shifted(text: str, signs: dict[str, str]) -> str:
    """Digits and signs above or below the line; nothing where one of them has no such form."""
    return "".join(signs[sign] for sign in text) if all(sign in signs for sign in text) else ""


def _read(piece: str) -> str:
    grammar, words = _pylatexenc()
    try:
        walker = latexwalker.LatexWalker(piece, latex_context=grammar, tolerant_parsing=True)
        return str(words.nodelist_to_text(walker.get_latex_nodes()[0]))
    except Exception:  # its parts raise whatever they meet: RecursionError, IndexError, …
        return _COMMAND.sub("", piece)


@cache
def _pylatexenc() -> tuple[Any, latex2text.LatexNodes2Text]:
    """What it knows of LaTeX, and how it puts that in words; what it warns of is answered here."""
    logging.getLogger("pylatexenc").setLevel(logging.CRITICAL)
    words = latex2text.LatexNodes2Text(math_mode="text", keep_comments=True)
    return latexwalker.get_default_latex_context_db(), words
