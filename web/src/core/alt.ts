// What a figure shows, in words, for people who cannot see it: from the code that drew it.

const TEXT = String.raw`\(\s*(?:label\s*=\s*)?(["'])((?:(?!\1)[^\\\n{}])+)\1`
const TITLE = new RegExp(String.raw`\b(?:plt\.|set_|sup|fig\.sup)?title${TEXT}`, 'g')
const X = new RegExp(String.raw`\b(?:set_)?xlabel${TEXT}`, 'g')
const Y = new RegExp(String.raw`\b(?:set_)?ylabel${TEXT}`, 'g')

/**
 * Title and axes as the code names them; null when it names none, or several: then nobody knows which figure is which.
 * `figures` is how many the cell has put out.
 */
export function figureAlt(source: string, figures: number): string | null {
  if (figures !== 1) return null
  const [title, x, y] = [only(source, TITLE), only(source, X), only(source, Y)]
  const axes = [x && `x: ${x}`, y && `y: ${y}`].filter(Boolean).join(', ')
  if (title === null && axes === '') return null
  return ['Figure', title && `: ${title}`, axes && ` (${axes})`].filter(Boolean).join('')
}

function only(source: string, pattern: RegExp): string | null {
  const found = new Set([...source.matchAll(pattern)].map((match) => match[2]!.trim()))
  return found.size === 1 ? [...found][0]! : null
}
