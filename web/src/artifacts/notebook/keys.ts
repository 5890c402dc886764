// Jupyter's command mode: the cell itself has the focus, and single keys are commands.
import type { KeyboardEvent } from 'react'
import { CELL_COMMANDS, keyName, matched, NOTEBOOK_COMMANDS, type CellCommand, type Command, type NotebookCommand } from '../../core/commands.ts'
import type { CellActions } from './actions.ts'

const ALL = { ...CELL_COMMANDS, ...NOTEBOOK_COMMANDS }
/** Milliseconds from one key of a command to the next, as in JupyterLab. */
const PATIENCE = 1000

let deaf = false

/** Where a person was typing is gone under their hands: what they go on to type is no command, until they look up. */
export function goOnTyping(): void {
  deaf = true
}

/** Whether a person may be typing where nothing is typed. */
export const isUnheard = (): boolean => deaf

const lookUp = (): boolean => (deaf = false)
for (const sign of ['pointerdown', 'focusin']) addEventListener(sign, lookUp, { capture: true, passive: true })
addEventListener(
  'keydown',
  ({ key, ctrlKey, metaKey }) => (ctrlKey || metaKey || /^(Escape|Tab|Arrow\w+)$/.test(key)) && lookUp(),
  { capture: true },
)

let pending: { readonly name: string; readonly at: number } | null = null

/** True when the key was a command of a cell or of the notebook, and has been obeyed. */
export function command(event: KeyboardEvent, cellId: string, edit: () => void, actions: CellActions): boolean {
  if (deaf) return false
  const name = nameOf(event)
  if (name === 'Enter') return done(edit())
  if (name === 'ArrowDown' || name === 'J') return actions.step(cellId, 1, 'cell')
  if (name === 'ArrowUp' || name === 'K') return actions.step(cellId, -1, 'cell')
  return obeyed(ALL, event, (found) => {
    if (found in CELL_COMMANDS) actions.perform(cellId, found as CellCommand)
    else actions.overall(found as NotebookCommand)
  })
}

/** The same where there is no cell. */
export function overall(event: KeyboardEvent, actions: CellActions): boolean {
  return !deaf && obeyed(NOTEBOOK_COMMANDS, event, actions.overall)
}

function obeyed<Name extends string>(table: Readonly<Record<Name, Command>>, event: KeyboardEvent, obey: (found: Name) => void): boolean {
  const waited = pending !== null && event.timeStamp - pending.at < PATIENCE ? pending.name : null
  const found = matched(table, nameOf(event), waited)
  pending = found.pending === null ? null : { name: found.pending, at: event.timeStamp }
  if (found.command !== null) obey(found.command)
  return found.command !== null || found.pending !== null
}

function nameOf({ key, ctrlKey, metaKey, altKey, shiftKey }: KeyboardEvent): string {
  return keyName({ key, ctrl: ctrlKey || metaKey, alt: altKey, shift: shiftKey })
}

function done(_: void): true {
  return true
}
