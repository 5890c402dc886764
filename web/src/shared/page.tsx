// What a link shows: a conversation and its notebook as they were, to read. Nothing here reaches a session.
import { useEffect, useMemo, useRef, useState } from 'react'
import { useGrowing } from '../artifacts/notebook/near.ts'
import { Tab } from '../artifacts/notebook/toolbar.tsx'
import { Banner } from '../ui/banner.tsx'
import { Button } from '../ui/button.tsx'
import { LiveRegion } from '../ui/live.tsx'
import { MENUS } from '../ui/menu.tsx'
import { Split } from '../ui/split.tsx'
import { ThemeMenu } from '../chat/conversations.tsx'
import { TurnView, type TurnActions } from '../chat/turns.tsx'
import { captionsIn, turns } from '../core/chat.ts'
import { moment } from '../core/format.ts'
import { isUndone } from '../core/notebook.ts'
import { words } from '../core/words.ts'
import * as api from '../wire/client.ts'
import type { SharedCopy } from '../wire/types.ts'
import { StillCell } from './cell.tsx'

const say = words.shared

export function SharedPage() {
  const { copy, problem, retry } = useCopy()
  useEffect(() => {
    document.title = `${copy?.title ?? say.untitled} · Cellblock`
  }, [copy])
  return (
    <main className="flex h-full flex-col">
      <LiveRegion />
      {problem !== null && <Missing problem={problem} onRetry={retry} />}
      {copy === null && problem === null && <p className="px-4 py-16 text-center text-sm text-ink-3">{say.loading}</p>}
      {copy !== null && <Copy copy={copy} />}
      <section id={MENUS} aria-label={words.common.menus} />
    </main>
  )
}

function Copy({ copy }: { copy: SharedCopy }) {
  const [tab, setTab] = useState<'chat' | 'notebook'>(copy.messages.length > 0 ? 'chat' : 'notebook')
  const box = useRef<HTMLDivElement>(null)
  const shown = useMemo(() => turns(copy.messages), [copy])
  const drawn = useGrowing(copy.cells.length)
  const captions = useMemo(() => captionsIn(shown), [shown])
  const actions = useMemo((): TurnActions => {
    const show = (cellId: string): void => {
      setTab('notebook')
      requestAnimationFrame(() => {
        const cell = box.current?.querySelector<HTMLElement>(`[data-cell="${CSS.escape(cellId)}"]`)
        cell?.focus({ preventScroll: true })
        cell?.scrollIntoView({ block: 'nearest' })
      })
    }
    const numbers = new Map(copy.cells.map((cell, at) => [cell.id, at + 1]))
    const gone = new Set(copy.cells.filter(isUndone).map((cell) => cell.id))
    return { ...READING, cellNumber: (id) => numbers.get(id) ?? null, cellUndone: (id) => gone.has(id), showCell: show }
  }, [copy])
  return (
    <>
      <header className="flex h-12 shrink-0 items-center gap-2 border-b border-line px-3">
        <h1 className="truncate text-sm font-medium">{copy.title ?? say.untitled}</h1>
        <p className="truncate text-xs text-ink-3 max-md:sr-only">{say.from(moment(copy.created, new Date()))}</p>
        <div role="tablist" aria-label={say.view} className="ml-auto flex gap-0.5 md:hidden">
          <Tab selected={tab === 'chat'} onSelect={() => setTab('chat')} label={say.chat} />
          <Tab selected={tab === 'notebook'} onSelect={() => setTab('notebook')} label={say.notebook} count={copy.cells.length} />
        </div>
        <span className="md:ml-auto">
          <ThemeMenu />
        </span>
      </header>
      <div ref={box} className="flex min-h-0 flex-1 flex-col" data-shared>
        <Split
          second={tab === 'notebook'}
          full={false}
          left={
            <div className="min-h-0 flex-1 overflow-y-auto" tabIndex={0} role="group" aria-label={say.chat}>
              <div className="mx-auto flex max-w-[720px] flex-col gap-6 px-4 pt-6 pb-16 md:px-6">
                {shown.map((turn) => (
                  <TurnView key={turn.id} turn={turn} last={false} final={false} idle={false} actions={actions} />
                ))}
                {shown.length === 0 && <p className="text-sm text-ink-3">{say.nothingAsked}</p>}
              </div>
            </div>
          }
          right={
            <div className="min-h-0 flex-1 overflow-y-auto bg-surface" tabIndex={0} role="group" aria-label={say.notebook} data-notebook>
              <div className="mx-auto flex max-w-[920px] flex-col gap-5 px-2 pt-5 pb-24 md:px-5">
                {copy.cells.slice(0, drawn).map((cell, at) => (
                  <StillCell key={cell.id} cell={cell} position={at + 1} caption={captions.get(cell.id) ?? null} />
                ))}
                {copy.cells.length === 0 && <p className="py-16 text-center text-sm text-ink-3">{say.noCells}</p>}
              </div>
            </div>
          }
        />
      </div>
    </>
  )
}

const READING = { retry: () => {}, edit: () => {}, regenerate: () => {}, choose: () => {}, branch: null }

function Missing({ problem, onRetry }: { problem: api.ApiError; onRetry: () => void }) {
  const gone = problem.status === 404
  return (
    <div className="mx-auto flex max-w-md flex-1 flex-col justify-center gap-4 px-4 pb-[20vh]">
      <h1 className="text-lg font-semibold">{say.missing}</h1>
      <Banner bad={!gone}>{gone ? problem.hint : `${problem.message} ${problem.hint}`}</Banner>
      {!gone && (
        <Button look="outline" onClick={onRetry} className="self-start">
          {say.again}
        </Button>
      )}
    </div>
  )
}

/** The token stands behind `#`; another one there is another copy. */
function useCopy(): { copy: SharedCopy | null; problem: api.ApiError | null; retry: () => void } {
  const [copy, setCopy] = useState<SharedCopy | null>(null)
  const [problem, setProblem] = useState<api.ApiError | null>(null)
  const [token, setToken] = useState(tokenHere)
  const [tries, setTries] = useState(0)
  useEffect(() => {
    const changed = (): void => setToken(tokenHere())
    addEventListener('hashchange', changed)
    return () => removeEventListener('hashchange', changed)
  }, [])
  useEffect(() => {
    let gone = false
    setCopy(null)
    setProblem(null)
    api.readShared(token).then(
      (found) => gone || setCopy(found),
      (error: unknown) => gone || setProblem(error instanceof api.ApiError ? error : api.unreachable()),
    )
    return () => {
      gone = true
    }
  }, [token, tries])
  return { copy, problem, retry: () => setTries((count) => count + 1) }
}

function tokenHere(): string {
  return location.hash.slice(1).replace(/[^\w-]/g, '')
}
