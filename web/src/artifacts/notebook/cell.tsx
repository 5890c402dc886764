// One cell: its count and state in the margin, its source, what it put out. All decisions are in core or the store.
import { ArrowDown, ArrowUp, Download, Play, Square, Trash2 } from 'lucide-react'
import { memo, useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { duration } from '../../core/format.ts'
import { isActive, OUTCOMES, sourceOf, type CellView, type InputRequest } from '../../core/notebook.ts'
import { Button, IconButton } from '../../ui/button.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { complete, fileUrl } from '../../wire/client.ts'
import { Editor, type EditorHandle } from './editor.tsx'
import { Outputs } from './outputs.tsx'
import type { SessionStore } from './store.ts'

export interface CellActions {
  /** Runs the cell, or shows a text as it will look; then the focus stays, goes on, or goes into a new cell. */
  readonly run: (id: string, then: 'stay' | 'next' | 'insert') => void
  readonly step: (id: string, step: 1 | -1, into: 'cell' | 'editor') => boolean
  readonly insert: (id: string, where: 'above' | 'below') => void
  readonly remove: (id: string) => void
}

export const Cell = memo(function Cell({
  cell,
  position,
  store,
  actions,
  input,
}: {
  cell: CellView
  position: number
  store: SessionStore
  actions: CellActions
  input: InputRequest | null
}) {
  const box = useRef<HTMLElement>(null)
  const editor = useRef<EditorHandle>(null)
  const [editing, setEditing] = useState(false)
  const source = sourceOf(cell)
  const rendered = cell.type === 'markdown' && !editing && source.trim() !== ''

  const edit = (): void => {
    setEditing(true)
    queueMicrotask(() => editor.current?.focus())
  }
  const run = (then: 'stay' | 'next' | 'insert'): void => {
    setEditing(false)
    if (cell.type === 'markdown' && then === 'stay') box.current?.focus()
    actions.run(cell.id, then)
  }

  return (
    <section
      ref={box}
      id={`cell-${cell.id}`}
      data-cell={cell.id}
      data-status={cell.status ?? ''}
      tabIndex={0}
      aria-label={`Cell ${position}, ${cell.type === 'code' ? 'code' : 'text'}${cell.status && cell.status !== 'ok' ? `, ${OUTCOMES[cell.status]}` : ''}`}
      onKeyDown={(event) => onKey(event, { cell, store, actions, edit, run, box: box.current })}
      className="group relative grid scroll-my-24 grid-cols-[36px_minmax(0,1fr)] rounded-md outline-offset-4 md:grid-cols-[44px_minmax(0,1fr)]"
    >
      <Margin cell={cell} onRun={() => run('stay')} onStop={() => void store.interrupt()} />
      <div className="min-w-0">
        <div className="relative">
          {rendered ? (
            <div onDoubleClick={edit} className="rounded-md py-1 pr-2">
              <Markdown text={source} />
            </div>
          ) : (
            <div className={`rounded-md border bg-well focus-within:border-line-strong ${cell.conflict === null ? 'border-transparent' : 'border-bad'}`}>
              <Editor
                handle={editor}
                source={source}
                options={{
                  label: `Cell ${cell.type === 'code' ? 'code' : 'text'}`,
                  code: cell.type === 'code',
                  hint: cell.type === 'code' ? '' : 'Text in Markdown',
                }}
                hooks={{
                  onChange: (next) => store.type(cell.id, next),
                  onRun: run,
                  onLeave: () => box.current?.focus(),
                  onEdge: (step) => actions.step(cell.id, step, 'editor'),
                  complete: (code, cursor, signal) => complete(store.id, code, cursor, signal),
                }}
              />
            </div>
          )}
          {cell.status === 'running' && <div className="sweep absolute inset-x-1 -bottom-px h-0.5 rounded-full bg-accent-wash" aria-hidden />}
          <Tools cell={cell} store={store} actions={actions} onRun={() => run('stay')} onEdit={edit} rendered={rendered} />
        </div>
        {cell.conflict !== null && <Conflict theirs={cell.conflict} onChoose={(keep) => store.resolve(cell.id, keep)} />}
        {cell.type === 'code' && <Produced cell={cell} store={store} input={input} />}
      </div>
    </section>
  )
})

function Margin({ cell, onRun, onStop }: { cell: CellView; onRun: () => void; onStop: () => void }) {
  if (cell.type !== 'code') return <div />
  const active = isActive(cell.status)
  return (
    <div className="relative flex h-10 items-center justify-start">
      <span
        className={`mono w-7 text-right text-xs tabular-nums text-ink-3 md:w-8 ${active ? 'invisible' : 'group-hover:invisible group-focus-within:invisible pointer-coarse:invisible'}`}
        aria-label={cell.execution_count === null ? 'Not run' : `Run ${cell.execution_count}`}
      >
        {cell.execution_count ?? '·'}
      </span>
      <IconButton
        label={active ? 'Interrupt' : 'Run cell'}
        keys={active ? '' : 'Ctrl+Enter'}
        onClick={active ? onStop : onRun}
        className={`absolute left-0 md:left-1 ${active ? 'text-accent' : 'opacity-0 group-hover:opacity-100 group-focus-within:opacity-100 pointer-coarse:text-ink-3 pointer-coarse:opacity-100'}`}
      >
        {active ? <Square size={12} fill="currentColor" /> : <Play size={14} fill="currentColor" />}
      </IconButton>
    </div>
  )
}

function Tools({
  cell,
  store,
  actions,
  onRun,
  onEdit,
  rendered,
}: {
  cell: CellView
  store: SessionStore
  actions: CellActions
  onRun: () => void
  onEdit: () => void
  rendered: boolean
}) {
  return (
    <div
      role="toolbar"
      aria-label="Cell"
      className="absolute -top-3.5 right-1 flex rounded-md border border-line bg-surface opacity-0 group-hover:opacity-100 group-focus-within:opacity-100 pointer-coarse:pointer-events-none pointer-coarse:group-focus-within:pointer-events-auto"
    >
      {cell.type === 'code' ? (
        <IconButton label="Run cell" keys="Shift+Enter" className="size-7" onClick={onRun} disabled={isActive(cell.status)}>
          <Play size={14} />
        </IconButton>
      ) : (
        <TextButton label={rendered ? 'Edit' : 'Done'} onClick={rendered ? onEdit : onRun} />
      )}
      <TextButton
        label={cell.type === 'code' ? 'As text' : 'As code'}
        onClick={() => void store.retype(cell.id, cell.type === 'code' ? 'markdown' : 'code')}
      />
      <IconButton label="Move up" className="size-7" onClick={() => void store.move(cell.id, -1)}>
        <ArrowUp size={14} />
      </IconButton>
      <IconButton label="Move down" className="size-7" onClick={() => void store.move(cell.id, 1)}>
        <ArrowDown size={14} />
      </IconButton>
      <IconButton label="Delete cell" keys="D D" className="size-7" onClick={() => actions.remove(cell.id)}>
        <Trash2 size={14} />
      </IconButton>
    </div>
  )
}

function TextButton({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <button type="button" onClick={onClick} className="h-7 rounded-md px-2 text-xs text-ink-2 hover:bg-hover hover:text-ink">
      {label}
    </button>
  )
}

function Conflict({ theirs, onChoose }: { theirs: string; onChoose: (keep: 'mine' | 'theirs') => void }) {
  return (
    <div className="mt-1 rounded-md border border-line px-3 py-2 text-sm" role="alert">
      <p className="text-ink-2">The same lines were changed elsewhere while you typed. The other version:</p>
      <pre className="mono mt-1 max-h-40 overflow-auto">{theirs}</pre>
      <div className="mt-2 flex gap-2">
        <Button look="outline" onClick={() => onChoose('mine')}>
          Keep mine
        </Button>
        <Button look="outline" onClick={() => onChoose('theirs')}>
          Take the other
        </Button>
      </div>
    </div>
  )
}

function Produced({ cell, store, input }: { cell: CellView; store: SessionStore; input: InputRequest | null }) {
  const facts = <Facts cell={cell} kernelId={store.id} />
  return (
    <div className="min-w-0 pl-3 empty:hidden">
      {cell.outputs.length > 0 && (
        <div className="flex flex-col gap-2 pt-2" data-outputs>
          <Outputs outputs={cell.outputs} run={cell.execution_id ?? ''} live={isActive(cell.status)} />
        </div>
      )}
      {input !== null && <Answer key={input.executionId + input.prompt} input={input} onAnswer={(value) => void store.answer(value)} />}
      {facts}
    </div>
  )
}

/** A small line under a cell: how it ended, how long it took, which files it left. */
function Facts({ cell, kernelId }: { cell: CellView; kernelId: string }) {
  const words = outcome(cell)
  const elapsed = useElapsed(cell)
  if (words === null && elapsed === null && cell.created.length === 0) return null
  return (
    <p className="flex flex-wrap items-center gap-x-3 pt-1 text-xs text-ink-3">
      {words !== null && <span className={isActive(cell.status) ? '' : 'text-bad'}>{words}</span>}
      {elapsed !== null && <span className="tabular-nums">{duration(elapsed)}</span>}
      {cell.created.slice(0, 6).map((path) => (
        <a key={path} href={fileUrl(kernelId, path)} download="" className="inline-flex items-center gap-1 text-ink-2 hover:text-ink hover:underline">
          <Download size={12} /> {path}
        </a>
      ))}
      {cell.truncated && <span>The middle of the output was left out{cell.spill ? <>; <Whole kernelId={kernelId} path={cell.spill} /></> : ''}.</span>}
    </p>
  )
}

function Whole({ kernelId, path }: { kernelId: string; path: string }) {
  return (
    <a href={fileUrl(kernelId, path)} download="" className="text-ink-2 underline">
      download all of it
    </a>
  )
}

function outcome(cell: CellView): string | null {
  const { status, limit } = cell
  if (status === null || status === 'ok' || status === 'error' || status === 'running') return null
  if (status === 'queued') return 'Waiting for its turn'
  const words = OUTCOMES[status].replace(/^was /, '')
  const sentence = words.charAt(0).toUpperCase() + words.slice(1)
  return status === 'timeout' && limit ? `${sentence} after ${limit.value} s` : sentence
}

/** Milliseconds since the cell began while it runs, and what it took afterwards. */
function useElapsed(cell: CellView): number | null {
  const [now, setNow] = useState(() => Date.now())
  const began = cell.status === 'running' && cell.startedAt !== null ? Date.parse(cell.startedAt) : null
  useEffect(() => {
    if (began === null) return
    const timer = setInterval(() => setNow(Date.now()), 250)
    return () => clearInterval(timer)
  }, [began])
  if (began === null) return isActive(cell.status) ? null : cell.runMs
  return now - began > 500 ? now - began : null
}

function Answer({ input, onAnswer }: { input: InputRequest; onAnswer: (value: string) => void }) {
  const [value, setValue] = useState('')
  return (
    <form
      className="mono flex flex-wrap items-center gap-2 pt-2"
      onSubmit={(event) => {
        event.preventDefault()
        onAnswer(value)
      }}
    >
      <label className="flex min-w-0 flex-1 items-center gap-2">
        <span className="whitespace-pre-wrap">{input.prompt || 'Input'}</span>
        <input
          autoFocus
          type={input.password ? 'password' : 'text'}
          value={value}
          onChange={(event) => setValue(event.target.value)}
          autoComplete="off"
          className="h-8 min-w-0 flex-1 rounded-md border border-accent bg-surface px-2"
        />
      </label>
      <Button look="accent" type="submit">
        Send
      </Button>
    </form>
  )
}

interface KeyContext {
  readonly cell: CellView
  readonly store: SessionStore
  readonly actions: CellActions
  readonly edit: () => void
  readonly run: (then: 'stay' | 'next' | 'insert') => void
  readonly box: HTMLElement | null
}

let lastD = 0

/** Jupyter's command mode: the cell itself has the focus. In its editor only Escape is ours. */
function onKey(event: KeyboardEvent, { cell, store, actions, edit, run, box }: KeyContext): void {
  if (event.defaultPrevented) return
  if (event.key === 'Escape' && event.target !== box) {
    box?.focus()
    return
  }
  if (event.target !== box) return
  const handled = command(event, { cell, store, actions, edit, run, box })
  if (handled) event.preventDefault()
}

function command(event: KeyboardEvent, { cell, store, actions, edit, run }: KeyContext): boolean {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey
  if (event.key === 'Enter') {
    if (event.shiftKey) run('next')
    else if (event.ctrlKey || event.metaKey) run('stay')
    else if (event.altKey) run('insert')
    else edit()
    return true
  }
  if (!plain) return false
  if (event.key === 'ArrowDown' || event.key === 'j') return actions.step(cell.id, 1, 'cell')
  if (event.key === 'ArrowUp' || event.key === 'k') return actions.step(cell.id, -1, 'cell')
  if (event.key === 'a') return done(actions.insert(cell.id, 'above'))
  if (event.key === 'b') return done(actions.insert(cell.id, 'below'))
  if (event.key === 'm' && cell.type === 'code') return done(store.retype(cell.id, 'markdown'))
  if (event.key === 'y' && cell.type === 'markdown') return done(store.retype(cell.id, 'code'))
  if (event.key !== 'd') return false
  if (event.timeStamp - lastD < 600) actions.remove(cell.id)
  lastD = event.timeStamp
  return true
}

function done(_: unknown): true {
  return true
}

/** Code that a model is writing: it will be the next cell. */
export function DraftCell({ code, label }: { code: string; label: ReactNode }) {
  return (
    <section data-draft aria-label="Code being written" className="relative grid grid-cols-[36px_minmax(0,1fr)] md:grid-cols-[44px_minmax(0,1fr)]">
      <div className="mono flex h-10 w-7 items-center justify-end text-xs text-ink-3 md:w-8">·</div>
      <div className="min-w-0">
        <div className="rounded-md border border-transparent bg-well">
          <Editor source={code} readOnly options={{ label: 'Code being written', code: true, hint: '' }} hooks={NO_HOOKS} />
        </div>
        <p className="pt-1 pl-3 text-xs text-ink-3">{label}</p>
      </div>
    </section>
  )
}

const NO_HOOKS = {
  onChange: () => {},
  onRun: () => {},
  onLeave: () => {},
  onEdge: () => false,
  complete: () => Promise.reject(new Error('not here')),
}
