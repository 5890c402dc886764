// What can be done, in words and keys: menus, the command palette, the help and the keyboard all read these tables.

export interface Command {
  readonly label: string
  /** As a person reads them: `Ctrl+Enter`, or two in a row: `D D`. Empty when there are none. */
  readonly keys: string
}

/** To the cell that has the focus. Single letters count while the cell itself has it, not its editor. */
export const CELL_COMMANDS = {
  run: { label: 'Run cell', keys: 'Ctrl+Enter' },
  runNext: { label: 'Run cell and go on', keys: 'Shift+Enter' },
  runInsert: { label: 'Run cell and insert one below', keys: 'Alt+Enter' },
  runAbove: { label: 'Run all above', keys: '' },
  runBelow: { label: 'Run this and all below', keys: '' },
  insertAbove: { label: 'Insert a cell above', keys: 'A' },
  insertBelow: { label: 'Insert a cell below', keys: 'B' },
  duplicate: { label: 'Duplicate', keys: '' },
  copy: { label: 'Copy cell', keys: 'C' },
  cut: { label: 'Cut cell', keys: 'X' },
  paste: { label: 'Paste cell below', keys: 'V' },
  moveUp: { label: 'Move up', keys: 'Ctrl+Shift+ArrowUp' },
  moveDown: { label: 'Move down', keys: 'Ctrl+Shift+ArrowDown' },
  toText: { label: 'Change to text', keys: 'M' },
  toCode: { label: 'Change to code', keys: 'Y' },
  toggleOutputs: { label: 'Hide or show outputs', keys: 'O' },
  explain: { label: 'Explain this cell', keys: '' },
  fix: { label: 'Fix with AI', keys: '' },
  delete: { label: 'Delete cell', keys: 'D D' },
} as const satisfies Record<string, Command>

export type CellCommand = keyof typeof CELL_COMMANDS

/** To the whole notebook. */
export const NOTEBOOK_COMMANDS = {
  undo: { label: 'Undo a change of cells', keys: 'Z' },
  redo: { label: 'Redo a change of cells', keys: 'Shift+Z' },
  runAll: { label: 'Run all cells', keys: '' },
  interrupt: { label: 'Interrupt', keys: 'I I' },
  restart: { label: 'Restart the kernel', keys: '0 0' },
  restartRunAll: { label: 'Restart and run all', keys: '' },
  addCode: { label: 'Add a code cell', keys: '' },
  addText: { label: 'Add a text cell', keys: '' },
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
