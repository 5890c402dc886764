// Words are marked where they stand, without a change of what stands there: the browser paints them.
const NAME = 'found'

/** Marks the words in an element, also in what is drawn in it later, until the function that comes back is called. */
export function markWords(element: Element, words: readonly string[]): () => void {
  if (typeof Highlight === 'undefined') return () => {}
  const mark = (): void => void CSS.highlights.set(NAME, new Highlight(...rangesOf(element, words)))
  const observer = new MutationObserver(mark)
  observer.observe(element, { childList: true, subtree: true, characterData: true })
  mark()
  return () => {
    observer.disconnect()
    CSS.highlights.delete(NAME)
  }
}

function rangesOf(element: Element, words: readonly string[]): Range[] {
  const wanted = words.map((word) => word.toLowerCase())
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
  const found: Range[] = []
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = (node.textContent ?? '').toLowerCase()
    for (const word of wanted) {
      for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
        const range = new Range()
        range.setStart(node, at)
        range.setEnd(node, at + word.length)
        found.push(range)
      }
    }
  }
  return found
}
