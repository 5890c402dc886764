"""A notebook as script, markdown and HTML: nothing a kernel made becomes markup of ours."""

import itertools
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cellblock.notebook import Notebook
from cellblock.rendering import ansi_to_html, strip_ansi


@pytest.fixture
def notebook() -> Notebook:
    ids = itertools.count()
    return Notebook("k", "python3", lambda: f"c{next(ids)}", title="Sales <2024>")


def show(notebook: Notebook, *outputs: dict[str, Any]) -> str:
    notebook.replace_outputs(notebook.add("code")["id"], outputs)
    return notebook.to_html()


def display(**data: str) -> dict[str, Any]:
    return {"output_type": "display_data", "data": {k.replace("_", "/"): v for k, v in data.items()}, "metadata": {}}


def test_the_script_has_percent_cells_and_no_magics(notebook: Notebook) -> None:
    notebook.add("# Title\n\ntext", type="markdown")
    notebook.add("%matplotlib inline\nimport os\n!ls\nif x:\n    %time f()\n")
    notebook.add("%%bash\necho hi")
    assert notebook.to_py() == snapshot("""\
# %% [markdown]
# # Title
#
# text

# %%
# %matplotlib inline
import os
# !ls
if x:
    pass  # %time f()

# %%
# %%bash
# echo hi
""")


def test_what_is_undone_is_marked_in_every_form_and_does_not_run_in_the_script(notebook: Notebook) -> None:
    cell = notebook.add("x = 1\n%%time")
    cell["metadata"]["cellblock"] = {"undone": True}
    notebook.add("x = 2")
    told = "Undone: what follows was made without it."
    assert notebook.to_py() == f"# %%\n# {told}\n# x = 1\n# %%time\n\n# %%\nx = 2\n"
    assert notebook.to_md().count(f"*{told}*\n\n```python\nx = 1") == notebook.to_md().count(told) == 1
    assert notebook.to_html().count(f'<section class="cell undone"><p>{told}</p>') == 1
    assert [cell["metadata"] for cell in notebook.to_ipynb()["cells"]] == [{"cellblock": {"undone": True}}, {}]


@pytest.mark.parametrize("said", [None, True, "undone", {"undone": 0}, []])
def test_a_notebook_from_elsewhere_may_say_anything_where_it_is_noted(notebook: Notebook, said: object) -> None:
    notebook.add("x = 1")["metadata"]["cellblock"] = said
    assert "Undone" not in notebook.to_html() + notebook.to_md() + notebook.to_py()


def test_python_that_only_looks_like_magics_is_left_alone(notebook: Notebook) -> None:
    source = "x = '''\n%not a magic\n!nor this\n'''"
    notebook.add(source)
    assert notebook.to_py() == f"# %%\n{source}\n"


def test_markdown_has_fences_that_hold_and_images_inside(notebook: Notebook) -> None:
    notebook.add("some *text*", type="markdown")
    cell = notebook.add("print('```')")
    notebook.replace_outputs(
        cell["id"],
        [
            {"output_type": "stream", "name": "stdout", "text": "\x1b[31m```\x1b[0m\n"},
            display(image_png="aGVsbG8=", text_plain="<Figure>"),
            display(image_png="not base64!", text_plain="<Figure>"),
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []},
        ],
    )
    assert notebook.to_md() == snapshot("""\
# Sales <2024>

some *text*

````python
print('```')
````

````
```
````

![image/png](data:image/png;base64,aGVsbG8=)

```
<Figure>
```

```
E: v
```
""")


class Markup(HTMLParser):
    """Collects the elements of a page and what could act in them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)></pre></iframe>"


def is_harmless(page: str) -> bool:
    """No scripts, no handlers, nothing from elsewhere, frames without permissions."""
    for tag, attributes in Markup(page).elements:
        source = attributes.get("src") or ""
        if tag in ("script", "object", "embed", "link", "base", "form") or any(
            name.startswith("on") for name in attributes
        ):
            return False
        if source and not source.startswith("data:image/"):
            return False
        if tag == "iframe" and attributes.get("sandbox") != "":
            return False
        if (attributes.get("href") or "").lower().lstrip().startswith(("javascript:", "vbscript:", "data:text")):
            return False
    return True


def test_the_page_is_one_file_whose_policy_forbids_scripts_and_requests(notebook: Notebook) -> None:
    page = notebook.to_html()
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert "<title>Sales &lt;2024&gt;</title>" in page
    assert "prefers-color-scheme: dark" in page


@pytest.mark.parametrize(
    "output",
    [
        {"output_type": "stream", "name": "stdout", "text": EVIL},
        {"output_type": "error", "ename": EVIL, "evalue": EVIL, "traceback": []},
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": [EVIL]},
        display(text_plain=EVIL),
        display(text_html=EVIL),
        display(text_html=f'"{EVIL}'),
        display(text_markdown=EVIL + "\n\n[a](javascript:alert(1)) ![x](data:text/html;base64,xx)"),
        display(image_png='"><script>', text_plain=EVIL),
        display(**{"image_svg+xml": f"<svg onload=alert(1)>{EVIL}</svg>"}),
        display(**{"application_x-other": EVIL}),
    ],
)
def test_hostile_outputs_stay_harmless(notebook: Notebook, output: dict[str, Any]) -> None:
    assert is_harmless(show(notebook, output))


def test_hostile_sources_and_titles_stay_harmless(notebook: Notebook) -> None:
    notebook.rename("</title>" + EVIL)
    notebook.add(EVIL)
    notebook.add(EVIL + " [a](javascript:alert(1)) <b onclick=x>", type="markdown")
    assert is_harmless(notebook.to_html())


def test_markup_of_a_table_stands_in_a_frame(notebook: Notebook) -> None:
    page = show(notebook, display(text_html="<table><tr><td>1</td></tr></table>", text_plain="1"))
    [frame] = [attributes for tag, attributes in Markup(page).elements if tag == "iframe"]
    assert "<td>1</td>" in (frame["srcdoc"] or "")


def test_markup_that_needs_scripts_gives_way_to_text(notebook: Notebook) -> None:
    page = show(notebook, display(text_html="<div></div><script>draw()</script>", text_plain="a figure"))
    assert "iframe sandbox" not in page
    assert "<pre>a figure</pre>" in page


@pytest.mark.parametrize(
    ("markup", "height"),
    [
        ("<b>one line</b>", 66),
        ("<table>" + "<tr><td>1</td></tr>" * 5 + "</table>", 170),
        ('<svg viewBox="0 0 1 1" width="9" height="300"></svg>', 316),
        ("<p>" * 1000, 480),
        ("", 66),
    ],
)
def test_a_frame_is_about_as_high_as_what_stands_in_it(notebook: Notebook, markup: str, height: int) -> None:
    assert f'style="height:{height}px"' in show(notebook, display(text_html=markup))


def test_latex_and_json_show_what_they_are(notebook: Notebook) -> None:
    page = show(notebook, display(text_plain="<Latex object>", text_latex="$x^2$"))
    assert "<pre>$x^2$</pre>" in page
    notebook.replace_outputs(notebook.add("2")["id"], [display(text_plain="<JSON object>", application_json="[1]")])
    assert "<JSON object>" not in notebook.to_md()


def test_images_are_inside(notebook: Notebook) -> None:
    page = show(notebook, display(image_png="aGVs\nbG8=", text_plain="<Figure>"))
    assert '<img src="data:image/png;base64,aGVsbG8=" alt="&lt;Figure&gt;">' in page


def test_colours_become_classes() -> None:
    shown = ansi_to_html("\x1b[1;31mE\x1b[0m: \x1b[38;5;208mx\x1b[39m <\x1b[94mb\x1b[K\x1b[0m")
    assert shown == snapshot('<span class="bold ansi-red">E</span>: x &lt;<span class="ansi-blue">b</span>')


@given(st.lists(st.sampled_from(["\x1b[", "1", ";", "m", "38;5;", "<", "x", "\x1b[0m", "\x1b]", "\x00", "31m", "é"])))
def test_any_escape_sequences_leave_escaped_text(parts: list[str]) -> None:
    text = "".join(parts)
    shown = re.sub(r'<span class="[a-z -]+">|</span>', "", ansi_to_html(text))
    assert "<" not in shown
    assert "\x1b" not in shown
    assert "\x1b" not in strip_ansi(text)


def test_pictures_that_a_text_brings_along_are_inside(notebook: Notebook) -> None:
    held = {
        "a b.png": {"image/png": ["aGVs\n", "bG8="]},
        "page.html": {"text/html": EVIL},
        "bad.png": {"image/png": [1, EVIL]},
    }
    source = (
        "![one](attachment:a%20b.png) ![two][r] `](attachment:` ![no](attachment:page.html) ![](attachment:bad.png)"
    )
    notebook.add(f"{source}\n\n[r]: <attachment:a%20b.png>", type="markdown", metadata={"attachments": held})
    assert notebook.to_html().count('src="data:image/png;base64,aGVsbG8="') == 2
    written = notebook.to_md()
    assert "![one](data:image/png;base64,aGVsbG8=)" in written
    assert "[r]: <data:image/png;base64,aGVsbG8=>" in written
    assert "![no](attachment:page.html)" in written


@pytest.mark.parametrize("held", [None, [], "text", {"a": []}, {"a": {"image/png": None}}])
def test_what_is_brought_along_may_be_anything(notebook: Notebook, held: object) -> None:
    notebook.add("![x](attachment:a)", type="markdown", metadata={"attachments": held})
    assert "attachment:a" in notebook.to_html()
    assert "attachment:a" in notebook.to_md()
