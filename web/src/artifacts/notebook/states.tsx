// The states of the kernel that are kept, in a row: what each takes of memory, where the kernel stands, a way to each.
import { GitBranch } from 'lucide-react'
import { useEffect } from 'react'
import { bytes, moment } from '../../core/format.ts'
import { isBusy } from '../../core/notebook.ts'
import { branchOf, rowsOf, type Row } from '../../core/states.ts'
import { words } from '../../core/words.ts'
import { IconButton } from '../../ui/button.tsx'
import type { SessionStore, StoreView } from './store.ts'
import { Quiet } from './variables.tsx'

export function StatesView({ store, view, onBranch }: { store: SessionStore; view: StoreView; onBranch: (at: string | null) => void }) {
  const { session, states } = view
  const busy = isBusy(session)
  const asleep = session.phase === 'released' || session.phase === 'starting'
  useEffect(() => {
    if (!busy && !asleep) void store.lookAtStates()
  }, [store, busy, asleep, session.ended])
  if (asleep) return <Quiet>{words.states.asleep}</Quiet>
  if (states.length === 0) return <Quiet>{busy ? words.states.busy : words.states.none}</Quiet>
  const total = states.reduce((sum, state) => sum + state.bytes, 0)
  return (
    <div className="min-h-0 flex-1 overflow-y-auto" data-states>
      <div className="mx-auto max-w-[920px] px-4 pt-4 pb-24 md:px-8">
        <p className="text-sm text-ink-2">{busy ? words.states.busy : words.states.about}</p>
        <p className="pt-1 pb-3 text-xs text-ink-3 tabular-nums">{words.states.total(states.length, bytes(total))}</p>
        <ol aria-label={words.states.timeline} className="border-l border-line-strong">
          {rowsOf(states, session.cells).map((row) =>
            row.kind === 'now' ? (
              <Now key="now" />
            ) : (
              <State
                key={`${row.at}:${row.created}`}
                row={row}
                disabled={busy}
                onGo={() => void store.goToState(row.at)}
                onBranch={branching(branchOf(states, row.at, session.cells), onBranch)}
              />
            ),
          )}
        </ol>
      </div>
    </div>
  )
}

/** What makes the branch, if there can be one. */
function branching(at: string | null | undefined, onBranch: (at: string | null) => void): (() => void) | null {
  return at === undefined ? null : () => onBranch(at)
}

const DOT = 'absolute -left-[5px] top-1/2 size-[9px] -translate-y-1/2 rounded-full'

function Now() {
  return (
    <li aria-current="true" className="relative py-2 pl-5 text-sm font-medium" data-now>
      <span className={`${DOT} bg-accent`} aria-hidden />
      {words.states.now}
    </li>
  )
}

function State({
  row,
  disabled,
  onGo,
  onBranch,
}: {
  row: Extract<Row, { kind: 'state' }>
  disabled: boolean
  onGo: () => void
  onBranch: (() => void) | null
}) {
  const what = row.last ? words.states.last : row.cell === null ? words.states.beforeElse : words.states.before(row.cell)
  const size = bytes(row.bytes)
  return (
    <li className="relative flex items-center gap-1 pl-2" data-state={row.undone ? 'undone' : 'standing'}>
      <span className={`${DOT} border border-line-strong ${row.undone ? 'bg-surface' : 'bg-line-strong'}`} aria-hidden />
      <button
        type="button"
        disabled={disabled}
        onClick={onGo}
        className={`flex w-full min-w-0 items-baseline gap-3 rounded-md px-3 py-2 text-left text-sm enabled:hover:bg-hover ${row.undone ? 'text-ink-3' : ''}`}
      >
        <span className="shrink-0">{what}</span>
        <span className="mono min-w-0 flex-1 truncate text-xs text-ink-3">{row.line}</span>
        {row.undone && <span className="shrink-0 text-xs text-ink-3">{words.states.undone}</span>}
        <span className="shrink-0 text-xs text-ink-2 tabular-nums" data-size>{size}</span>
        <time dateTime={row.created} className="hidden shrink-0 text-xs text-ink-3 tabular-nums sm:inline">
          {moment(row.created, new Date())}
        </time>
      </button>
      <IconButton
        label={words.branch.from(what)}
        onClick={onBranch ?? undefined}
        disabled={disabled || onBranch === null}
        className={onBranch === null ? 'invisible' : ''}
      >
        <GitBranch size={14} />
      </IconButton>
    </li>
  )
}
