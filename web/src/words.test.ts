// What the page says in English stands in core/words.ts alone: no other file may hold a text for people.
import { parseAst } from 'vite'
import { expect, test } from 'vitest'

const FILES: Record<string, string> = import.meta.glob('./**/*.{ts,tsx}', { query: '?raw', import: 'default', eager: true })
/** `asking.ts` writes to a model and reads it back; the frame of outputs has a bundle, and so few words, of its own. */
const EXEMPT = /\.test\.ts$|\.d\.ts$|wire\/(api|types)\.ts$|core\/(words|asking)\.ts$|^\.\/frame\//
const SPOKEN = new Set(['label', 'title', 'aria-label', 'aria-description', 'placeholder', 'alt', 'hint', 'question', 'detail', 'action'])
/** Names of keys, headers, formats and brands: the same in every language. */
const NAMES =
  /^(Cellblock|SVG|JSON|Python|Figure|Enter|Escape|Tab|Files|Arrow\w+|(Ctrl|Control|Shift|Mod|Alt)\b.*|ArrowDown or ArrowUp|[A-Z]\w+-[\w-]+|AbortError|DataFrame|[KMGT]iB|noopener noreferrer|not here|built in|A case is missing: | · Cellblock|<Figure size | min )$/
const STYLE = /(^|\s)-?[a-z]+(-[\w[\]().:/%]+)+|var\(|\dpx|light-dark|oklch|^\W*$/

interface Node {
  readonly type: string
  readonly start: number
  readonly [field: string]: unknown
}

/** Texts of a file that a person would read: in markup, in attributes that are said, and in sentences. */
function literals(path: string, code: string): string[] {
  const found: string[] = []
  const note = (node: Node, text: string): void => {
    if (!NAMES.test(text.trim() === '' ? text : text.trim()) && !NAMES.test(text)) {
      found.push(`${path}:${code.slice(0, node.start).split('\n').length} ${JSON.stringify(text.trim())}`)
    }
  }
  const visit = (value: unknown, within: string): void => {
    if (Array.isArray(value)) return value.forEach((one) => visit(one, within))
    if (typeof value !== 'object' || value === null || !('type' in value)) return
    const node = value as Node
    if (/^TS(Type|Literal|Union|Interface|Index)|^(Import|ExportAll)/.test(node.type)) return
    const attribute = node.type === 'JSXAttribute' ? (node['name'] as { name?: string }).name ?? '' : within
    if (attribute === 'className' && within !== 'className') return
    if (node.type === 'BinaryExpression') return // compared, not said
    if (node.type === 'JSXText' && /\p{L}{2}/u.test(String(node['value']))) note(node, String(node['value']))
    if (node.type === 'Literal' && typeof node['value'] === 'string' && isSaid(node['value'], within)) note(node, node['value'])
    const raw = node.type === 'TemplateElement' ? String((node['value'] as { raw: string }).raw) : ''
    if (/[a-z]{2,} |[A-Z][a-z]+ /.test(raw) && !STYLE.test(raw)) note(node, raw)
    for (const [field, inner] of Object.entries(node)) visit(inner, field === 'key' ? 'key' : attribute)
  }
  const language = path.endsWith('x') ? 'tsx' : 'ts'
  visit((parseAst(code, { lang: language }) as unknown as Node)['body'], '')
  return found
}

function isSaid(text: string, within: string): boolean {
  if (within === 'key') return false
  if (SPOKEN.has(within)) return /\p{L}{2}/u.test(text)
  return /^[A-Z][a-z]|[A-Za-z]{2,} [a-z]/.test(text) && !STYLE.test(text)
}

test('no file but core/words.ts holds a text for people', () => {
  const files = Object.entries(FILES).filter(([path]) => !EXEMPT.test(path))
  expect(files.length).toBeGreaterThan(50)
  expect(files.flatMap(([path, code]) => literals(path, code))).toEqual([])
})

test('a stray text is found wherever it may stand', () => {
  const stray = (code: string): number => literals('a.tsx', code).length
  expect(stray('const a = <p>Hello there</p>')).toBe(1)
  expect(stray('const a = <B label="Close" />')).toBe(1)
  expect(stray('const a = <B label={open ? "Close" : words.open} />')).toBe(1)
  expect(stray('const a = <p>{open ? "Shut it" : null}</p>')).toBe(1)
  expect(stray('announce(`${name} is uploaded.`)')).toBe(1)
  expect(stray('const a = <p className="flex gap-2" title={words.page.title}>{words.a}</p>')).toBe(0)
})
