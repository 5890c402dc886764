// The notebook beside the chat: toolbar, cells, and the cell a model is writing.
import { Plus } from 'lucide-react'
import { Component, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { isActive, isThere, placeInLine, recoverable, type Session } from '../../core/notebook.ts'
import { proposals, type Fix } from '../../core/asking.ts'
import { redoable } from '../../core/states.ts'
import type { Opening } from '../../core/unsent.ts'
import type { ToolItem } from '../../core/chat.ts'
import { Button } from '../../ui/button.tsx'
import { Banner } from '../../ui/banner.tsx'
import { focusCell, type CellActions } from './actions.ts'
import { Cell, DraftCell } from './cell.tsx'
import { goOnTyping, isUnheard, overall } from './keys.ts'
import { useGrowing } from './near.ts'
import { words } from '../../core/words.ts'
import type { SessionStore, StoreView } from './store.ts'

export function NotebookView({
  store,
  view,
  writing,
  actions,
  fixes,
  captions,
  helped,
}: {
  store: SessionStore
  view: StoreView
  writing: ToolItem | null
  actions: CellActions
  fixes: readonly Fix[]
  /** What a model called the steps that made cells, by their ids. */
  captions: ReadonlyMap<string, string>
  /** A language model is there to be asked about cells. */
  helped: boolean
}) {
  const proposed = useMemo(() => new Map(proposals(fixes, view.session.cells).map((one) => [one.cellId, one])), [fixes, view.session.cells])
  const { session } = view
  const latest = useRef(proposed)
  latest.current = proposed
  const settle = useCallback(
    (cellId: string, take: boolean): void => {
      const proposal = latest.current.get(cellId)
      if (!proposal) return
      focusCell(cellId)
      void store.settle(proposal, take)
    },
    [store],
  )
  const redo = useMemo(() => redoable(view.states, session.cells), [view.states, session.cells])
  const draft = writing !== null && !isThere(session, writing.code) ? writing : null
  const scroller = useRef<HTMLDivElement>(null)
  useFollow(scroller, session, draft)
  const drawn = useGrowing(session.cells.length)
  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
    <Notices store={store} view={view} />
    <div
      ref={scroller}
      className="min-h-0 flex-1 overflow-y-auto overscroll-contain -outline-offset-2"
      data-notebook
      tabIndex={-1}
      onKeyDown={(event) => event.target === event.currentTarget && overall(event, actions) && event.preventDefault()}
    >
      <div className="mx-auto flex max-w-[920px] flex-col gap-5 px-2 pt-5 pb-24 md:px-5">
        {session.loaded && session.cells.length === 0 && draft === null && <Nothing />}
        <KeptFocus>
        {session.cells.slice(0, drawn).map((cell, at) => (
          <Cell
            key={cell.id}
            cell={cell}
            position={at + 1}
            store={store}
            actions={actions}
            input={session.input?.cellId === cell.id ? session.input : null}
            caption={captions.get(cell.id) ?? null}
            proposed={proposed.get(cell.id)?.code ?? null}
            onSettle={settle}
            helped={helped}
            place={placeInLine(session, cell)}
            memory={cell.status === 'running' ? session.memory : 0}
            redo={redo === cell.id}
          />
        ))}
        </KeptFocus>
        {draft !== null && <DraftCell code={draft.code} label={draft.phase === 'writing' ? words.notebook.beingWritten : words.notebook.aboutToRun} />}
        {session.loaded && <AddCell actions={actions} />}
      </div>
    </div>
    <Deleted view={view} actions={actions} />
    </div>
  )
}

interface Held {
  readonly cell: Element
  readonly at: number
  /** A person may have been typing there. */
  readonly typing: boolean
}

/** The focus is never lost: where a change takes away what had it, its cell has it then, or what stands in that place. */
class KeptFocus extends Component<{ children: ReactNode }> {
  override getSnapshotBeforeUpdate(): Held | null {
    const focused = document.activeElement
    const cell = focused?.closest('[data-cell]')
    return focused && cell ? { cell, at: boxes().indexOf(cell), typing: focused.matches('.cm-content, input') } : null
  }

  override componentDidUpdate(_props: unknown, _state: unknown, held: Held | null): void {
    if (held === null || document.activeElement !== document.body) return
    const here = held.cell.isConnected ? held.cell : (boxes()[held.at] ?? boxes().at(-1) ?? document.querySelector('[data-notebook]'))
    const typing = held.typing || isUnheard()
    if (here instanceof HTMLElement) here.focus({ preventScroll: true })
    if (typing) goOnTyping()
  }

  override render(): ReactNode {
    return this.props.children
  }
}

const boxes = (): readonly Element[] => [...document.querySelectorAll('[data-cell]')]

/** What people scroll with, and for how many milliseconds it goes on by itself. */
const HANDS = ['wheel', 'touchmove', 'pointerdown', 'keydown'] as const
const HAND = 1000

/** New output stays in view while a person has not scrolled away from the end. */
function useFollow(scroller: React.RefObject<HTMLDivElement | null>, session: Session, draft: ToolItem | null): void {
  const atEnd = useRef(true)
  useEffect(() => {
    const box = scroller.current
    if (!box) return
    // Outputs that come, go and grow scroll too; only a person leaves the end.
    let touched = Number.NEGATIVE_INFINITY
    const touch = (): void => {
      touched = performance.now()
    }
    const note = (): void => {
      const near = box.scrollHeight - box.scrollTop - box.clientHeight < 120
      if (near || performance.now() - touched < HAND) atEnd.current = near
    }
    const grow = new ResizeObserver(() => {
      if (atEnd.current && box.dataset['follow'] === 'yes') box.scrollTop = box.scrollHeight
    })
    if (box.firstElementChild) grow.observe(box.firstElementChild)
    box.addEventListener('scroll', note, { passive: true })
    for (const hand of HANDS) box.addEventListener(hand, touch, { passive: true })
    return () => {
      grow.disconnect()
      box.removeEventListener('scroll', note)
      for (const hand of HANDS) box.removeEventListener(hand, touch)
    }
  }, [scroller])
  const last = session.cells.at(-1)
  const busy = draft !== null || (last !== undefined && isActive(last.status))
  useEffect(() => {
    const box = scroller.current
    if (!box) return
    // Following outlasts the run a little: pictures and frames find their height after it.
    if (busy) box.dataset['follow'] = 'yes'
    const timer = busy ? undefined : setTimeout(() => (box.dataset['follow'] = 'no'), 1500)
    return () => clearTimeout(timer)
  }, [busy, scroller])
}

function Notices({ store, view }: { store: SessionStore; view: StoreView }) {
  const { session, problem, connected, refused, unopened } = view
  return (
    <div className="mx-auto flex w-full max-w-[920px] shrink-0 flex-col gap-2 px-2 py-3 empty:hidden md:px-5">
      {unopened !== null && <Unopened opening={unopened} store={store} />}
      {refused !== null ? <Banner bad>{refused.message} <span className="text-ink-2">{refused.hint}</span></Banner> : !connected && <Banner>{words.notebook.connectionLost}</Banner>}
      {session.notice !== null && (
        <Banner
          onClose={() => store.apply({ kind: 'dismiss' })}
          action={
            !session.restored && recoverable(session.cells).length > 0 && <RunAgain store={store} before={session.noticeCell} cells={session.cells} />
          }
        >
          {session.notice}
        </Banner>
      )}
      {problem !== null && (
        <Banner bad onClose={() => store.dismissProblem()}>
          {problem.message} {problem.hint && <span className="text-ink-2">{problem.hint}</span>}
        </Banner>
      )}
    </div>
  )
}

/** A page was left while a notebook was being opened in place of this one. */
function Unopened({ opening: { name, ipynb }, store }: { opening: Opening; store: SessionStore }) {
  return (
    <Banner
      onClose={() => store.unopened(null)}
      action={
        ipynb !== null && (
          <Button look="outline" onClick={() => void store.replace(ipynb, name)}>
            {words.notebook.openNow}
          </Button>
        )
      }
    >
      {words.notebook.notOpened(name)} {ipynb === null && words.notebook.openAgain}
    </Banner>
  )
}

/** What brings lost variables back: the cells above the one that missed them, or all. */
function RunAgain({ store, before, cells }: { store: SessionStore; before: string | null; cells: Session['cells'] }) {
  const above = before !== null && recoverable(cells, before).length > 0
  return (
    <Button look="outline" onClick={() => void store.recover(above ? before : undefined)}>
      {above ? words.notebook.runAllAbove : words.common.runAll}
    </Button>
  )
}

const TOLD = 8000

/** A deleted cell can be had back for as long as the notebook is open; that it can is said for a while. */
function Deleted({ view, actions }: { view: StoreView; actions: CellActions }) {
  const step = view.past.done.at(-1)
  const [hidden, setHidden] = useState<unknown>(null)
  useEffect(() => {
    const timer = setTimeout(() => setHidden(step), TOLD)
    return () => clearTimeout(timer)
  }, [step])
  if (step?.kind !== 'deleted' || hidden === step) return null
  return (
    <div className="pointer-events-none absolute inset-x-0 bottom-4 z-20 flex justify-center px-3">
      <p className="pointer-events-auto flex items-center gap-3 rounded-lg border border-line bg-surface py-1 pr-1 pl-4 text-sm shadow-lg shadow-black/10">
        {words.notebook.cellDeleted}
        <Button look="outline" onClick={() => actions.overall('undo')} className="h-7 px-2">
          {words.common.undo}
        </Button>
      </p>
    </div>
  )
}

function Nothing() {
  return (
    <div className="px-3 py-16 text-center text-sm text-ink-3">
      <p>{words.notebook.emptyAbout}</p>
      <p>{words.notebook.emptyMore}</p>
    </div>
  )
}

function AddCell({ actions }: { actions: CellActions }) {
  return (
    <div className="flex gap-1 pl-9 md:pl-11">
      <Button onClick={() => actions.overall('addCode')} className="px-2 text-ink-3">
        <Plus size={14} /> {words.notebook.code}
      </Button>
      <Button onClick={() => actions.overall('addText')} className="px-2 text-ink-3">
        <Plus size={14} /> {words.notebook.text}
      </Button>
    </div>
  )
}
