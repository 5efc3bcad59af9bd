"""One picture of the report: matplotlib's geometry in the page's colours, with the page's words.

matplotlib places lines, marks and scales. Text is added as text where its transforms say, so that
it keeps the page's font, Japanese too; every colour becomes a class, so that the page's style
decides, dark or light, and no inline style is left for a content security policy to refuse. The
same input gives the same bytes.
"""

import io
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as Xml

from service.demo_plot import PlotMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH = 360.0  # pixels at scale 1: a phone's, and a third or a half of a wide page's
DOTS = 72  # an inch, so that a point is a pixel
TICK = 14.0  # pixels below an axis
LETTER = 6.9  # pixels of a letter at the usual size; a Japanese one is twice as wide
TONES = {  # the page's colours by their light value, see service/page/page.css
    **{"ink": "#1b1f24", "quiet": "#57606a", "line": "#dde1e6", "card": "#ffffff"},
    **{"first": "#0b63a5", "second": "#b04a00", "third": "#5c646f"},
    **{"yes": "#116b3a", "watch": "#8a4b00", "no": "#b3131b"},
}
NAMES = {colour: name for name, colour in TONES.items()}


class Word(NamedTuple):
    """A text at a place, pixels from the upper left corner."""

    x: float
    y: float
    words: str
    style: str


class Canvas:
    """A picture that is being drawn; `key` makes its ids unique in a page."""

    def __init__(self, key: str, height: float, width: float = WIDTH) -> None:
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise PlotMissing(
                "matplotlib is not installed; `pip install matplotlib` gives it"
            ) from None
        self.key, self.width, self.height = key, width, height
        self._figure = Figure(figsize=(width / DOTS, height / DOTS), dpi=DOTS)
        self._figure.patch.set_visible(False)
        self._words: list[Word] = []

    def axes(
        self,
        box: tuple[float, float, float, float],
        x: tuple[float, float],
        y: tuple[float, float],
        scales: tuple[str, str] = ("linear", "linear"),
    ) -> "Axes":
        """Return axes without a frame in a box (left, top, width, height) of pixels."""
        left, top, width, height = box
        share = (
            *(left / self.width, 1 - (top + height) / self.height),
            *(width / self.width, height / self.height),
        )
        axes = self._figure.add_axes(share)
        axes.set_axis_off()
        axes.set_xscale(scales[0])
        axes.set_yscale(scales[1])
        axes.set_xlim(*x)
        axes.set_ylim(*y)
        return axes

    def rows(self, x: tuple[float, float], inset: float = 12.0, scale: str = "linear") -> "Axes":
        """Return axes of the whole picture, whose y is pixels from the top."""
        box = (inset, 0.0, self.width - 2 * inset, self.height)
        return self.axes(box, x, (self.height, 0.0), (scale, "linear"))

    def bar(self, left: float, top: float, size: tuple[float, float], tone: str) -> None:
        """Add a filled box in pixels, without the cost of axes."""
        from matplotlib.patches import Rectangle
        from matplotlib.transforms import IdentityTransform

        place = left, self.height - top - size[1]
        bar = Rectangle(place, *size, facecolor=colour(tone), linewidth=0.0)
        bar.set_transform(IdentityTransform())
        self._figure.add_artist(bar)

    def text(
        self,
        axes: "Axes | None",
        at: tuple[float, float],
        words: str,
        style: str = "",
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Add words at a place of the axes, or in pixels, moved by pixels right and down."""
        x, y = at
        if axes is not None:
            x, y = axes.transData.transform(at)
            y = self.height - y
        if words:
            self._words.append(Word(float(x) + shift[0], float(y) + shift[1], words, style))

    def tick(self, axes: "Axes", at: tuple[float, float], words: str) -> None:
        """Add the words of a tick below its place, in the middle unless that is at an edge."""
        x, half = float(axes.transData.transform(at)[0]), wide(words) / 2
        if x + half > self.width:
            self.text(axes, at, words, "tick end", (self.width - x, TICK))
        elif x < half:
            self.text(axes, at, words, "tick", (-x, TICK))
        else:
            self.text(axes, at, words, "tick middle", (0, TICK))

    def written(self, title: str, words: str, style: str = "") -> str:
        """Return the SVG, named by a title and described in words for who cannot see it."""
        svg = self._drawn()
        size = {"viewBox": f"0 0 {self.width:g} {self.height:g}"}
        names = {"aria-labelledby": f"{self.key}-title {self.key}-desc"}
        root = Xml.Element(
            "svg", {"class": f"drawn {style}".strip(), "role": "img", **names, **size}
        )
        Xml.SubElement(root, "title", {"id": f"{self.key}-title"}).text = title
        Xml.SubElement(root, "desc", {"id": f"{self.key}-desc"}).text = words
        root.extend(_plain(svg, self.key))
        for x, y, text, kind in self._words:
            place = {"x": f"{x:.1f}", "y": f"{y:.1f}"}
            Xml.SubElement(root, "text", {"class": kind, **place} if kind else place).text = text
        return Xml.tostring(root, encoding="unicode")

    def _drawn(self) -> Xml.Element:
        from matplotlib import rc_context

        raw = io.BytesIO()
        with rc_context({"svg.hashsalt": "sonoba", "path.simplify": False}):
            nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
            self._figure.savefig(raw, format="svg", metadata=nothing)
        return Xml.fromstring(raw.getvalue())


def colour(tone: str) -> str:
    """Return what matplotlib is told for a colour of the page."""
    return TONES[tone]


def wide(words: str) -> float:
    """Return about how many pixels words take at the usual size; rather more than fewer.

    >>> wide("week"), wide("気温")
    (27.6, 27.6)
    """
    letters = sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in words)
    return round(LETTER * letters, 1)


def fitted(words: str, pixels: float) -> str:
    """Return words that fit, with an ellipsis where they were cut.

    >>> fitted("temperature", 100), fitted("temperature", 50), fitted("気温と湿度", 50)
    ('temperature', 'temper…', '気温と…')
    """
    if wide(words) <= pixels:
        return words
    while words and wide(words) > pixels - LETTER:
        words = words[:-1]
    return words.rstrip() + "…"


def _plain(svg: Xml.Element, key: str) -> Sequence[Xml.Element]:
    """Return what was drawn without name spaces, inline styles and ids that nobody uses."""
    used = set(re.findall(r'href="#([^"]+)"', Xml.tostring(svg, encoding="unicode")))
    for element in svg.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.text = element.tail = None  # of indentation; no text is drawn
        _classed(element)
        for name in list(element.attrib):
            value = element.attrib.pop(name)
            plain = name.rpartition("}")[2]
            if plain == "id":
                if value not in used:
                    continue
                value = f"{key}-{value}"
            elif plain == "href":
                value = f"#{key}-{value[1:]}"
            elif plain in ("d", "x", "y"):
                value = re.sub(r"-?\d+\.\d+", lambda it: f"{float(it[0]):.1f}", value)
            element.set(plain, " ".join(value.split()))
    return [one for one in svg if one.tag == "g" or _has_marks(one)]


def _has_marks(element: Xml.Element) -> bool:
    return element.tag == "defs" and all(one.tag != "style" for one in element)


def _classed(element: Xml.Element) -> None:
    """Put an inline style into attributes, and its colours into classes."""
    classes = []
    for part in element.attrib.pop("style", "").split(";"):
        name, _, value = (piece.strip() for piece in part.partition(":"))
        if name in ("fill", "stroke") and value in NAMES:
            classes.append(f"{name}-{NAMES[value]}")
        elif name:
            element.set(name, value)
    if classes:
        element.set("class", " ".join(classes))
