// Every command of the page by its name: Ctrl-K, type, Enter.
import { X } from 'lucide-react'
import { useId, useMemo, useRef, useState, type KeyboardEvent } from 'react'
import { CELL_COMMANDS, NOTEBOOK_COMMANDS, type Command } from '../core/commands.ts'
import { fitting, inOrder, marked } from '../core/palette.ts'
import { allCommands, type PaletteCommand } from './commands.ts'
import { IconButton } from './button.tsx'
import { Dialog } from './dialog.tsx'
import { words } from '../core/words.ts'
import { keysShown } from './menu.tsx'

export function Palette({ onClose }: { onClose: () => void }) {
  const [commands] = useState(() => inOrder(allCommands()))
  const [typed, setTyped] = useState('')
  const [at, setAt] = useState(0)
  const list = useRef<HTMLUListElement>(null)
  const id = useId()
  const shown = useMemo(() => fitting(commands, typed), [commands, typed])

  const choose = (command: PaletteCommand | undefined): void => {
    if (!command) return
    onClose()
    // The dialog gives the focus back first; the command may move it on.
    requestAnimationFrame(() => command.run())
  }
  const mark = (next: number): void => {
    setAt(next)
    list.current?.children[next]?.scrollIntoView({ block: 'nearest' })
  }
  const onKey = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Enter') choose(shown[at])
    else if (event.key === 'ArrowDown') mark(marked(at, 1, shown.length))
    else if (event.key === 'ArrowUp') mark(marked(at, -1, shown.length))
    else return
    event.preventDefault()
  }
  return (
    <Dialog label={words.palette.commands} onClose={onClose} high>
      <div className="flex max-h-[60dvh] flex-col">
        <input
          autoFocus
          role="combobox"
          aria-label={words.palette.command}
          aria-expanded
          aria-controls={id}
          aria-activedescendant={shown.length > 0 ? `${id}-${at}` : undefined}
          placeholder={words.palette.hint}
          value={typed}
          onChange={(event) => {
            setTyped(event.target.value)
            setAt(0)
          }}
          onKeyDown={onKey}
          className="h-12 shrink-0 border-b border-line bg-transparent px-4 outline-none placeholder:text-ink-3"
        />
        <ul ref={list} id={id} role="listbox" aria-label={words.palette.commands} className="min-h-0 overflow-y-auto p-1">
          {shown.map((command, place) => (
            <li
              key={command.id}
              id={`${id}-${place}`}
              role="option"
              aria-selected={place === at}
              onPointerMove={() => place !== at && setAt(place)}
              onClick={() => choose(command)}
              className={`flex cursor-pointer items-center gap-3 rounded-md px-3 py-1.5 text-sm ${place === at ? 'bg-hover' : ''}`}
            >
              <span className="min-w-0 flex-1 truncate">{command.label}</span>
              <span className="shrink-0 text-xs text-ink-3">{command.keys ? keysShown(command.keys) : command.group}</span>
            </li>
          ))}
        </ul>
        {shown.length === 0 && <p className="px-4 pb-4 text-sm text-ink-3">{words.palette.none}</p>}
      </div>
    </Dialog>
  )
}

const ELSEWHERE: readonly Command[] = [
  { label: words.palette.allCommands, keys: 'Ctrl+K' },
  { label: words.palette.intoEditor, keys: 'Enter' },
  { label: words.palette.outOfEditor, keys: 'Escape' },
  { label: words.palette.step, keys: 'ArrowDown or ArrowUp' },
  { label: words.palette.inspect, keys: 'Shift+Tab' },
  { label: words.palette.complete, keys: 'Ctrl+Space' },
]

export function Shortcuts({ onClose }: { onClose: () => void }) {
  const all = [...ELSEWHERE, ...Object.values(CELL_COMMANDS), ...Object.values(NOTEBOOK_COMMANDS)].filter((one) => one.keys !== '')
  return (
    <Dialog label={words.palette.keyboardShortcuts} onClose={onClose} high>
      <div className="max-h-[76dvh] overflow-y-auto p-5" tabIndex={0} role="group" aria-label={words.palette.keyboardShortcuts}>
        <div className="flex items-start justify-between gap-3">
          <h2 className="text-base font-semibold">{words.palette.keyboardShortcuts}</h2>
          <IconButton label={words.common.close} onClick={onClose} className="-mt-1 -mr-2">
            <X size={16} />
          </IconButton>
        </div>
        <p className="mt-1 pb-3 text-sm text-ink-2">{words.palette.letters}</p>
        <dl className="text-sm">
          {all.map((one) => (
            <div key={one.label} className="flex justify-between gap-6 border-b border-line py-1">
              <dt>{one.label}</dt>
              <dd className="shrink-0 text-ink-2">{keysShown(one.keys)}</dd>
            </div>
          ))}
        </dl>
      </div>
    </Dialog>
  )
}
