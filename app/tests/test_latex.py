from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research_app.sources import latex
from research_app.sources.latex import Latex

FORMS = {
    # accents
    r"M{\"u}ller, M\"{u}ller, M\"uller": "Müller, Müller, Müller",
    r"Ba{\'n}ka \.{z}ycia \'{\i} \'\i{} na{\"\i}ve": "Bańka życia í í naïve",
    r"Mar\'\i n \v{S}afa\v r\'{\i}k": "Marín Šafařík",
    r"\c{S}i\c sli \k{e} \H{o}\H o \r{a} \u{g}": "Şişli ę őő å ğ",
    r"\d{h} \b{b} \=a \^o \~n \`a": "ḥ ḇ ā ô ñ à",
    r"\'{\^e} {\'\^e}": "ế ế",
    r"Franc{\ocirc{u}} \polhk{a} \textcommabelow{s}": "Franců ą ș",
    r"{\\\"u}ber": "über",
    r"\~{}user \^{} \"{}": '~user ^ "',
    # letters and signs
    r"{\ss}\ae\AE\oe\OE\o\O\l\L\aa\AA\dh\th\DJ\dj\ng": "ßæÆœŒøØłŁåÅðþĐđŋ",
    r"Stra{\ss}e, \o re, \L\'od\'z": "Straße, øre, Łódź",
    r"R\&D 100\% \#1 a\_b \$5 \{x\}": "R&D 100% #1 a_b $5 {x}",
    r"\textquoteright\textquoteleft\textquotedblleft\textquotedblright": "\u2019\u2018“”",
    r"\pounds\copyright\texttrademark\textregistered\texteuro\EUR\S\P\dag": "£©™®€€§¶†",
    r"\textdegree C \textmu m \textbeta": "°C \u03bcm β",
    r"\textasciitilde{}\textbackslash\textless\textgreater\textbar": "~\\<>|",
    r"Gel{\cprime}fand": "Gel\u02b9fand",
    r"\CYRA\cyrb": "\u0410\u0431",
    r"``a'' -- b---c ?`que? \guillemotleft a\guillemotright": "“a” \u2013 b—c ¿que? «a»",
    r"a~b\ c\,d\\e\-f\/g": "a b c d efg",
    "R&amp;D {\\&}amp; &#233; &lt;": "R&D & é <",
    # commands
    r"\LaTeX and \LaTeX{} \BibTeX": "LaTeX and LaTeX BibTeX",
    r"{\it E. coli} {\bf x} {\em y} {\sc Con}": "E. coli x y Con",
    r"\textit{E. coli} \emph{a \textbf{b {c}}} \mbox{x} \unknown{y}": "E. coli a b c x y",
    r"\enquote{q} \MakeUppercase{a}": "“q” A",
    r"\href{http://x.org}{text} \url{http://x.org/~a_b} \texorpdfstring{$a$}{a}": (
        "text http://x.org/~a_b a"
    ),
    r"\foreignlanguage{german}{Wort} \textcolor{red}{rot}": "Wort rot",
    r"{\noopsort{1973}}Title \protect\emph{x} \newblock y \cite{key}": "Title x y",
    r"x\textsuperscript{2} 4\textsuperscript{th} H\textsubscript{2}O": "x² 4th H₂O",
    "CO<sub>2</sub> 10<sup>-3</sup> <i>in vivo</i>": "CO₂ 10⁻³ in vivo",
    # formulas
    r"$H_2O$ H$_{2}$O $\mathrm{CO_2}$ \ensuremath{x^2} \(a_1\)": "H₂O H₂O CO₂ x² a₁",
    r"10$^{-3}$ 4$^{th}$ $90^\circ$ $R^{ab}$ $L_\infty$": "10⁻³ 4th 90° Rab L_∞",
    r"$\beta$-helix 1$\beta$,25 $\Sigma^0$ $p \leq 0.05$": "β-helix 1β,25 Σ⁰ p ≤ 0.05",
    r"$\langle 00\overline{1} \rangle$ $\bar{x}$ $\mathbb{R}^n$": "⟨001\u0305⟩ x\u0305 ℝⁿ",
    r"$\frac{1}{2}$ $\sqrt{2}$ $\sqrt{ab}$ $\mathrm{Bi}_{2}\mathrm{Te}_{3}$": "1/2 √2 √(ab) Bi₂Te₃",
    "costs $5 and $10, $5--$10": "costs $5 and $10, $5\u2013$10",
    # nothing of LaTeX, or half of it
    "a & b, 50% of {a_b^c}": "a & b, 50% of a_b^c",
    r"} \' {$ \frac \begin{x} \href{a": "' $ a",
    "plain\n   text": "plain text",
}


@pytest.mark.parametrize("written", FORMS)
def test_latex_as_text(written: str) -> None:
    assert Latex().plain(written) == FORMS[written]


def test_more_of_latex_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands are left out, and what they were about is kept."""
    monkeypatch.setattr(latex, "MAX_CONVERSIONS", 1)
    converter = Latex()
    assert converter.plain(r"{\'e} {\'e} {\'a}b $x_2$") == "é é ab x₂"
    assert converter.exhausted


@given(st.text(max_size=100))
def test_any_text(text: str) -> None:
    assert "\n" not in Latex().plain(text)


@given(st.text(st.sampled_from(r"""\{}$^_'"`~-&;<>ab2 ()[]"""), max_size=60))
def test_any_latex(text: str) -> None:
    plain = Latex().plain(text)
    assert plain == plain.strip()
    if "\\" not in text:
        assert not set("{}") & set(plain)
