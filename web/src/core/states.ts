// The states of a kernel that are kept: what a person reads of each, and how to get there. Pure.
import { sourceOf, type CellView } from './notebook.ts'
import { words } from './words.ts'
import type { KeptState, Travelled } from '../wire/types.ts'

/** One line of the timeline: a state that is kept, or where the kernel stands. */
export type Row =
  | { readonly kind: 'now' }
  | {
      readonly kind: 'state'
      /** Its place among the states that are kept. */
      readonly at: number
      /** The cell it comes before, counted from 1; null when that is no cell of the notebook any more, or none. */
      readonly cell: number | null
      /** Behind all executions, not before one. */
      readonly last: boolean
      /** The first line of the cell's code. */
      readonly line: string
      readonly created: string
      readonly bytes: number
      readonly undone: boolean
    }

/** In the order of what they have seen; what is undone comes behind the place where the kernel stands. */
export function rowsOf(states: readonly KeptState[], cells: readonly CellView[]): readonly Row[] {
  const rows = states.map((state, at): Row => {
    const index = cells.findIndex((cell) => cell.id === state.cell_id && cell.execution_id === state.execution_id)
    const cell = cells[index]
    return {
      kind: 'state',
      at,
      cell: cell === undefined ? null : index + 1,
      last: state.execution_id === null,
      line: cell === undefined ? '' : firstLine(sourceOf(cell)),
      created: state.created,
      bytes: state.bytes,
      undone: state.undone,
    }
  })
  const standing = states.filter((state) => !state.undone).length
  return [...rows.slice(0, standing), { kind: 'now' }, ...rows.slice(standing)]
}

function firstLine(source: string): string {
  return source.split('\n').find((line) => line.trim() !== '')?.trim() ?? ''
}

export type Way = { readonly kind: 'undo'; readonly to: string } | { readonly kind: 'redo'; readonly times: number }

/** How to get to the state at this place: straight back, or forth step by step. */
export function wayTo(states: readonly KeptState[], at: number): Way | null {
  const state = states[at]
  if (state === undefined) return null
  if (!state.undone) return state.execution_id === null ? null : { kind: 'undo', to: state.execution_id }
  return { kind: 'redo', times: states.slice(0, at + 1).filter((one) => one.undone).length }
}

/** The cells whose runs are in the kernel's line, in the order they were counted: what stands, and what was undone last. */
function inLine(cells: readonly CellView[]): readonly CellView[] {
  const ran = cells.filter((cell) => cell.execution_id !== null && cell.execution_count !== null)
  const last = Math.max(0, ...ran.filter((cell) => !cell.undone).map((cell) => cell.execution_count!))
  const line = ran.filter((cell) => !cell.undone || cell.execution_count! > last)
  return [...line].sort((a, b) => a.execution_count! - b.execution_count!)
}

/** Where a branch of the state at this place begins: behind an execution, or, with null, where the kernel stands; undefined when there is no such branch. */
export function branchOf(states: readonly KeptState[], at: number, cells: readonly CellView[]): string | null | undefined {
  const state = states[at]
  const line = inLine(cells)
  if (state === undefined) return undefined
  if (state.execution_id === null) return state.undone ? line.at(-1)?.execution_id : null
  const place = line.findIndex((cell) => cell.execution_id === state.execution_id)
  return place > 0 ? line[place - 1]!.execution_id : undefined
}

/** The first cell that is undone and can be had back; null when there is none. */
export function redoable(states: readonly KeptState[], cells: readonly CellView[]): string | null {
  if (!states.some((state) => state.undone)) return null
  return cells.find((cell) => cell.undone)?.id ?? null
}

/** What was done, in a sentence or two; files that are not as they were are named. */
export function told({ undone, redone, notice }: Travelled): string {
  const what = undone.length > 0 ? words.states.wentBack(undone.length) : words.states.wentForth(redone.length)
  return notice ? `${what} ${notice}` : what
}

/** Two steps as one. */
export function also(first: Travelled, then: Travelled): Travelled {
  const notice = [first.notice, then.notice].filter(Boolean).join(' ') || null
  return { ...then, undone: [...first.undone, ...then.undone], redone: [...first.redone, ...then.redone], notice }
}
