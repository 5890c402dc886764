// One cell: its count and state in the margin, its source, what it put out. All decisions are in core or the store.
import { ChevronRight, Download, Play, Redo2, Sparkles, Square } from 'lucide-react'
import { memo, useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import { CELL_COMMANDS } from '../../core/commands.ts'
import { bytes, duration } from '../../core/format.ts'
import { heightOf } from '../../core/height.ts'
import { isActive, OUTCOMES, outputsHidden, sourceOf, type CellView, type InputRequest } from '../../core/notebook.ts'
import { bare } from '../../core/text.ts'
import { announce } from '../../ui/live.tsx'
import { LongText } from '../../ui/long-text.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import { complete, fileUrl, inspect } from '../../wire/client.ts'
import { applies, type CellActions } from './actions.ts'
import { Editor, type EditorHandle } from './editor.tsx'
import { command } from './keys.ts'
import { placeOf, useStage } from './near.ts'
import { Outputs } from './outputs.tsx'
import type { SessionStore } from './store.ts'
import { Proposed } from './proposed.tsx'
import { words } from '../../core/words.ts'
import { Tools } from './tools.tsx'

export const Cell = memo(function Cell({
  cell,
  position,
  store,
  actions,
  input,
  caption,
  proposed,
  onSettle,
  helped,
  place,
  memory,
  redo,
}: {
  cell: CellView
  position: number
  store: SessionStore
  actions: CellActions
  input: InputRequest | null
  /** What a model called the step that made it. */
  caption: string | null
  /** What a model would make of this cell's code, until a person has settled it. */
  proposed: string | null
  onSettle: (cellId: string, take: boolean) => void
  helped: boolean
  /** How many executions come before this cell's, while it waits. */
  place: number | null
  /** What the kernel holds while this cell runs, in bytes. */
  memory: number
  /** It is the first that is undone, and can be had back. */
  redo: boolean
}) {
  const box = useRef<HTMLElement>(null)
  const editor = useRef<EditorHandle>(null)
  const stage = useStage(box)
  const [editing, setEditing] = useState(false)
  const [kind, setKind] = useState(cell.type)
  if (kind !== cell.type) {
    setKind(cell.type)
    setEditing(false)
  }
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
      data-undone={cell.undone ? '' : undefined}
      {...placeOf(stage, heightOf(cell, source))}
      tabIndex={0}
      aria-label={words.cell.label(position, cell.type === 'code', cell.status && cell.status !== 'ok' ? OUTCOMES[cell.status] : cell.undone ? words.states.undone : null)}
      onKeyDown={(event) => onKey(event, box.current, () => command(event, cell.id, edit, actions))}
      onFocus={() => store.attend(cell.id)}
      className="group relative grid scroll-my-24 grid-cols-[36px_minmax(0,1fr)] rounded-md outline-offset-4 md:grid-cols-[44px_minmax(0,1fr)]"
    >
      <Margin cell={cell} onRun={() => run('stay')} onStop={() => void store.interrupt()} />
      <div className="min-w-0">
        <div className="relative">
          {rendered ? (
            <div onDoubleClick={edit} className="rounded-md py-1 pr-2">
              <Markdown text={source} attachments={cell.metadata['attachments']} />
            </div>
          ) : (
            <div onFocus={() => setEditing(true)} className={`rounded-md border bg-well focus-within:border-line-strong ${cell.conflict === null ? 'border-transparent' : 'border-bad'}`}>
              <Editor
                key={cell.type}
                handle={editor}
                source={source}
                stage={stage}
                options={{
                  label: words.cell.editor(cell.type === 'code'),
                  code: cell.type === 'code',
                  hint: cell.type === 'code' ? '' : words.cell.markdownHint,
                }}
                hooks={{
                  onChange: (next) => store.type(cell.id, next),
                  onRun: run,
                  onLeave: () => box.current?.focus(),
                  onEdge: (step) => actions.step(cell.id, step, 'editor'),
                  complete: (code, cursor, signal) => complete(store.id, code, cursor, signal),
                  inspect: (code, cursor) => inspected(store.id, code, cursor),
                }}
              />
            </div>
          )}
          {cell.status === 'running' && <div className="sweep absolute inset-x-1 -bottom-px h-0.5 rounded-full bg-accent-wash" aria-hidden />}
          {stage === 'there' && <Tools cell={cell} actions={actions} onRun={() => run('stay')} onEdit={edit} rendered={rendered} />}
        </div>
        {cell.conflict !== null && <Conflict theirs={cell.conflict} onChoose={(keep) => store.resolve(cell.id, keep)} />}
        {proposed !== null && <Proposed before={source} after={proposed} onSettle={(take) => onSettle(cell.id, take)} />}
        {cell.undone && <Undone onRedo={redo ? () => actions.overall('forth') : null} />}
        {cell.type === 'code' && <Produced cell={cell} store={store} actions={actions} input={input} place={place} memory={memory} caption={caption} helped={helped && proposed === null} />}
      </div>
    </section>
  )
})

/** Under the code of a cell that is undone. */
function Undone({ onRedo }: { onRedo: (() => void) | null }) {
  return (
    <p className="flex min-h-7 items-center gap-3 pt-1 pl-3 text-xs text-ink-3">
      {words.states.isUndone}
      {onRedo && (
        <Button look="outline" onClick={onRedo} className="h-7 px-2 text-xs">
          <Redo2 size={13} /> {words.states.redo}
        </Button>
      )}
    </p>
  )
}

function Margin({ cell, onRun, onStop }: { cell: CellView; onRun: () => void; onStop: () => void }) {
  if (cell.type !== 'code') return <div />
  const active = isActive(cell.status)
  return (
    <div className="relative flex h-10 items-center justify-start">
      <span
        className={`mono w-7 text-right text-xs tabular-nums text-ink-3 md:w-8 ${active ? 'invisible' : 'group-hover:invisible group-focus-within:invisible pointer-coarse:invisible'}`}
        aria-label={cell.execution_count === null ? words.cell.notRun : words.cell.runCount(cell.execution_count)}
      >
        {cell.execution_count ?? '·'}
      </span>
      <IconButton
        label={active ? words.common.interrupt : words.cell.runCell}
        keys={active ? '' : 'Ctrl+Enter'}
        onClick={active ? onStop : onRun}
        className={`absolute left-0 md:left-1 ${active ? 'text-accent' : 'opacity-0 group-hover:opacity-100 group-focus-within:opacity-100 pointer-coarse:text-ink-3 pointer-coarse:opacity-100'}`}
      >
        {active ? <Square size={12} fill="currentColor" /> : <Play size={14} fill="currentColor" />}
      </IconButton>
    </div>
  )
}

function Conflict({ theirs, onChoose }: { theirs: string; onChoose: (keep: 'mine' | 'theirs') => void }) {
  return (
    <div className="mt-1 rounded-md border border-line px-3 py-2 text-sm" role="alert">
      <p className="text-ink-2">{words.cell.conflict}</p>
      <pre className="mono mt-1 max-h-40 overflow-auto">{theirs}</pre>
      <div className="mt-2 flex gap-2">
        <Button look="outline" onClick={() => onChoose('mine')}>
          {words.cell.keepMine}
        </Button>
        <Button look="outline" onClick={() => onChoose('theirs')}>
          {words.cell.takeTheOther}
        </Button>
      </div>
    </div>
  )
}

function Produced({
  cell,
  store,
  actions,
  input,
  place,
  memory,
  caption,
  helped,
}: {
  cell: CellView
  store: SessionStore
  actions: CellActions
  input: InputRequest | null
  place: number | null
  memory: number
  caption: string | null
  helped: boolean
}) {
  const facts = <Facts cell={cell} kernelId={store.id} place={place} memory={memory} />
  const onFrame = useMemo(() => (count: number, line: number) => actions.goToFrame(cell.id, count, line), [actions, cell.id])
  const where = useMemo(() => ({ kernelId: store.id, cellId: cell.id }), [store, cell.id])
  const hidden = outputsHidden(cell)
  return (
    <div className="min-w-0 pl-3 empty:hidden">
      {cell.outputs.length > 0 && hidden && (
        <button
          type="button"
          onClick={() => actions.perform(cell.id, 'toggleOutputs')}
          className="mt-1 flex h-7 items-center gap-1 rounded-md text-xs text-ink-3 hover:text-ink"
        >
          <ChevronRight size={12} /> {words.cell.outputsHidden(cell.outputs.length)}
        </button>
      )}
      {cell.outputs.length > 0 && !hidden && (
        <div className="flex flex-col gap-2 pt-2" data-outputs>
          <Outputs outputs={cell.outputs} run={cell.execution_id ?? ''} live={isActive(cell.status)} onFrame={onFrame} source={cell.source} place={where} caption={caption} />
        </div>
      )}
      {input !== null && <Answer key={input.executionId + input.asked} input={input} onAnswer={(value) => void store.answer(value)} />}
      {helped && applies(cell, 'fix') && (
        <Button look="outline" onClick={() => actions.perform(cell.id, 'fix')} className="mt-2 h-7 px-2">
          <Sparkles size={14} /> {CELL_COMMANDS.fix.label}
        </Button>
      )}
      {facts}
    </div>
  )
}

/** A small line under a cell: how it ended, how long it took, which files it left. */
function Facts({ cell, kernelId, place, memory }: { cell: CellView; kernelId: string; place: number | null; memory: number }) {
  const said = outcome(cell, place)
  const elapsed = useElapsed(cell)
  if (said === null && elapsed === null && cell.created.length === 0) return null
  return (
    <div className="flex flex-wrap items-center gap-x-3 pt-1 text-xs text-ink-3">
      {cell.execution_count !== null && (
        <span className="mono hidden tabular-nums pointer-coarse:inline" data-count aria-hidden>
          [{cell.execution_count}]
        </span>
      )}
      {said !== null && <span className={isActive(cell.status) ? '' : 'text-bad'}>{said}</span>}
      {elapsed !== null && <span className="tabular-nums">{duration(elapsed)}</span>}
      {elapsed !== null && memory > 0 && <span className="tabular-nums">{bytes(memory)}</span>}
      {cell.created.slice(0, 6).map((path) => (
        <a key={path} href={fileUrl(kernelId, path)} download="" className="inline-flex items-center gap-1 text-ink-2 hover:text-ink hover:underline">
          <Download size={12} /> {path}
        </a>
      ))}
      {cell.truncated && <span>{words.cell.middleLeftOut}</span>}
      {cell.spill !== null && <Whole kernelId={kernelId} path={cell.spill} />}
    </div>
  )
}

/** All the text of an output that was cut: to read here, or as a file. */
function Whole({ kernelId, path }: { kernelId: string; path: string }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <button type="button" onClick={() => setOpen(true)} className="text-ink-2 underline hover:text-ink">
        {words.cell.showWhole}
      </button>
      <a href={fileUrl(kernelId, path)} download="" className="text-ink-2 underline hover:text-ink">
        {words.cell.downloadIt}
      </a>
      {open && (
        <Dialog label={words.cell.allOutput} onClose={() => setOpen(false)} wide>
          <LongText url={fileUrl(kernelId, path)} title={words.cell.allOutput} onClose={() => setOpen(false)} />
        </Dialog>
      )}
    </>
  )
}

function outcome(cell: CellView, place: number | null): string | null {
  const { status, limit } = cell
  if (status === null || status === 'ok' || status === 'error' || status === 'running') return null
  if (status === 'queued') return place === null || place === 0 ? words.cell.nextInLine : words.cell.waiting(place)
  return words.cell.outcome(OUTCOMES[status], status === 'timeout' && limit ? limit.value : null)
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
        <span className="whitespace-pre-wrap">{input.prompt || words.cell.input}</span>
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
        {words.common.send}
      </Button>
    </form>
  )
}

/** The cell itself has the focus: its keys are commands. In its editor and its outputs only Escape is ours. */
function onKey(event: KeyboardEvent, box: HTMLElement | null, obey: () => boolean): void {
  if (event.defaultPrevented) return
  if (event.target === box) {
    if (obey()) event.preventDefault()
  } else if (event.key === 'Escape' && box?.contains(event.target as Node)) box.focus()
}

/** What the kernel says about the name at the cursor; also read out, in short. */
async function inspected(kernelId: string, code: string, cursor: number): Promise<string | null> {
  const found = await inspect(kernelId, code, cursor).catch(() => null)
  const text = found?.found ? String(found.data['text/plain'] ?? '').slice(0, INSPECTED) : null
  announce(text === null ? words.cell.nothingKnown : bare(text).trim().slice(0, 200))
  return text
}

const INSPECTED = 12_000

/** Code that a model is writing: it will be the next cell. */
export function DraftCell({ code, label }: { code: string; label: ReactNode }) {
  return (
    <section data-draft aria-label={words.cell.beingWritten} className="relative grid grid-cols-[36px_minmax(0,1fr)] md:grid-cols-[44px_minmax(0,1fr)]">
      <div className="mono flex h-10 w-7 items-center justify-end text-xs text-ink-3 md:w-8">·</div>
      <div className="min-w-0">
        <div className="rounded-md border border-transparent bg-well">
          <Editor source={code} readOnly options={{ label: words.cell.beingWritten, code: true, hint: '' }} hooks={NO_HOOKS} />
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
  inspect: () => Promise.resolve(null),
}
