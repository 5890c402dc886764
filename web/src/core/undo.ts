// What a person did to the cells of a notebook, and how each step is taken back. Typing has its own history, in its editor.
import { never } from './outputs.ts'
import type { CellView } from './notebook.ts'
import type { CellType } from '../wire/types.ts'

/** `after` is the cell above, null at the top. */
export type Step =
  | { readonly kind: 'added'; readonly cellId: string; readonly type: CellType; readonly source: string; readonly after: string | null }
  | { readonly kind: 'deleted'; readonly cellId: string; readonly type: CellType; readonly source: string; readonly after: string | null }
  | { readonly kind: 'moved'; readonly cellId: string; readonly from: string | null; readonly to: string | null }
  | { readonly kind: 'retyped'; readonly cellId: string; readonly from: CellType; readonly to: CellType }

/** What has to be done now. A restored cell keeps its id, so that earlier and later steps still mean it. */
export type Action =
  | { readonly kind: 'delete'; readonly cellId: string }
  | { readonly kind: 'restore'; readonly cellId: string; readonly type: CellType; readonly source: string; readonly after: string | null }
  | { readonly kind: 'move'; readonly cellId: string; readonly after: string | null }
  | { readonly kind: 'retype'; readonly cellId: string; readonly type: CellType }

export interface Past {
  readonly done: readonly Step[]
  readonly undone: readonly Step[]
}

export const UNTOUCHED: Past = { done: [], undone: [] }
const MOST = 100

export function did(past: Past, step: Step): Past {
  return { done: [...past.done, step].slice(-MOST), undone: [] }
}

/** The last step goes, and what takes it back; null when there is none. */
export function undo(past: Past): readonly [Past, Action] | null {
  const step = past.done.at(-1)
  return step ? [{ done: past.done.slice(0, -1), undone: [...past.undone, step] }, inverse(step)] : null
}

/** The step that was taken back last, once more. */
export function redo(past: Past): readonly [Past, Action] | null {
  const step = past.undone.at(-1)
  return step ? [{ done: [...past.done, step], undone: past.undone.slice(0, -1) }, again(step)] : null
}

function inverse(step: Step): Action {
  switch (step.kind) {
    case 'added':
      return { kind: 'delete', cellId: step.cellId }
    case 'deleted':
      return { ...step, kind: 'restore' }
    case 'moved':
      return { kind: 'move', cellId: step.cellId, after: step.from }
    case 'retyped':
      return { kind: 'retype', cellId: step.cellId, type: step.from }
    default:
      return never(step)
  }
}

function again(step: Step): Action {
  switch (step.kind) {
    case 'added':
      return { ...step, kind: 'restore' }
    case 'deleted':
      return { kind: 'delete', cellId: step.cellId }
    case 'moved':
      return { kind: 'move', cellId: step.cellId, after: step.to }
    case 'retyped':
      return { kind: 'retype', cellId: step.cellId, type: step.to }
    default:
      return never(step)
  }
}

/** The cell above this one; null at the top, and for a cell that is not there. */
export function above(cells: readonly CellView[], id: string): string | null {
  return cells[cells.findIndex((cell) => cell.id === id) - 1]?.id ?? null
}

/** `after` if it is still there, else the last cell: somebody may have deleted it meanwhile. */
export function standing(cells: readonly CellView[], after: string | null): string | null {
  if (after === null || cells.some((cell) => cell.id === after)) return after
  return cells.at(-1)?.id ?? null
}
