"""Drawing: a picture of SVG with its own paper, legible on light and dark pages."""

import math
from html import escape

STYLE = """
:root { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --ours: #0b6bcb; --theirs: #8a96a3;
  --s0: #1f2328; --s1: #0b6bcb; --s2: #c4432b; --s3: #1a7f37;
  --s4: #8250df; --s5: #9a6700; --s6: #0f766e; --s7: #bf3989 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #0d1117; --ink: #f0f6fc; --soft: #a3adb8; --line: #3d444d; --ours: #58a6ff; --theirs: #6e7b89;
    --s0: #f0f6fc; --s1: #58a6ff; --s2: #ff8d75; --s3: #57d364;
    --s4: #c297ff; --s5: #e3b341; --s6: #4fd1c5; --s7: #f778ba }
}
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--ink) }
.soft { fill: var(--soft) } .head { font-weight: 600 } .small { font-size: 12px }
.grid { stroke: var(--line); stroke-width: 1 } .one { stroke: var(--soft); stroke-dasharray: 3 3 }
.over { paint-order: stroke; stroke: var(--paper); stroke-width: 3px }
.ours { fill: var(--ours) } .theirs { fill: var(--theirs) } .paper { fill: var(--paper) }
"""
SERIES = 8


class Picture:
    """Pieces, in the order in which they are drawn."""

    def __init__(self, title, description, width):
        self.title, self.description, self.width, self.pieces = title, description, width, []
        self.text(16, 28, title, "head")

    def add(self, tag, text="", **attributes):
        pairs = "".join(
            f' {name.rstrip("_").replace("_", "-")}="{escape(plain(value))}"' for name, value in attributes.items()
        )
        self.pieces.append(f"<{tag}{pairs}>{escape(text)}</{tag}>" if text else f"<{tag}{pairs}/>")

    def text(self, x, y, text, class_="", anchor="start", **more):
        self.add("text", text, x=x, y=y, class_=class_, text_anchor=anchor, **more)

    def line(self, x1, y1, x2, y2, class_="grid", **more):
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_, **more)

    def bar(self, x, y, width, height, class_):
        self.add("rect", x=x, y=y, width=max(width, 1), height=height, rx=2, class_=class_)

    def done(self, height):
        """The file."""
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plain(self.width)} {plain(height)}" '
        head += f'width="{plain(self.width)}" height="{plain(height)}" role="img" aria-labelledby="title desc">\n'
        head += f'<title id="title">{escape(self.title)}</title>\n<desc id="desc">{escape(self.description)}</desc>\n'
        head += f'<style>{STYLE}</style>\n<rect class="paper" width="100%" height="100%" rx="6"/>\n'
        return head + "\n".join(self.pieces) + "\n</svg>\n"


def plain(value):
    """A number without digits that nobody sees."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


class Scale:
    """Values to places: from `low`…`high` to `start`…`end`, in proportion or by their logarithm."""

    def __init__(self, low, high, start, end, log=False):
        self.low, self.high, self.start, self.end, self.log = low, high, start, end, log

    def __call__(self, value):
        of = math.log10 if self.log else float
        low, high = of(self.low), of(self.high)
        return self.start + (of(value) - low) / ((high - low) or 1) * (self.end - self.start)

    def ticks(self):
        """Round values within."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            few = math.log10(self.high / self.low) < 2
            values = [10.0**power * step for power in powers for step in ((1, 2, 5) if few else (1,))]
        else:
            raw = (self.high - self.low) / 5 or 1
            power = 10.0 ** math.floor(math.log10(raw))
            step = next(power * one for one in (1, 2, 5, 10) if power * one >= raw * 0.999)
            values = [step * index for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in values if self.low * 0.999 <= value <= self.high * 1.001]


def short(value):
    """A figure for a chart: 1, 20, 1,500, 0.5."""
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def apart(places, distance):
    """The same places moved as little as it takes to keep them that far apart, in the order given by their values."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for _ in range(200):
        still = True
        for before, after in zip(order, order[1:]):
            gap = moved[after] - moved[before]
            if gap < distance - 0.01:
                push = (distance - gap) / 2
                moved[before] -= push
                moved[after] += push
                still = False
        if still:
            break
    return moved
