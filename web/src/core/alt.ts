// What figures show, in words, for people who cannot see them: from the code that drew them, and what a model said of it.
import { words } from './words.ts'

const TEXT = String.raw`\(\s*(?:label\s*=\s*|t\s*=\s*)?(["'])((?:(?!\1)[^\\\n{}])+)\1`
const OVERALL = new RegExp(String.raw`\bsuptitle${TEXT}`, 'g')
const TITLE = new RegExp(String.raw`\b(?:plt\.|set_)?title${TEXT}`, 'g')
const NAMED = /\btitle\s*=\s*(["'])((?:(?!\1)[^\\\n{}])+)\1/g
const X = new RegExp(String.raw`\b(?:set_)?xlabel${TEXT}`, 'g')
const Y = new RegExp(String.raw`\b(?:set_)?ylabel${TEXT}`, 'g')

/** Lines of the cell itself, in no loop and no function, that end a figure, or begin one. */
const ENDS = /^(?:\w+\.)?show\(.*$|^display\(.*$/gm
const BEGINS = /^(?:[\w, ]+=\s*)?(?:plt\.(?:figure|subplots)|px\.\w+|go\.Figure|alt\.Chart|sns\.(?:cat|rel|dis|lm|joint|pair)plot)\(.*$/gm

/**
 * One text for each of the `count` figures a cell has put out, in their order. A title and axes are told only where the
 * code leaves no doubt whose they are; `caption` is what a model called its step.
 */
export function figureAlts(source: string, count: number, caption: string | null = null): readonly string[] {
  const parts = count === 1 ? [source] : partsOf(source, count)
  return Array.from({ length: count }, (_, at) => {
    const named = parts === null ? null : described(parts[at]!, caption)
    return named ?? words.figure.alt(at + 1, count, caption)
  })
}

function described(source: string, caption: string | null): string | null {
  const title = only(source, OVERALL) ?? only(source, TITLE, NAMED)
  const [x, y] = [only(source, X), only(source, Y)]
  const axes = [x && `x: ${x}`, y && `y: ${y}`].filter(Boolean).join(', ')
  if (title === null && axes === '') return null
  const figure = words.figure.described(title, axes)
  return caption === null || caption === title ? figure : `${figure}. ${caption}`
}

function only(source: string, ...patterns: readonly RegExp[]): string | null {
  const found = new Set(patterns.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[2]!.trim())))
  return found.size === 1 ? [...found][0]! : null
}

/** The code of each figure, when it can be told apart; null otherwise. */
function partsOf(source: string, count: number): readonly string[] | null {
  const ends = [...source.matchAll(ENDS)].map((match) => match.index + match[0].length)
  if (ends.length === count) return ends.map((end, at) => source.slice(ends[at - 1] ?? 0, end))
  const begins = [...source.matchAll(BEGINS)].map((match) => match.index)
  return begins.length === count ? begins.map((begin, at) => source.slice(begin, begins[at + 1])) : null
}
