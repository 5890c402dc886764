// The transcript: questions, answers, and the cells an answer made, each one line that leads to it.
import { ArrowUpRight, ChevronRight, CircleAlert, LoaderCircle } from 'lucide-react'
import { memo, useState } from 'react'
import { never } from '../core/outputs.ts'
import type { Item, ToolItem, Turn } from '../core/chat.ts'
import { Button } from '../ui/button.tsx'
import { Markdown } from '../ui/markdown.tsx'

export interface TurnActions {
  readonly cellNumber: (cellId: string) => number | null
  readonly showCell: (cellId: string) => void
  readonly retry: () => void
}

export const TurnView = memo(function TurnView({ turn, last, actions }: { turn: Turn; last: boolean; actions: TurnActions }) {
  if (turn.role === 'user') {
    return (
      <div className="flex flex-col items-end gap-1" data-turn="user">
        {turn.files.length > 0 && <p className="text-xs text-ink-3">{turn.files.join(', ')}</p>}
        <p className="max-w-[88%] rounded-xl bg-hover px-4 py-2 break-words whitespace-pre-wrap">{turn.text}</p>
      </div>
    )
  }
  return (
    <div className="flex flex-col gap-3" data-turn="assistant" data-state={turn.state}>
      {turn.items.map((item, at) => (
        <ItemView key={at} item={item} actions={actions} />
      ))}
      <Ending turn={turn} last={last} onRetry={actions.retry} />
    </div>
  )
})

function Ending({ turn, last, onRetry }: { turn: Extract<Turn, { role: 'assistant' }>; last: boolean; onRetry: () => void }) {
  if (turn.problem !== null) return <Problem message={turn.problem.message} hint={turn.problem.hint} onRetry={last ? onRetry : null} />
  if (turn.state === 'stopped') return <p className="text-sm text-ink-3">Stopped. The kernel keeps its variables.</p>
  if (turn.state !== 'interrupted') return null
  return <Problem message="The server ended before this answer was finished." hint="" onRetry={last ? onRetry : null} />
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
          Try again
        </Button>
      )}
    </div>
  )
}

function ItemView({ item, actions }: { item: Item; actions: TurnActions }) {
  switch (item.kind) {
    case 'text':
      return <Markdown text={item.text} live={item.live} />
    case 'reasoning':
      return <Thoughts text={item.text} live={item.live} />
    case 'tool':
      return <ToolLine item={item} actions={actions} />
    default:
      return never(item)
  }
}

function Thoughts({ text, live }: { text: string; live: boolean }) {
  return (
    <details className="text-sm text-ink-2">
      <summary className="w-fit text-ink-3 hover:text-ink">{live ? 'Thinking' : 'Thoughts'}</summary>
      <div className="mt-1 border-l-2 border-line pl-3">
        <Markdown text={text} />
      </div>
    </details>
  )
}

const PHASES: Record<ToolItem['phase'], string> = {
  writing: 'Writing code',
  running: 'Running code',
  ok: 'Ran code',
  failed: 'Code failed',
}

function ToolLine({ item, actions }: { item: ToolItem; actions: TurnActions }) {
  const [open, setOpen] = useState(false)
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
            Cell {number} <ArrowUpRight size={12} />
          </button>
        )}
      </div>
      {open && (
        <pre className="mono max-h-72 overflow-auto border-t border-line px-3 py-2">{item.code || item.error || 'No code yet'}</pre>
      )}
    </div>
  )
}

function failure(item: ToolItem): string {
  switch (item.status) {
    case 'timeout':
      return 'out of time'
    case 'interrupted':
    case 'cancelled':
      return 'interrupted'
    case 'out_of_memory':
      return 'out of memory'
    case 'refused':
      return 'refused'
    default:
      return 'error'
  }
}
