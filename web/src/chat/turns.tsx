// The transcript: questions, answers, and the cells an answer made, each one line that leads to it.
import { ArrowUpRight, Check, ChevronLeft, ChevronRight, CircleAlert, Copy, GitBranch, History, LoaderCircle, Pencil, RefreshCw } from 'lucide-react'
import { memo, useEffect, useMemo, useState, type KeyboardEvent, type ReactNode } from 'react'
import { wishIn } from '../core/asking.ts'
import { pieces } from '../core/fences.ts'
import { never } from '../core/outputs.ts'
import { words } from '../core/words.ts'
import { cellsOf, hasWord, pageOf, wordsOf, type Item, type ToolItem, type Turn, type UndoItem } from '../core/chat.ts'
import { Button, IconButton } from '../ui/button.tsx'
import { copyText } from '../ui/copy.ts'
import { Markdown } from '../ui/markdown.tsx'

export interface TurnActions {
  readonly cellNumber: (cellId: string) => number | null
  readonly cellUndone: (cellId: string) => boolean
  readonly showCell: (cellId: string) => void
  readonly retry: () => void
  /** Asks this question in other words; what followed it is replaced. */
  readonly edit: (turnId: string, text: string) => void
  readonly regenerate: (turnId: string) => void
  /** Another answer to the same question is shown instead, and counts from now on. */
  readonly choose: (answerId: string) => void
  /** Another conversation goes on from this answer; null where nothing can. */
  readonly branch: ((answerId: string) => void) | null
}

export interface TurnProps {
  readonly turn: Turn
  readonly last: boolean
  /** Nothing but its own answer follows. */
  readonly final: boolean
  /** No answer is being written. */
  readonly idle: boolean
  /** The words a search has found here. */
  readonly found?: string | null
  readonly actions: TurnActions
}

export const TurnView = memo(function TurnView(props: TurnProps) {
  const { turn, last, idle, actions, found = null } = props
  if (turn.role === 'user') return <Question {...props} turn={turn} />
  return (
    <div className={`group/turn flex flex-col gap-3 ${found === null ? '' : FOUND}`} data-turn="assistant" data-state={turn.state} {...foundHere(found)}>
      {turn.kernel !== null && <p className="text-xs text-ink-3" data-kernel-note>{turn.kernel}</p>}
      {turn.items.map((item, at) => (
        <ItemView key={at} item={item} found={found} actions={actions} />
      ))}
      {cellsOf(turn).some(actions.cellUndone) && !(last && !idle) && (
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1 text-xs text-ink-3" data-not-standing>
          {words.turns.notStanding}
          {actions.branch && (
            <Button look="outline" className="h-7 px-2 text-xs" onClick={() => actions.branch?.(turn.id)} disabled={!idle}>
              <GitBranch size={13} /> {words.branch.goOn}
            </Button>
          )}
        </p>
      )}
      <Ending turn={turn} last={last && idle} onRetry={actions.retry} />
      {!(last && !idle) && (
        <div className="-mt-1 -ml-2 flex items-center gap-0.5">
          <CopyButton label={words.turns.copyTheAnswer} text={wordsOf(turn)} />
          {last && (
            <IconButton label={words.turns.answerAgain} className="size-7" onClick={() => actions.regenerate(turn.id)}>
              <RefreshCw size={14} />
            </IconButton>
          )}
          {actions.branch && (
            <IconButton label={words.branch.fromAnswer} className="size-7" onClick={() => actions.branch?.(turn.id)} disabled={!idle}>
              <GitBranch size={14} />
            </IconButton>
          )}
          <Pager turn={turn} idle={idle} actions={actions} />
        </div>
      )}
    </div>
  )
})

const FOUND = 'rounded-sm bg-accent-wash shadow-[0_0_0_8px_var(--accent-wash)]'

/** What a search has led to can have the focus. */
function foundHere(found: string | null): { tabIndex?: number; 'data-found'?: string } {
  return found === null ? {} : { tabIndex: -1, 'data-found': '' }
}

/** Between the answers to one question. At an end a button stays where it is, so that the focus does. */
function Pager({ turn, idle, actions }: { turn: Turn; idle: boolean; actions: TurnActions }) {
  const page = pageOf(turn)
  if (page === null) return null
  const step = (label: string, to: string | null, icon: ReactNode): ReactNode => (
    <IconButton label={label} className="size-7 aria-disabled:opacity-40" aria-disabled={to === null || !idle} onClick={() => to !== null && idle && actions.choose(to)}>
      {icon}
    </IconButton>
  )
  return (
    <div role="group" aria-label={words.answers.group} className="flex items-center text-xs text-ink-3 tabular-nums" data-answers>
      {step(words.answers.earlier, page.before, <ChevronLeft size={14} />)}
      {words.answers.of(page.at, page.of)}
      {step(words.answers.later, page.after, <ChevronRight size={14} />)}
    </div>
  )
}

function Question({ turn, final, idle, actions, found = null }: TurnProps & { turn: Extract<Turn, { role: 'user' }> }) {
  const [editing, setEditing] = useState(false)
  const wish = useMemo(() => wishIn(turn.text), [turn.text])
  if (editing) {
    return (
      <Rewrite
        text={turn.text}
        final={final}
        idle={idle}
        onCancel={() => setEditing(false)}
        onSend={(text) => {
          setEditing(false)
          actions.edit(turn.id, text)
        }}
      />
    )
  }
  return (
    <div className="group/turn -mb-5 flex flex-col items-end gap-1" data-turn="user" {...foundHere(found)}>
      {turn.files.length > 0 && <p className="text-xs text-ink-3">{turn.files.join(', ')}</p>}
      <div className={`max-w-[88%] rounded-xl px-4 py-2 break-words ${found === null ? 'bg-hover' : 'bg-accent-wash'}`}>
        <Said text={wish?.said ?? turn.text} />
        {wish && (
          <details className="text-sm">
            <summary className="w-fit text-ink-2 hover:text-ink">{words.turns.sentAlong}</summary>
            <div className="mt-1">
              <Markdown text={wish.along} />
            </div>
          </details>
        )}
      </div>
      <div className={`flex gap-0.5 opacity-0 group-hover/turn:opacity-100 focus-within:opacity-100 pointer-coarse:opacity-100 ${idle ? '' : 'invisible'}`}>
        <CopyButton label={words.turns.copyTheQuestion} text={turn.text} />
        <IconButton label={words.turns.editTheQuestion} className="size-7" onClick={() => setEditing(true)}>
          <Pencil size={14} />
        </IconButton>
      </div>
    </div>
  )
}

function Said({ text }: { text: string }) {
  return pieces(text).map((piece, at) =>
    piece.fenced ? (
      <Markdown key={at} text={piece.text} />
    ) : (
      <p key={at} className="whitespace-pre-wrap">
        {piece.text}
      </p>
    ),
  )
}

function Rewrite({ text, final, idle, onSend, onCancel }: { text: string; final: boolean; idle: boolean; onSend: (text: string) => void; onCancel: () => void }) {
  const [value, setValue] = useState(text)
  const ready = value.trim() !== '' && idle
  const onKey = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return
    if (event.key === 'Escape') onCancel()
    if (event.key !== 'Enter' || event.shiftKey) return
    event.preventDefault()
    if (ready) onSend(value.trim())
  }
  return (
    <form
      data-turn="user"
      className="flex flex-col gap-2 rounded-xl border border-line-strong bg-surface p-3 focus-within:border-accent"
      onSubmit={(event) => {
        event.preventDefault()
        if (ready) onSend(value.trim())
      }}
    >
      <textarea
        autoFocus
        aria-label={words.turns.otherWords}
        rows={Math.min(10, value.split('\n').length + 1)}
        value={value}
        onChange={(event) => setValue(event.target.value)}
        onKeyDown={onKey}
        onFocus={(event) => event.target.setSelectionRange(value.length, value.length)}
        className="w-full resize-none bg-transparent px-1 outline-none"
      />
      <div className="flex flex-wrap items-center justify-end gap-2">
        <p className="mr-auto px-1 text-xs text-ink-3">
          {final ? words.turns.madeAgain : words.turns.followersReplaced} {words.turns.cellsStay}
        </p>
        <Button look="outline" onClick={onCancel}>
          {words.common.cancel}
        </Button>
        <Button look="accent" type="submit" disabled={!ready}>
          {words.common.send}
        </Button>
      </div>
    </form>
  )
}

function CopyButton({ label, text }: { label: string; text: string }) {
  const [copied, setCopied] = useState(false)
  if (text === '') return null
  const copy = (): void => {
    void copyText(text).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 2000)
    })
  }
  return (
    <IconButton label={copied ? words.common.copied : label} className="size-7" onClick={copy}>
      {copied ? <Check size={14} /> : <Copy size={14} />}
    </IconButton>
  )
}

function Ending({ turn, last, onRetry }: { turn: Extract<Turn, { role: 'assistant' }>; last: boolean; onRetry: () => void }) {
  if (turn.problem !== null) return <Problem message={turn.problem.message} hint={turn.problem.hint} onRetry={last ? onRetry : null} />
  if (turn.state === 'stopped') return <p className="text-sm text-ink-3">{words.turns.stopped}</p>
  if (turn.state !== 'interrupted') return null
  return <Problem message={words.turns.serverEnded} hint="" onRetry={last ? onRetry : null} />
}

export function Problem({ message, hint, onRetry }: { message: string; hint: string; onRetry: (() => void) | null }) {
  return (
    <div role="alert" className="flex items-start gap-3 rounded-md bg-bad-wash px-3 py-2 text-sm">
      <CircleAlert size={16} className="mt-0.5 shrink-0 text-bad" />
      <p className="min-w-0 flex-1 break-words">
        {message} {hint && <span className="text-ink-2">{hint}</span>}
      </p>
      {onRetry && (
        <Button look="outline" onClick={onRetry} className="h-7 px-2">
          {words.common.tryAgain}
        </Button>
      )}
    </div>
  )
}

function ItemView({ item, found, actions }: { item: Item; found: string | null; actions: TurnActions }) {
  switch (item.kind) {
    case 'text':
      return <Markdown text={item.text} live={item.live} />
    case 'reasoning':
      return <Thoughts text={item.text} live={item.live} />
    case 'tool':
      return <ToolLine item={item} found={found} actions={actions} />
    case 'undo':
      return <UndoLine item={item} />
    default:
      return never(item)
  }
}

function Thoughts({ text, live }: { text: string; live: boolean }) {
  return (
    <details className="text-sm text-ink-2">
      <summary className="w-fit text-ink-3 hover:text-ink">{live ? words.turns.thinking : words.turns.thoughts}</summary>
      <div className="mt-1 border-l-2 border-line pl-3">
        <Markdown text={text} />
      </div>
    </details>
  )
}

/** The model has taken cells back. */
function UndoLine({ item }: { item: UndoItem }) {
  return (
    <p className="flex min-h-9 items-center gap-2 rounded-md border border-line px-2 text-sm text-ink-2" data-undo={item.phase}>
      <History size={14} className="shrink-0 text-ink-3" />
      <span className="min-w-0 break-words">{item.said}</span>
    </p>
  )
}

const PHASES: Record<ToolItem['phase'], string> = {
  writing: words.turns.writingCode,
  running: words.turns.runningCode,
  ok: words.turns.ranCode,
  failed: words.turns.codeFailed,
}

function ToolLine({ item, found, actions }: { item: ToolItem; found: string | null; actions: TurnActions }) {
  const [open, setOpen] = useState(false)
  useEffect(() => {
    if (found !== null && hasWord(item.code, found)) setOpen(true)
  }, [found, item.code])
  const number = item.cellId === null ? null : actions.cellNumber(item.cellId)
  const busy = item.phase === 'writing' || item.phase === 'running'
  return (
    <div className="rounded-md border border-line text-sm" data-tool={item.phase}>
      <div className="flex h-9 items-center">
        <button
          type="button"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
          className="flex h-full min-w-0 flex-1 items-center gap-2 rounded-md pl-2 text-left text-ink-2 hover:text-ink"
        >
          <ChevronRight size={14} className={`shrink-0 text-ink-3 transition-transform ${open ? 'rotate-90' : ''}`} />
          <span className="truncate">{item.title || PHASES[item.phase]}</span>
          {busy && <LoaderCircle size={14} className="shrink-0 animate-spin text-accent" aria-label={PHASES[item.phase]} />}
          {item.phase === 'failed' && <span className="shrink-0 text-xs text-bad">{failure(item)}</span>}
        </button>
        {item.cellId !== null && number !== null && (
          <button
            type="button"
            onClick={() => actions.showCell(item.cellId!)}
            className="mr-1 flex h-7 shrink-0 items-center gap-1 rounded-md px-2 text-xs text-ink-3 hover:bg-hover hover:text-ink"
          >
            {words.turns.cell} {number} <ArrowUpRight size={12} />
          </button>
        )}
      </div>
      {open && (
        <pre className="mono max-h-72 overflow-auto border-t border-line px-3 py-2">{item.code || item.error || words.turns.noCodeYet}</pre>
      )}
    </div>
  )
}

function failure(item: ToolItem): string {
  switch (item.status) {
    case 'timeout':
      return words.turns.outOfTime
    case 'interrupted':
    case 'cancelled':
      return words.turns.interrupted
    case 'out_of_memory':
      return words.turns.outOfMemory
    case 'refused':
      return words.turns.refused
    default:
      return words.turns.error
  }
}
