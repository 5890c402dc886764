// Jupyter's command mode: the cell itself has the focus, and single keys are commands.
import type { KeyboardEvent } from 'react'
import { CELL_COMMANDS, keyName, matched, NOTEBOOK_COMMANDS, type CellCommand, type NotebookCommand } from '../../core/commands.ts'
import type { CellActions } from './actions.ts'

const ALL = { ...CELL_COMMANDS, ...NOTEBOOK_COMMANDS }
/** Milliseconds from one key of a command to the next, as in JupyterLab. */
const PATIENCE = 1000

let pending: { readonly name: string; readonly at: number } | null = null

/** True when the key was a command, and has been obeyed. */
export function command(event: KeyboardEvent, cellId: string, edit: () => void, actions: CellActions): boolean {
  const { key, ctrlKey, metaKey, altKey, shiftKey } = event
  const name = keyName({ key, ctrl: ctrlKey || metaKey, alt: altKey, shift: shiftKey })
  if (name === 'Enter') return done(edit())
  if (name === 'ArrowDown' || name === 'J') return actions.step(cellId, 1, 'cell')
  if (name === 'ArrowUp' || name === 'K') return actions.step(cellId, -1, 'cell')
  const waited = pending !== null && event.timeStamp - pending.at < PATIENCE ? pending.name : null
  const found = matched(ALL, name, waited)
  pending = found.pending === null ? null : { name: found.pending, at: event.timeStamp }
  if (found.command === null) return found.pending !== null
  if (found.command in CELL_COMMANDS) actions.perform(cellId, found.command as CellCommand)
  else actions.overall(found.command as NotebookCommand)
  return true
}

function done(_: void): true {
  return true
}
