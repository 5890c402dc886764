// What can be done, in words and keys: menus, the command palette, the help and the keyboard all read these tables.
import { words } from './words.ts'


export interface Command {
  readonly label: string
  /** As a person reads them: `Ctrl+Enter`, or two in a row: `D D`. Empty when there are none. */
  readonly keys: string
}

/** To the cell that has the focus. Single letters count while the cell itself has it, not its editor. */
export const CELL_COMMANDS = {
  run: { label: words.commands.run, keys: 'Ctrl+Enter' },
  runNext: { label: words.commands.runNext, keys: 'Shift+Enter' },
  runInsert: { label: words.commands.runInsert, keys: 'Alt+Enter' },
  runAbove: { label: words.commands.runAbove, keys: '' },
  runBelow: { label: words.commands.runBelow, keys: '' },
  insertAbove: { label: words.commands.insertAbove, keys: 'A' },
  insertBelow: { label: words.commands.insertBelow, keys: 'B' },
  duplicate: { label: words.commands.duplicate, keys: '' },
  copy: { label: words.commands.copy, keys: 'C' },
  cut: { label: words.commands.cut, keys: 'X' },
  paste: { label: words.commands.paste, keys: 'V' },
  moveUp: { label: words.commands.moveUp, keys: 'Ctrl+Shift+ArrowUp' },
  moveDown: { label: words.commands.moveDown, keys: 'Ctrl+Shift+ArrowDown' },
  toText: { label: words.commands.toText, keys: 'M' },
  toCode: { label: words.commands.toCode, keys: 'Y' },
  toggleOutputs: { label: words.commands.toggleOutputs, keys: 'O' },
  back: { label: words.commands.back, keys: 'U' },
  branch: { label: words.commands.branch, keys: 'Shift+B' },
  complete: { label: words.palette.complete, keys: '' },
  inspect: { label: words.palette.inspect, keys: '' },
  explain: { label: words.commands.explain, keys: '' },
  fix: { label: words.commands.fix, keys: '' },
  delete: { label: words.commands.delete, keys: 'D D' },
} as const satisfies Record<string, Command>

export type CellCommand = keyof typeof CELL_COMMANDS

/** To the whole notebook. */
export const NOTEBOOK_COMMANDS = {
  undo: { label: words.commands.undo, keys: 'Z' },
  redo: { label: words.commands.redo, keys: 'Shift+Z' },
  forth: { label: words.commands.forth, keys: 'Shift+U' },
  runAll: { label: words.commands.runAll, keys: '' },
  interrupt: { label: words.common.interrupt, keys: 'I I' },
  restart: { label: words.commands.restart, keys: '0 0' },
  restartRunAll: { label: words.commands.restartRunAll, keys: '' },
  addCode: { label: words.commands.addCode, keys: '' },
  addText: { label: words.commands.addText, keys: '' },
} as const satisfies Record<string, Command>

export type NotebookCommand = keyof typeof NOTEBOOK_COMMANDS

export interface KeyPress {
  readonly key: string
  readonly ctrl: boolean
  readonly shift: boolean
  readonly alt: boolean
}

/** A key as the tables name it. */
export function keyName({ key, ctrl, shift, alt }: KeyPress): string {
  const name = key.length === 1 ? key.toUpperCase() : key
  return [ctrl && 'Ctrl', alt && 'Alt', shift && 'Shift', name].filter(Boolean).join('+')
}

export interface Matched<Name> {
  readonly command: Name | null
  /** The first key of two, waiting for the second. */
  readonly pending: string | null
}

/** What a key means after `pending`; neither a command nor pending when it means nothing here. */
export function matched<Name extends string>(
  table: Readonly<Record<Name, Command>>,
  name: string,
  pending: string | null,
): Matched<Name> {
  const names = Object.keys(table) as Name[]
  const keys = (wanted: string): Name | null => names.find((one) => table[one].keys === wanted) ?? null
  const command = (pending === null ? null : keys(`${pending} ${name}`)) ?? keys(name)
  if (command !== null) return { command, pending: null }
  return { command: null, pending: names.some((one) => table[one].keys.startsWith(`${name} `)) ? name : null }
}
