// What a person did to the cells stands at once, on top of all the server says, until the server has it.
import { never } from './outputs.ts'
import type { CellView } from './notebook.ts'
import type { CellChange, CellType } from '../wire/types.ts'

export type Arrangement =
  | { readonly kind: 'add'; readonly cellId: string; readonly type: CellType; readonly source: string; readonly after: string | null }
  | { readonly kind: 'hide'; readonly cellId: string; readonly hidden: boolean }
  | { readonly kind: 'delete'; readonly cellId: string }
  | { readonly kind: 'move'; readonly cellId: string; readonly after: string | null }
  | { readonly kind: 'retype'; readonly cellId: string; readonly type: CellType }

type Cells = readonly CellView[]

/** The cells after it; `made` is the cell that it adds. */
export function arranged(cells: Cells, change: Arrangement, made: CellView | undefined): Cells {
  const cell = cells.find((one) => one.id === change.cellId)
  const rest = cells.filter((one) => one !== cell)
  switch (change.kind) {
    case 'delete':
      return rest
    case 'add':
      return cell || !made ? cells : (placed(cells, made, change.after) ?? [...cells, made])
    case 'move':
      return cell ? (placed(rest, cell, change.after) ?? cells) : cells
    case 'retype':
      return cells.map((cell) => (cell.id === change.cellId ? retyped(cell, change.type) : cell))
    case 'hide':
      return cells.map((cell) => (cell.id === change.cellId ? hidden(cell, change.hidden) : cell))
    default:
      return never(change)
  }
}

/** What the server says, with all that is still on its way; `before` are the cells as the page has them. */
export function replayed(cells: Cells, ahead: readonly Arrangement[], before: Cells): Cells {
  return ahead.reduce((now, change) => arranged(now, change, before.find((cell) => cell.id === change.cellId)), cells)
}

/** As the server is told it together with others: what waits when the page goes away is sent so. */
export function changesOf(change: Arrangement): readonly CellChange[] {
  const { cellId: cell_id } = change
  switch (change.kind) {
    case 'delete':
      return [{ kind: 'delete', cell_id }]
    case 'add': {
      const { type, source, after } = change
      const added = { kind: 'add', id: cell_id, type, source, ...(after === null ? {} : { after }) } as const
      return after === null ? [added, { kind: 'move', cell_id, after }] : [added]
    }
    case 'move':
      return [{ kind: 'move', cell_id, after: change.after }]
    case 'retype':
      return [{ kind: 'edit', cell_id, type: change.type }]
    case 'hide':
      return [{ kind: 'edit', cell_id, outputs_hidden: change.hidden }]
    default:
      return never(change)
  }
}

/** With the cell behind `after`, or at the top; null when there is no such place. */
export function placed(cells: Cells, cell: CellView, after: string | null): Cells | null {
  if (after === null) return [cell, ...cells]
  const at = cells.findIndex((other) => other.id === after)
  return at < 0 ? null : [...cells.slice(0, at + 1), cell, ...cells.slice(at + 1)]
}

/** What it has put out goes, and what it is still running no longer belongs to it. */
function retyped(cell: CellView, type: CellType): CellView {
  const { cellblock: _, ...metadata } = cell.metadata
  return { ...cell, ...NOT_RUN, type, metadata }
}

/** A cell's run before it has one. */
export const NOT_RUN = {
  outputs: [],
  execution_count: null,
  status: null,
  execution_id: null,
  clearing: false,
  startedAt: null,
  runMs: null,
  truncated: false,
  spill: null,
  limit: null,
  created: [],
  undone: false,
} as const

function hidden(cell: CellView, hide: boolean): CellView {
  const jupyter = cell.metadata['jupyter'] as object | undefined
  return { ...cell, metadata: { ...cell.metadata, jupyter: { ...jupyter, outputs_hidden: hide } } }
}
