// What the kernel knows about the name at the cursor, in a tooltip: Shift-Tab asks, typing, moving and Escape put it away.
import { StateEffect, StateField } from '@codemirror/state'
import { showTooltip, type EditorView, type Tooltip } from '@codemirror/view'
import { words } from '../../core/words.ts'
import { fold, readable, spans } from '../../core/text.ts'

const show = StateEffect.define<Tooltip | null>()

export const inspection = StateField.define<Tooltip | null>({
  create: () => null,
  update: (tooltip, transaction) => {
    for (const effect of transaction.effects) if (effect.is(show)) return effect.value
    return transaction.docChanged || transaction.selection ? null : tooltip
  },
  provide: (field) => showTooltip.from(field),
})

/** Whether Shift-Tab means a question here: with a selection, or in the indentation of a line, it takes indentation away. */
export function isAsking(view: EditorView): boolean {
  const { main } = view.state.selection
  const line = view.state.doc.lineAt(main.head)
  return main.empty && line.text.slice(0, main.head - line.from).trim() !== ''
}

export async function inspectAt(view: EditorView, ask: (code: string, cursor: number) => Promise<string | null>): Promise<void> {
  const { state } = view
  const at = state.selection.main.head
  const text = await ask(state.doc.toString(), at)
  if (view.state.doc !== state.doc) return
  const tooltip: Tooltip = { pos: at, above: false, create: () => ({ dom: drawn(text ?? words.cell.kernelKnowsNothing) }) }
  view.dispatch({ effects: show.of(tooltip) })
}

/** True when there was one. */
export function putAway(view: EditorView): boolean {
  if (view.state.field(inspection) === null) return false
  view.dispatch({ effects: show.of(null) })
  return true
}

function drawn(text: string): HTMLElement {
  const box = document.createElement('div')
  box.className = 'cm-inspection'
  box.setAttribute('role', 'tooltip')
  for (const { text: piece, style } of spans(fold(text))) {
    const span = document.createElement('span')
    span.textContent = piece
    if (style.color) span.style.color = readable(style.color)
    if (style.bold) span.style.fontWeight = '600'
    box.append(span)
  }
  return box
}
