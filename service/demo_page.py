"""The page of a replay: one HTML file with its picture inside, nothing fetched from anywhere."""

import base64
from html import escape
from string import Template

from service.demo_report import LOOP_HEADINGS, Report
from service.held_out import BOOSTING, PROFILE
from service.replay import QUERY_COUNT

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>sonoba demo</title>
<style>
  body { font: 16px/1.55 system-ui, sans-serif; color: #1f2328; background: #fff;
         max-width: 52rem; margin: 2.5rem auto; padding: 0 1.25rem; }
  h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .4rem; }
  h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
  .lead { color: #57606a; margin: 0 0 1.4rem; }
  img { width: 100%; height: auto; margin: 1rem 0; }
  .wide { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
          font-size: .88rem; }
  th, td { text-align: right; padding: .45rem .4rem; border-bottom: 1px solid #d9dce0;
           white-space: nowrap; }
  th { font-weight: 600; border-bottom: 2px solid #1f2328; }
  td.best { font-weight: 700; }
  code { font-size: .92em; background: #f3f4f6; padding: .1em .35em; border-radius: .25em; }
  footer { margin-top: 2.5rem; color: #57606a; font-size: .85rem; }
  a { color: #0072b2; }
</style>
<h1>Weeks of bike rental, predicted from a few hours</h1>
<p class="lead">$count prompts a row, $queries queries each, weeks $first to $last, answered over
gRPC by model $model, version <code>$version</code>$beside.</p>
<ul>$findings</ul>
$picture
<h2>Median error by number of examples</h2>
<div class="wide"><table><thead><tr>$headings</tr></thead><tbody>$rows</tbody></table></div>
$loop
<h2>What was compared</h2>
<p>A prompt is a number of random hours of one week, each with its weather, hour of day and count of
bikers (as a logarithm), and $queries other hours of the same week whose count is to be predicted.
The error of a method is the root mean squared error over the queries divided by the standard
deviation of the labels in the context (NRMSE).</p>
$history
<p><b>ridge-CV</b> is ridge regression with the penalty of least leave-one-out error among 22
values, <b>OLS</b> least squares, both fitted anew to each prompt, of which they see nothing else;
<b>mean</b> is the mean label. The interval of the ratio comes from drawing whole weeks again.
Prompts per second include client and server, in batches, on the machine this ran on.</p>
<p>The same numbers are in <code>results.json</code>; the seed was $seed.</p>
<footer>Data adapted from <a href="https://doi.org/10.24432/C5W894">Bike Sharing</a> by Hadi
Fanaee-T and João Gama (2013), UCI Machine Learning Repository,
<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>.</footer>
</html>
""")


_LOOP = """<h2>The last act: squared error by the labels, before = 1</h2>
<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"""
_HISTORY = """<p><b>profile</b> was pretrained on the weeks 0 to {last}, as <code>sonoba
pretrain</code> does it, and admitted by the same check; no week of the prompts was in that history.
<b>foundation</b> knows no history.</p>"""
_BOOSTING = """<p><b>boosting</b> is gradient boosting of all rows of that history; a prompt's
examples move its answers by their mean residual.</p>"""


def page(report: Report, picture: bytes | None) -> str:
    """Return the page; without a picture (PNG) it has the table alone."""
    first, last = report.weeks
    return _PAGE.substitute(
        count=f"{report.scores[0].prompt_count:,}",
        queries=QUERY_COUNT,
        first=first,
        last=last,
        model=escape(report.model),
        version=escape(report.model_version),
        beside="".join(f", and by {name}" for name in list(report.scores[0].ratios)[1:]),
        findings="".join(f"<li>{escape(sentence)}</li>" for sentence in report.findings()),
        picture=_image(report, picture) if picture else "",
        headings="".join(f"<th>{escape(heading)}</th>" for heading in report.headings()),
        rows="".join(map(_row, report.rows(), report.best())),
        loop=_loop(report),
        history=_history(report),
        seed=report.seed,
    )


def _loop(report: Report) -> str:
    """Return the table of the last act, where there was one."""
    if not (rows := report.loop()):
        return ""
    head = "".join(f"<th>{escape(one)}</th>" for one in LOOP_HEADINGS)
    return _LOOP.format(head=head, rows="".join(_row(row, -1) for row in rows))


def _history(report: Report) -> str:
    """Return what is to be said of methods that know more than a prompt."""
    if report.lead() != PROFILE:
        return ""
    boosting = _BOOSTING if BOOSTING in report.methods() else ""
    return _HISTORY.format(last=report.weeks[0] - 1) + boosting


def _image(report: Report, picture: bytes) -> str:
    alt = f"Median error of {', '.join(report.methods())} against the number of examples"
    return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'


def _row(texts: list[str], best: int) -> str:
    mark = {best: ' class="best"'}
    cells = (f"<td{mark.get(i, '')}>{escape(text)}</td>" for i, text in enumerate(texts))
    return f"<tr>{''.join(cells)}</tr>"
