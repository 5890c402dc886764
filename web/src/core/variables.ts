// The kernel's variables, and one of them looked at closely: what is asked for, and how it is told.
import { bytes } from './format.ts'
import { words } from './words.ts'
import type { TableView, Variable } from '../wire/types.ts'

export const ROWS = 50

/** Which part of a table is looked at: the page, and the column it is ordered by. */
export interface Look {
  readonly offset: number
  readonly sort: number | null
  readonly descending: boolean
}

export const FIRST: Look = { offset: 0, sort: null, descending: false }

/** A column's head was pressed: up, down, and as it was. */
export function sorted(look: Look, column: number): Look {
  if (look.sort !== column) return { offset: 0, sort: column, descending: false }
  return look.descending ? FIRST : { offset: 0, sort: column, descending: true }
}

/** The page before or after, or null where there is none. */
export function turned(look: Look, step: 1 | -1, total: number): Look | null {
  const offset = look.offset + step * ROWS
  return offset < 0 || offset >= total ? null : { ...look, offset }
}

/** The last page there is, where the table has fewer rows than were looked at. */
export function within(look: Look, total: number): Look {
  if (look.offset < Math.max(total, 1)) return look
  return { ...look, offset: Math.floor(Math.max(total - 1, 0) / ROWS) * ROWS }
}

/** Which rows of how many. */
export function pageTold(look: Look, table: TableView): string {
  return table.total === 0 ? words.table.none : words.table.rows(look.offset + 1, look.offset + table.rows.length, table.total)
}

export function shapeOf(variable: Variable): string {
  const { shape } = variable
  if (shape === null) return ''
  return shape.length === 1 ? String(shape[0]) : shape.join(' × ')
}

export function sizeOf(variable: Variable): string {
  return bytes(variable.size)
}

/** The last part of a type's name: what a person calls it. */
export function kindOf(variable: Variable): string {
  return variable.type.split('.').at(-1) ?? variable.type
}
