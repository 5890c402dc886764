"""A person without a mouse: keys alone, or a finger alone on a page that is 390 pixels wide."""

import re
from dataclasses import dataclass
from typing import Literal

from person import at_rest, cells
from playwright.sync_api import Locator, Page, expect
from test_by_keys_and_by_finger import arrow_to

BEFORE = """element => {
  const here = document.activeElement
  return here !== document.body && !!(here.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING)
}"""
HERE = "element => element === element.ownerDocument.activeElement"


@dataclass(frozen=True)
class Hand:
    page: Page
    kind: Literal["keys", "finger"]

    def press(self, target: Locator) -> None:
        """Presses what can be pressed: reached by Tab alone, or tapped."""
        expect(target).to_be_visible()
        if self.kind == "finger":
            at_rest(self.page)
            target.tap()
            return
        self.reach(target)
        self.page.keyboard.press("Enter")

    def reach(self, target: Locator) -> None:
        """Escape leads out of an editor, and Tab to everything else."""
        for _ in range(2):  # the first may put away what the editor shows
            if self.page.locator(".cm-content:focus").count():
                self.page.keyboard.press("Escape")
        for _ in range(600):  # however many conversations there are
            if target.evaluate(HERE):
                return
            self.page.keyboard.press("Shift+Tab" if target.evaluate(BEFORE) else "Tab")
        raise AssertionError(f"no way by Tab to {target}")

    def choose(self, trigger: Locator, name: str) -> None:
        """Opens a menu and takes an item."""
        self.press(trigger)
        item = self.page.get_by_role("menuitem", name=name)
        expect(item).to_be_visible()
        if self.kind == "finger":
            item.tap()
            return
        arrow_to(self.page, item)
        self.page.keyboard.press("Enter")

    def attend(self, cell: Locator) -> None:
        """Goes to a cell: its tools are there then."""
        if self.kind == "finger":
            at_rest(self.page)
            cell.locator("[data-editor]").tap(position={"x": 20, "y": 20})
        else:
            cell.focus()

    def more(self, cell: Locator, name: str) -> None:
        self.attend(cell)
        self.choose(cell.get_by_role("button", name="More for this cell"), name)

    def overall(self, name: str) -> None:
        """From the menu of the notebook."""
        self.choose(self.page.get_by_role("button", name="Download and more"), name)

    def show(self, name: str) -> None:
        """One of the tabs."""
        tab = self.page.get_by_role("tab", name=re.compile(f"^{name}")).locator("visible=true")
        if tab.get_attribute("aria-selected") != "true":
            self.press(tab)

    def open(self, *codes: str, run: bool = True) -> str:
        """A session with these cells, its notebook in view: its id."""
        id: str = self.page.request.post("/api/jupyter/kernel", data={}).json()["id"]
        for code in codes:
            if run:
                self.page.request.post("/api/jupyter/execute", data={"kernel_id": id, "code": code})
            else:
                cell = {"type": "code", "source": code}
                self.page.request.post(f"/api/jupyter/kernel/{id}/notebook/cells", data=cell)
        self.page.goto(f"/c/{id}")
        self.show("Notebook")
        expect(cells(self.page)).to_have_count(len(codes))
        return id
