// The small toolbar at a cell's corner: what is needed often as buttons, everything else in a menu.
import { ArrowDown, ArrowUp, Ellipsis, Play, Trash2 } from 'lucide-react'
import { CELL_COMMANDS, type CellCommand } from '../../core/commands.ts'
import { isActive, outputsHidden, type CellView } from '../../core/notebook.ts'
import { IconButton } from '../../ui/button.tsx'
import { hasKeys } from '../../ui/pointer.ts'
import { Keys, Menu, MenuItem, MenuLine } from '../../ui/menu.tsx'
import { words } from '../../core/words.ts'
import { applies, type CellActions } from './actions.ts'

const GROUPS: readonly (readonly CellCommand[])[] = [
  ['runAbove', 'runBelow'],
  ['insertAbove', 'insertBelow', 'duplicate'],
  ['toText', 'toCode', 'toggleOutputs'],
  ['back', 'branch'],
  ...(hasKeys() ? [] : [['complete', 'inspect'] as const]), // they have keys
  ['explain', 'fix'],
]

export function Tools({
  cell,
  actions,
  onRun,
  onEdit,
  rendered,
}: {
  cell: CellView
  actions: CellActions
  onRun: () => void
  onEdit: () => void
  rendered: boolean
}) {
  const perform = (command: CellCommand) => (): void => actions.perform(cell.id, command)
  return (
    <div
      role="toolbar"
      aria-label={words.cell.cell}
      className="absolute -top-3.5 right-1 z-10 flex rounded-md border border-line bg-surface opacity-0 group-hover:opacity-100 group-focus-within:opacity-100 has-data-[state=open]:opacity-100 pointer-coarse:-top-7 pointer-coarse:pointer-events-none pointer-coarse:group-focus-within:pointer-events-auto"
    >
      {cell.type === 'code' ? (
        <IconButton label={words.cell.runCell} keys="Shift+Enter" className="size-7" onClick={onRun} disabled={isActive(cell.status)}>
          <Play size={14} />
        </IconButton>
      ) : (
        <button type="button" onClick={rendered ? onEdit : onRun} className="h-7 rounded-md px-2 text-xs text-ink-2 hover:bg-hover hover:text-ink">
          {rendered ? words.cell.edit : words.cell.done}
        </button>
      )}
      <IconButton label={words.cell.moveUp} keys="Ctrl+Shift+↑" className="size-7" onClick={perform('moveUp')}>
        <ArrowUp size={14} />
      </IconButton>
      <IconButton label={words.cell.moveDown} keys="Ctrl+Shift+↓" className="size-7" onClick={perform('moveDown')}>
        <ArrowDown size={14} />
      </IconButton>
      <IconButton label={words.cell.deleteCell} keys="D D" className="size-7" onClick={perform('delete')}>
        <Trash2 size={14} />
      </IconButton>
      <Menu
        trigger={
          <IconButton label={words.cell.more} className="size-7">
            <Ellipsis size={14} />
          </IconButton>
        }
      >
        {GROUPS.map((group, at) => (
          <CommandGroup key={at} first={at === 0} cell={cell} commands={group.filter((command) => applies(cell, command))} perform={perform} />
        ))}
      </Menu>
    </div>
  )
}

function CommandGroup({
  first,
  cell,
  commands,
  perform,
}: {
  first: boolean
  cell: CellView
  commands: readonly CellCommand[]
  perform: (command: CellCommand) => () => void
}) {
  if (commands.length === 0) return null
  return (
    <>
      {!first && <MenuLine />}
      {commands.map((command) => (
        <MenuItem key={command} onSelect={perform(command)}>
          {command === 'toggleOutputs' ? (outputsHidden(cell) ? words.cell.showOutputs : words.cell.hideOutputs) : CELL_COMMANDS[command].label}
          <Keys keys={CELL_COMMANDS[command].keys} />
        </MenuItem>
      ))}
    </>
  )
}
