// The editor as a component. Far from the window the code stands as text; near it, coloured; CodeMirror, which takes its
// time, comes with the rest of the cell, or at once when a person wants it, and goes with the distance.
import { useEffect, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState, type ReactNode, type Ref } from 'react'
import { flushSync } from 'react-dom'
import type { EditorState } from '@codemirror/state'
import type { EditorView } from '@codemirror/view'
import type { EditorHooks, EditorOptions } from './editor.ts'
import type { Stage } from './near.ts'

export interface EditorHandle {
  readonly focus: () => void
}

type Chunk = typeof import('./editor.ts')
let loaded: Chunk | null = null
const chunk = import('./editor.ts').then((module) => (loaded = module))

/** The cursor of the editor in `element` goes to a line, counted from 1. */
export function goToLine(element: HTMLElement, line: number): boolean {
  return loaded?.goToLine(element, line) ?? false
}

/** As their keys do: what the kernel would put at the cursor of the editor in `element`, or knows about the name there. */
export function askKernel(element: HTMLElement, about: 'complete' | 'inspect'): boolean {
  return loaded?.askKernel(element, about) ?? false
}

const WANTED = 'editor-wanted'

type Act = (content: HTMLElement) => void

/** Does something with the editor within this element, which is made now, if it is not there yet. */
export function wantEditor(element: HTMLElement, act: Act): void {
  element.querySelector('[data-editor]')?.dispatchEvent(new CustomEvent(WANTED, { detail: act }))
}

/** Whether the focus is still where it was, or nowhere: whoever has gone on meanwhile is not called back. */
function stayed(box: HTMLElement | null, held: Element | null): boolean {
  const now = document.activeElement
  return now === held || now === document.body || (box?.closest('[data-cell]')?.contains(now) ?? false)
}

export function Editor({
  source,
  options,
  hooks,
  readOnly = false,
  stage = 'there',
  handle,
}: {
  source: string
  options: EditorOptions
  hooks: EditorHooks
  readOnly?: boolean
  /** How much of its cell is there. */
  stage?: Stage
  handle?: Ref<EditorHandle>
}) {
  const box = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  /** What an editor that was taken down knew: its history, its selection. */
  const kept = useRef<EditorState>(null)
  const latest = useRef({ hooks, source, readOnly })
  /** What is to be done with it when it is there: CodeMirror itself may still be on its way. */
  const wanted = useRef<Act>(null)
  const [due, setDue] = useState(stage === 'there')
  const [made, setMade] = useState(false)
  useLayoutEffect(() => {
    latest.current = { hooks, source, readOnly }
  })

  useEffect(() => {
    const element = box.current
    const make = (event: Event): void => want((event as CustomEvent<Act>).detail)
    if (stage === 'there') setDue(true)
    if (stage === 'far' && !view.current?.hasFocus) setDue(wanted.current !== null)
    element?.addEventListener(WANTED, make)
    return () => element?.removeEventListener(WANTED, make)
  }, [stage])

  useLayoutEffect(() => {
    if (!due) return
    let gone = false
    const make = ({ makeEditor, setReadOnly, follow }: Chunk): void => {
      if (gone || !box.current) return
      view.current = makeEditor(box.current, latest.current.source, options, () => latest.current.hooks, kept.current)
      follow(view.current, latest.current.source)
      setReadOnly(view.current, latest.current.readOnly)
      take()
      setMade(true)
    }
    if (loaded) make(loaded)
    else void chunk.then(make)
    return () => {
      gone = true
      kept.current = view.current?.state ?? kept.current
      view.current?.destroy()
      view.current = null
      setMade(false)
    }
    // A cell's kind and label are fixed for the life of its editor: its key holds them.
  }, [due, options.label, options.code, options.hint])

  useEffect(() => {
    if (loaded && view.current) loaded.follow(view.current, source)
  }, [source])
  useEffect(() => {
    if (loaded && view.current) loaded.setReadOnly(view.current, readOnly)
  }, [readOnly])

  const take = (): void => {
    const act = wanted.current
    if (!view.current || !act) return
    wanted.current = null
    act(view.current.contentDOM)
  }
  const want = (act: Act): void => {
    const held = document.activeElement
    wanted.current = (content) => stayed(box.current, held) && act(content)
    flushSync(() => setDue(true)) // the next key is meant for it
    take()
  }
  const focus = (): void => want(() => view.current?.focus())
  useImperativeHandle(handle, () => ({ focus }))

  return (
    <div ref={box} data-editor className="min-w-0 overflow-hidden">
      {!made && <Standing source={source} coloured={stage !== 'far' && options.code} onWanted={focus} wrapped={!options.code} />}
    </div>
  )
}

/** The code before its editor, which takes its place soon, or without one: then it scrolls. */
export function Standing({ source, coloured, onWanted, wrapped = false }: { source: string; coloured: boolean; onWanted?: () => void; wrapped?: boolean }) {
  const shown = useColours(source, coloured)
  return (
    <pre className={`mono px-3 py-2.5 ${wrapped ? 'break-words whitespace-pre-wrap' : 'whitespace-pre'} ${onWanted ? 'overflow-hidden' : 'overflow-x-auto'}`} onPointerDown={onWanted} tabIndex={onWanted ? undefined : 0}>
      {shown || ' '}
    </pre>
  )
}

function useColours(source: string, coloured: boolean): ReactNode {
  const [ready, setReady] = useState(loaded !== null)
  useEffect(() => {
    if (!ready) void chunk.then(() => setReady(true))
  }, [ready])
  const text = source.replace(/\n$/, '')
  return useMemo(() => {
    if (!coloured || !ready) return text
    return loaded!.colours(text).map((piece, at) => (piece.look ? <span key={at} className={piece.look}>{piece.text}</span> : piece.text))
  }, [text, coloured, ready])
}
