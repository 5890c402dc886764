// The editor as a component. CodeMirror comes in its own chunk; until it is there the code stands as text.
import { useEffect, useImperativeHandle, useRef, useState, type Ref } from 'react'
import type { EditorView } from '@codemirror/view'
import type { EditorHooks, EditorOptions } from './editor.ts'

export interface EditorHandle {
  readonly focus: () => void
}

let loaded: typeof import('./editor.ts') | null = null
const chunk = import('./editor.ts').then((module) => (loaded = module))

/** The cursor of the editor in `element` goes to a line, counted from 1. */
export function goToLine(element: HTMLElement, line: number): boolean {
  return loaded?.goToLine(element, line) ?? false
}

export function Editor({
  source,
  options,
  hooks,
  readOnly = false,
  handle,
}: {
  source: string
  options: EditorOptions
  hooks: EditorHooks
  readOnly?: boolean
  handle?: Ref<EditorHandle>
}) {
  const box = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  const latest = useRef({ hooks, source, readOnly })
  const wanted = useRef(false)
  const [made, setMade] = useState(false)
  useEffect(() => {
    latest.current = { hooks, source, readOnly }
  })

  useEffect(() => {
    let gone = false
    void chunk.then(({ makeEditor, setReadOnly }) => {
      if (gone || !box.current) return
      view.current = makeEditor(box.current, latest.current.source, options, () => latest.current.hooks)
      setReadOnly(view.current, latest.current.readOnly)
      if (wanted.current) view.current.focus()
      setMade(true)
    })
    return () => {
      gone = true
      view.current?.destroy()
      view.current = null
      setMade(false)
    }
    // A cell's kind and label are fixed for the life of its editor: its key holds them.
  }, [options.label, options.code, options.hint])

  useEffect(() => {
    if (loaded && view.current) loaded.follow(view.current, source)
  }, [source])
  useEffect(() => {
    if (loaded && view.current) loaded.setReadOnly(view.current, readOnly)
  }, [readOnly])

  useImperativeHandle(handle, () => ({
    focus: () => {
      wanted.current = true
      view.current?.focus()
    },
  }))

  return (
    <div ref={box} className="min-w-0 overflow-hidden">
      {!made && <pre className="mono overflow-x-auto px-3 py-2.5 whitespace-pre">{source || ' '}</pre>}
    </div>
  )
}
