// CodeMirror for one cell: what Jupyter users expect of a cell, and nothing else.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion, type CompletionSource } from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands'
import { python, pythonLanguage } from '@codemirror/lang-python'
import { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from '@codemirror/language'
import { Compartment, EditorState, Prec, Transaction } from '@codemirror/state'
import { drawSelection, EditorView, keymap, placeholder, runScopeHandlers } from '@codemirror/view'
import { highlightTree, tags } from '@lezer/highlight'
import { StyleModule } from 'style-mod'
import type { Completion } from '../../wire/client.ts'
import { inspectAt, inspection, isAsking, putAway } from './inspection.ts'

export interface EditorHooks {
  readonly onChange: (source: string) => void
  readonly onRun: (then: 'stay' | 'next' | 'insert') => void
  readonly onLeave: () => void
  readonly onEdge: (step: 1 | -1) => boolean
  readonly complete: (code: string, cursor: number, signal: AbortSignal) => Promise<Completion>
  readonly inspect: (code: string, cursor: number) => Promise<string | null>
}

export interface EditorOptions {
  readonly label: string
  readonly code: boolean
  readonly hint: string
}

const access = new Compartment()

/** `before` is the state of an editor that stood here: its document, its history and its selection go on. */
export function makeEditor(
  parent: HTMLElement,
  source: string,
  options: EditorOptions,
  hooks: () => EditorHooks,
  before: EditorState | null = null,
): EditorView {
  if (before !== null) return new EditorView({ parent, state: before })
  const changed = EditorView.updateListener.of((update) => {
    const typed = update.transactions.some((one) => one.docChanged && !one.annotation(Transaction.remote))
    if (typed) hooks().onChange(update.state.doc.toString())
  })
  const language = options.code
    ? [python(), autocompletion({ override: [kernelSource(hooks)] }), closeBrackets(), Prec.highest(keymap.of([question(hooks)]))]
    : []
  return new EditorView({
    parent,
    state: EditorState.create({
      doc: shown(source),
      extensions: [
        Prec.highest(keymap.of(cellKeys(hooks))),
        inspection,
        history(),
        drawSelection(),
        language,
        bracketMatching(),
        indentOnInput(),
        indentUnit.of('    '),
        syntaxHighlighting(COLOURS),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
        placeholder(options.hint),
        // What was typed last is scrolled to in a later frame: not any more when the focus has gone elsewhere by then.
        EditorView.scrollHandler.of((view) => !view.hasFocus),
        // Tab indents in an editor, so it must not lead into one: Enter does, from the cell, and Escape leads out.
        EditorView.contentAttributes.of({ 'aria-label': options.label, tabindex: '-1' }),
        options.code ? [] : EditorView.lineWrapping,
        access.of([]),
        LOOK,
        changed,
      ],
    }),
  })
}

/**
 * The document follows what the server or a model wrote; what is only longer is appended, so cursors stay. A line break at
 * the very end, which models like to write, is not shown as an empty line.
 */
export function follow(view: EditorView, source: string): void {
  const now = view.state.doc.toString()
  const next = shown(source)
  if (now === source || now === next) return
  const from = next.startsWith(now) ? now.length : 0
  view.dispatch({
    changes: { from, to: now.length, insert: next.slice(from) },
    annotations: [Transaction.remote.of(true), Transaction.addToHistory.of(from === 0 && now !== '')],
  })
}

export interface ColouredText {
  readonly text: string
  readonly look: string
}

/** Python as it will look in an editor. */
export function colours(source: string): readonly ColouredText[] {
  if (COLOURS.module) StyleModule.mount(document, COLOURS.module)
  const found: ColouredText[] = []
  let at = 0
  highlightTree(pythonLanguage.parser.parse(source), COLOURS, (from, to, look) => {
    if (from > at) found.push({ text: source.slice(at, from), look: '' })
    found.push({ text: source.slice(from, to), look })
    at = to
  })
  return at < source.length ? [...found, { text: source.slice(at), look: '' }] : found
}

function shown(source: string): string {
  return source.replace(/\n$/, '')
}

/** The cursor goes to a line, counted from 1; false when the element belongs to no editor. */
export function goToLine(element: HTMLElement, line: number): boolean {
  const view = EditorView.findFromDOM(element)
  if (!view) return false
  const { from, to } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines))
  view.focus()
  view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: 'center' }) })
  return true
}

/** What the keys for it ask, for fingers; false when there is nothing at the cursor to ask about. */
export function askKernel(element: HTMLElement, about: 'complete' | 'inspect'): boolean {
  const view = EditorView.findFromDOM(element)
  if (!view) return false
  view.focus()
  if (about === 'complete') return startCompletion(view)
  return isAsking(view) && runScopeHandlers(view, new KeyboardEvent('keydown', { key: 'Tab', shiftKey: true }), 'editor')
}

export function setReadOnly(view: EditorView, readOnly: boolean): void {
  view.dispatch({ effects: access.reconfigure(readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false)] : []) })
}

function cellKeys(hooks: () => EditorHooks) {
  const run = (then: 'stay' | 'next' | 'insert') => (): boolean => {
    hooks().onRun(then)
    return true
  }
  const edge = (step: 1 | -1) => (view: EditorView): boolean => {
    const { main } = view.state.selection
    const line = view.state.doc.lineAt(main.head).number
    const there = step === 1 ? line === view.state.doc.lines : line === 1
    return main.empty && there && !completing(view) && hooks().onEdge(step)
  }
  const leave = (view: EditorView): boolean => {
    if (completing(view)) return false
    if (putAway(view)) return true
    hooks().onLeave()
    return true
  }
  return [
    { key: 'Shift-Enter', run: run('next') },
    { key: 'Mod-Enter', run: run('stay') },
    { key: 'Alt-Enter', run: run('insert') },
    { key: 'ArrowDown', run: edge(1) },
    { key: 'ArrowUp', run: edge(-1) },
    { key: 'Escape', run: leave },
  ]
}

function question(hooks: () => EditorHooks) {
  const ask = (view: EditorView): boolean => {
    if (!isAsking(view)) return false
    void inspectAt(view, hooks().inspect)
    return true
  }
  return { key: 'Shift-Tab', run: ask }
}

function completing(view: EditorView): boolean {
  return view.dom.querySelector('.cm-tooltip-autocomplete') !== null
}

function kernelSource(hooks: () => EditorHooks): CompletionSource {
  return async (context) => {
    if (!context.explicit && !context.matchBefore(/[\w\])'"]\.\w*$/)) return null
    const abort = new AbortController()
    context.addEventListener('abort', () => abort.abort())
    const found = await hooks()
      .complete(context.state.doc.toString(), context.pos, abort.signal)
      .catch(() => null)
    if (found === null || found.matches.length === 0) return null
    const types = new Map(found.metadata?._jupyter_types_experimental?.map((one) => [one.text, one]))
    const options = found.matches.map((label) => ({
      label,
      type: TYPES[types.get(label)?.type ?? ''] ?? 'variable',
      detail: types.get(label)?.signature ?? '',
    }))
    return { from: found.cursor_start, to: found.cursor_end, options, validFor: /^\w*$/ }
  }
}

const TYPES: Readonly<Record<string, string>> = {
  function: 'function',
  class: 'class',
  module: 'namespace',
  keyword: 'keyword',
  property: 'property',
  instance: 'variable',
}

const COLOURS = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier, tags.self, tags.bool, tags.null], color: 'var(--code-keyword)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-string)' },
  { tag: tags.number, color: 'var(--code-number)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--code-comment)' },
  { tag: [tags.definition(tags.function(tags.variableName)), tags.className, tags.meta], color: 'var(--code-name)' },
])

const LOOK = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', color: 'var(--ink)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--font-mono)', lineHeight: '20px', fontVariantLigatures: 'none' },
  '.cm-content': { padding: '10px 0', caretColor: 'var(--accent)' },
  '.cm-line': { padding: '0 12px' },
  '.cm-cursor': { borderLeftColor: 'var(--accent)', borderLeftWidth: '2px' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    backgroundColor: 'light-dark(#d7e2f9, #33436b)',
  },
  '.cm-matchingBracket': { backgroundColor: 'var(--accent-wash) !important', outline: 'none' },
  '.cm-placeholder': { color: 'var(--ink-3)' },
  '.cm-tooltip': {
    border: '1px solid var(--line)',
    borderRadius: '8px',
    backgroundColor: 'var(--surface)',
    overflow: 'hidden',
    boxShadow: '0 8px 24px rgb(0 0 0 / 0.12)',
  },
  '.cm-inspection': {
    maxWidth: 'min(640px, 86vw)',
    maxHeight: '280px',
    overflow: 'auto',
    padding: '8px 12px',
    whiteSpace: 'pre-wrap',
    overflowWrap: 'anywhere',
    fontFamily: 'var(--font-mono)',
    fontSize: '12px',
    lineHeight: '18px',
  },
  '.cm-tooltip-autocomplete > ul > li': { padding: '2px 8px !important', lineHeight: '20px' },
  '.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--font-mono) !important', fontSize: '12px' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--accent-ink)' },
})
