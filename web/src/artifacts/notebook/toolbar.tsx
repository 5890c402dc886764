// Above the cells: what is shown, how the kernel is, and what can be done to all of them.
import { ChevronsRight, Download, Ellipsis, FolderOpen, History, Link, Maximize2, Minimize2, Redo2, RotateCcw, Square, Undo2 } from 'lucide-react'
import { useRef } from 'react'
import { NOTEBOOK_COMMANDS } from '../../core/commands.ts'
import { bytes } from '../../core/format.ts'
import { words } from '../../core/words.ts'
import { isBusy, runnable, type Session } from '../../core/notebook.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Keys, Menu, MenuItem, MenuLabel, MenuLine, MenuLink } from '../../ui/menu.tsx'
import { exportUrl, type Format } from '../../wire/client.ts'
import type { CellActions } from './actions.ts'
import type { SessionStore, StoreView } from './store.ts'

export type Pane = 'notebook' | 'files' | 'variables' | 'states'

const FORMATS: readonly { format: Format; label: string; name: string }[] = [
  { format: 'ipynb', label: words.common.notebook, name: '.ipynb' },
  { format: 'py', label: 'Python', name: '.py' },
  { format: 'html', label: words.toolbar.webPage, name: '.html' },
  { format: 'md', label: words.toolbar.markdown, name: '.md' },
]

export function Toolbar({
  store,
  actions,
  view,
  pane,
  onPane,
  files,
  memoryLimit,
  full,
  onFull,
  onShare,
}: {
  store: SessionStore
  actions: CellActions
  view: StoreView
  pane: Pane
  onPane: (pane: Pane) => void
  files: number
  memoryLimit: number | null
  full: boolean
  onFull: () => void
  onShare: () => void
}) {
  const { session } = view
  const busy = isBusy(session)
  return (
    <header className="@container flex h-12 shrink-0 items-center gap-1 border-b border-line px-2 md:px-4">
      <div role="tablist" aria-label={words.toolbar.artifact} className="hidden gap-1 md:flex">
        <Tab selected={pane === 'notebook'} onSelect={() => onPane('notebook')} label={words.common.notebook} />
        <Tab selected={pane === 'files'} onSelect={() => onPane('files')} label={words.common.files} count={files} />
        <Tab selected={pane === 'variables'} onSelect={() => onPane('variables')} label={words.common.variables} />
        <Tab selected={pane === 'states'} onSelect={() => onPane('states')} label={words.states.timeline} />
      </div>
      <KernelStatus session={session} connected={view.connected} memoryLimit={memoryLimit} />
      <div role="toolbar" aria-label={words.common.notebook} className={`ml-auto items-center gap-0.5 ${pane === 'notebook' ? 'flex' : 'hidden'}`}>
        <Button onClick={() => void store.runAll()} disabled={busy || runnable(session.cells).length === 0} className="px-2">
          <ChevronsRight size={16} /> <span className="sr-only whitespace-nowrap @3xl:not-sr-only">{words.common.runAll}</span>
        </Button>
        <IconButton label={words.common.interrupt} keys={words.toolbar.interruptHint} onClick={() => void store.interrupt()} disabled={!busy}>
          <Square size={14} />
        </IconButton>
        <IconButton label={words.toolbar.restart} keys={words.toolbar.restartHint} onClick={() => void store.restart()}>
          <RotateCcw size={15} />
        </IconButton>
        <More store={store} view={view} actions={actions} onShare={onShare} />
      </div>
      <span className={`hidden md:block ${pane === 'notebook' ? '' : 'ml-auto'}`}>
        <IconButton label={full ? words.toolbar.showChat : words.toolbar.fullScreen} onClick={onFull}>
          {full ? <Minimize2 size={15} /> : <Maximize2 size={15} />}
        </IconButton>
      </span>
    </header>
  )
}

function More({ store, view, actions, onShare }: { store: SessionStore; view: StoreView; actions: CellActions; onShare: () => void }) {
  const picker = useRef<HTMLInputElement>(null)
  const { session } = view
  return (
    <>
    <input
      ref={picker}
      type="file"
      accept=".ipynb"
      hidden
      data-testid="notebook-input"
      onChange={(event) => {
        const [file] = event.target.files ?? []
        if (file) void store.open(file)
        event.target.value = ''
      }}
    />
    <Menu
      trigger={
        <IconButton label={words.toolbar.downloadAndMore}>
          <Ellipsis size={16} />
        </IconButton>
      }
    >
      <MenuItem disabled={view.past.done.length === 0} onSelect={() => actions.overall('undo')}>
        <Undo2 size={14} className="text-ink-3" /> {NOTEBOOK_COMMANDS.undo.label} <Keys keys={NOTEBOOK_COMMANDS.undo.keys} />
      </MenuItem>
      <MenuItem disabled={view.past.undone.length === 0} onSelect={() => actions.overall('redo')}>
        <Redo2 size={14} className="text-ink-3" /> {NOTEBOOK_COMMANDS.redo.label} <Keys keys={NOTEBOOK_COMMANDS.redo.keys} />
      </MenuItem>
      <MenuItem disabled={!session.cells.some((cell) => cell.undone)} onSelect={() => actions.overall('forth')}>
        <History size={14} className="text-ink-3" /> {NOTEBOOK_COMMANDS.forth.label} <Keys keys={NOTEBOOK_COMMANDS.forth.keys} />
      </MenuItem>
      <MenuItem onSelect={() => actions.overall('restartRunAll')}>
        <RotateCcw size={14} className="text-ink-3" /> {NOTEBOOK_COMMANDS.restartRunAll.label}
      </MenuItem>
      <MenuItem onSelect={() => picker.current?.click()}>
        <FolderOpen size={14} className="text-ink-3" /> {words.toolbar.openNotebook}
      </MenuItem>
      <MenuItem onSelect={onShare}>
        <Link size={14} className="text-ink-3" /> {words.share.command}
      </MenuItem>
      <MenuLine />
      <MenuLabel>{words.toolbar.downloadAs}</MenuLabel>
      {FORMATS.map(({ format, label, name }) => (
        <MenuLink key={format} href={exportUrl(store.id, format)} download>
          <Download size={14} className="text-ink-3" />
          {label}
          <span className="mono ml-auto pl-4 text-xs text-ink-3">{name}</span>
        </MenuLink>
      ))}
    </Menu>
    </>
  )
}

export function Tab({ selected, onSelect, label, count }: { selected: boolean; onSelect: () => void; label: string; count?: number }) {
  return (
    <button
      type="button"
      role="tab"
      aria-selected={selected}
      onClick={onSelect}
      className={`h-8 rounded-md px-1.5 text-sm md:px-2.5 font-medium ${selected ? 'bg-hover text-ink' : 'text-ink-3 hover:text-ink'}`}
    >
      {label}
      {count !== undefined && count > 0 && <span className="ml-1.5 font-normal text-ink-3 tabular-nums">{count}</span>}
    </button>
  )
}

const WORDS: Record<Session['phase'], string> = {
  starting: words.toolbar.starting,
  idle: words.toolbar.ready,
  busy: words.toolbar.running,
  released: words.toolbar.asleep,
}
const EXPLAINED: Record<Session['phase'], string> = {
  starting: words.toolbar.startingWhy,
  idle: words.toolbar.readyWhy,
  busy: words.toolbar.runningWhy,
  released: words.toolbar.asleepWhy,
}

function KernelStatus({ session, connected, memoryLimit }: { session: Session; connected: boolean; memoryLimit: number | null }) {
  const phase = session.phase === 'idle' && isBusy(session) ? 'busy' : session.phase
  const word = connected ? WORDS[phase] : words.toolbar.offline
  const dot = !connected ? 'bg-line-strong' : phase === 'busy' ? 'bg-accent' : phase === 'idle' ? 'border-[1.5px] border-ink-3' : 'bg-line-strong'
  return (
    <span className="ml-1 flex items-center gap-2 text-xs text-ink-3 md:ml-3" title={connected ? EXPLAINED[phase] : words.toolbar.offlineWhy} data-kernel={phase}>
      <span className={`size-2 rounded-full ${dot}`} aria-hidden />
      <span className="sr-only whitespace-nowrap @xs:not-sr-only">
        {word}
        {session.waiting.length > 0 && <span className="md:sr-only md:@[39rem]:not-sr-only">{words.toolbar.waiting(session.waiting.length)}</span>}
      </span>
      {connected && session.memory > 0 && (
        <span
          className={`hidden whitespace-nowrap tabular-nums ${session.waiting.length > 0 ? '@3xl:inline' : '@[39rem]:inline'} ${memoryLimit !== null && session.memory > 0.8 * memoryLimit ? 'text-bad' : ''}`}
          title={memoryLimit === null ? words.toolbar.memory : words.toolbar.memoryOf(bytes(memoryLimit))}
          data-memory
        >
          {bytes(session.memory)}
        </span>
      )}
    </span>
  )
}
