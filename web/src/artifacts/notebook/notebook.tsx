// The notebook beside the chat: toolbar, cells, and the cell a model is writing.
import { Plus } from 'lucide-react'
import { useEffect, useMemo, useRef, useState } from 'react'
import { isActive, type Session } from '../../core/notebook.ts'
import { sourceOf } from '../../core/notebook.ts'
import type { ToolItem } from '../../core/chat.ts'
import { Button } from '../../ui/button.tsx'
import { Banner } from '../../ui/banner.tsx'
import { Cell, DraftCell, type CellActions } from './cell.tsx'
import type { SessionStore, StoreView } from './store.ts'

export function NotebookView({ store, view, writing }: { store: SessionStore; view: StoreView; writing: ToolItem | null }) {
  const { session } = view
  const actions = useCellActions(store)
  const draft = writing !== null && !alreadyThere(session, writing.code) ? writing : null
  const scroller = useRef<HTMLDivElement>(null)
  useFollow(scroller, session, draft)
  return (
    <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overscroll-contain" data-notebook>
      <div className="mx-auto flex max-w-[920px] flex-col gap-5 px-2 pt-5 pb-24 md:px-5">
        <Notices store={store} view={view} />
        {session.loaded && session.cells.length === 0 && draft === null && <Nothing />}
        {session.cells.map((cell, at) => (
          <Cell
            key={`${cell.id}:${cell.type}`}
            cell={cell}
            position={at + 1}
            store={store}
            actions={actions}
            input={session.input?.cellId === cell.id ? session.input : null}
          />
        ))}
        {draft !== null && <DraftCell code={draft.code} label={draft.phase === 'writing' ? 'Being written' : 'About to run'} />}
        {session.loaded && <AddCell store={store} />}
      </div>
    </div>
  )
}

function alreadyThere(session: Session, code: string): boolean {
  const last = session.cells.findLast((cell) => cell.type === 'code')
  return last !== undefined && last.status !== null && sourceOf(last).trim() === code.trim()
}

/** New output stays in view while a person has not scrolled away from the end. */
function useFollow(scroller: React.RefObject<HTMLDivElement | null>, session: Session, draft: ToolItem | null): void {
  const atEnd = useRef(true)
  useEffect(() => {
    const box = scroller.current
    if (!box) return
    const note = (): void => {
      atEnd.current = box.scrollHeight - box.scrollTop - box.clientHeight < 120
    }
    const grow = new ResizeObserver(() => {
      if (atEnd.current && box.dataset['follow'] === 'yes') box.scrollTop = box.scrollHeight
    })
    if (box.firstElementChild) grow.observe(box.firstElementChild)
    box.addEventListener('scroll', note, { passive: true })
    return () => {
      grow.disconnect()
      box.removeEventListener('scroll', note)
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
  const { session, problem, connected } = view
  return (
    <>
      {!connected && <Banner>The connection to the server is lost. This page catches up by itself when it is back.</Banner>}
      {session.notice !== null && (
        <Banner
          onClose={() => store.apply({ kind: 'dismiss' })}
          action={
            session.cells.length > 0 && (
              <Button look="outline" onClick={() => void store.runAll()}>
                Run all
              </Button>
            )
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
    </>
  )
}

function Nothing() {
  return (
    <div className="px-3 py-16 text-center text-sm text-ink-3">
      <p>Code the model writes appears here as it is written, with what it puts out.</p>
      <p>You can change every cell and run it again.</p>
    </div>
  )
}

function AddCell({ store }: { store: SessionStore }) {
  const add = (type: 'code' | 'markdown'): void => {
    void store.add(type).then((id) => id && focusEditor(id))
  }
  return (
    <div className="flex gap-1 pl-9 md:pl-11">
      <Button onClick={() => add('code')} className="px-2 text-ink-3">
        <Plus size={14} /> Code
      </Button>
      <Button onClick={() => add('markdown')} className="px-2 text-ink-3">
        <Plus size={14} /> Text
      </Button>
    </div>
  )
}

// where the focus goes

function boxOf(id: string): HTMLElement | null {
  return document.getElementById(`cell-${id}`)
}

export function focusCell(id: string): void {
  const box = boxOf(id)
  box?.focus({ preventScroll: true })
  box?.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' })
}

/** The editor of a cell, also of one that React has not drawn yet. */
function focusEditor(id: string, tries = 20): void {
  const content = boxOf(id)?.querySelector<HTMLElement>('.cm-content')
  if (content) content.focus()
  else if (tries > 0) requestAnimationFrame(() => focusEditor(id, tries - 1))
}

function useCellActions(store: SessionStore): CellActions {
  const [actions] = useState(() => cellActions(store))
  return useMemo(() => actions, [actions])
}

function cellActions(store: SessionStore): CellActions {
  const cells = () => store.getView().session.cells
  const at = (id: string): number => cells().findIndex((cell) => cell.id === id)
  const addBelow = async (id: string): Promise<void> => {
    const added = await store.add('code', id)
    if (added) focusEditor(added)
  }
  return {
    run: (id, then) => {
      void (store.cell(id)?.type === 'code' ? store.run(id) : store.save(id))
      const next = cells()[at(id) + 1]
      if (then === 'insert' || (then === 'next' && !next)) void addBelow(id)
      else if (then === 'next' && next) focusCell(next.id)
    },
    step: (id, step, into) => {
      const next = cells()[at(id) + step]
      if (!next) return false
      if (into === 'editor' && boxOf(next.id)?.querySelector('.cm-content')) focusEditor(next.id)
      else focusCell(next.id)
      return true
    },
    insert: (id, where) => {
      const above = cells()[at(id) - 1]?.id ?? null
      void store.add('code', where === 'below' ? id : above).then((added) => added && focusEditor(added))
    },
    remove: (id) => {
      const near = cells()[at(id) + 1] ?? cells()[at(id) - 1]
      void store.remove(id)
      if (near) focusCell(near.id)
    },
  }
}
