// What a page that goes away cannot be sure to have sent: the browser keeps it, and the next page there sees to it.
import { rebase } from './drafts.ts'
import { read } from './exact.ts'
import { outputsHidden, type CellView, type Session } from './notebook.ts'
import { never } from './outputs.ts'
import { joined } from './text.ts'
import type { Cell, CellChange, Multiline } from '../wire/types.ts'

export interface Unsent {
  /** What was done to cells, the first first. */
  readonly changes: readonly CellChange[]
  /** What was typed, and the source it was typed over. */
  readonly drafts: readonly { readonly cellId: string; readonly source: string; readonly base: string }[]
  readonly opening: Opening | null
}

/** A notebook that was to take the place of this one. */
export interface Opening {
  readonly name: string
  readonly sources: readonly string[]
  /** The .ipynb; null where it was too large to be kept. */
  readonly ipynb: unknown
}

export function openingOf(name: string, ipynb: unknown): Opening {
  const cells = (ipynb as { cells?: unknown } | null)?.cells
  const sources = Array.isArray(cells) ? cells.map((cell: { source?: Multiline }) => joined(cell.source ?? '')) : []
  return { name, sources, ipynb }
}

/** What a person typed into a cell and the server does not have. */
export function typedInto({ id, draft, conflict }: CellView): readonly (CellChange & { readonly source: string })[] {
  return draft && conflict === null ? [{ kind: 'edit', cell_id: id, source: draft.source }] : []
}

/** Null when the server has everything. */
export function unsentOf(session: Session, changes: readonly CellChange[], opening: Opening | null): Unsent | null {
  const drafts = session.cells.flatMap(({ id, draft }) => (draft ? [{ cellId: id, ...draft }] : []))
  return changes.length === 0 && drafts.length === 0 && opening === null ? null : { changes, drafts, opening }
}

/** As it was kept; null when it cannot be read. */
export function parsed(text: string): Unsent | null {
  try {
    const { changes, drafts, opening } = read(text) as Unsent
    return Array.isArray(changes) && Array.isArray(drafts) ? { changes, drafts, opening: opening ?? null } : null
  } catch {
    return null
  }
}

/** Of these changes those the server has not made, to be seen by its cells; and all that follow them on the same cell. */
export function stillToDo(cells: readonly Cell[], changes: readonly CellChange[]): readonly CellChange[] {
  const begun = new Set<unknown>()
  return changes.filter((change) => {
    const id = change.kind === 'add' ? change.id : change.cell_id
    if (!begun.has(id) && isMade(cells, cells.findIndex((cell) => cell.id === id), change)) return false
    begun.add(id)
    return true
  })
}

function isMade(cells: readonly Cell[], at: number, change: CellChange): boolean {
  const cell = cells[at]
  switch (change.kind) {
    case 'add':
    case 'restore':
      return cell !== undefined
    case 'delete':
      return cell === undefined
    case 'move':
      return cell === undefined || (cells[at - 1]?.id ?? null) === change.after
    case 'edit':
      return cell === undefined || isEdited(cell, change)
    default:
      return never(change)
  }
}

function isEdited(cell: Cell, { source, type, outputs_hidden: hidden }: Extract<CellChange, { kind: 'edit' }>): boolean {
  return (source ?? cell.source) === cell.source && (type ?? cell.type) === cell.type && (hidden ?? outputsHidden(cell)) === outputsHidden(cell)
}

/** With what was typed on top of what the server has; where both changed the same lines, a person will choose. */
export function recalled(session: Session, drafts: Unsent['drafts']): Session {
  const kept = new Map(drafts.map(({ cellId, source, base }) => [cellId, { source, base }]))
  const cells = session.cells.map((cell) => {
    const draft = cell.draft ?? kept.get(cell.id)
    return draft && cell.draft === null ? rebase({ ...cell, draft }, cell.source) : cell
  })
  return { ...session, cells }
}

/** The notebook stands where it was to stand. */
export function isOpened(cells: readonly Cell[], { sources }: Opening): boolean {
  return sources.length === cells.length && sources.every((source, at) => source === cells[at]!.source)
}
