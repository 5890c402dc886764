// Two people edited one cell: what both meant, or null when they touched the same lines.

interface Edit {
  readonly from: number
  readonly to: number
  readonly lines: readonly string[]
}

/** Three-way merge by lines. `base` is what both started from. */
export function merge(base: string, mine: string, theirs: string): string | null {
  if (mine === theirs || theirs === base) return mine
  if (mine === base) return theirs
  const lines = base.split('\n')
  const a = editOf(lines, mine.split('\n'))
  const b = editOf(lines, theirs.split('\n'))
  const [first, second] = a.from <= b.from ? [a, b] : [b, a]
  if (second.from < first.to || (first.from === second.from && first.to === second.to)) return null
  return [
    ...lines.slice(0, first.from),
    ...first.lines,
    ...lines.slice(first.to, second.from),
    ...second.lines,
    ...lines.slice(second.to),
  ].join('\n')
}

/** The one span of lines that differs. */
function editOf(base: readonly string[], next: readonly string[]): Edit {
  let from = 0
  while (from < base.length && from < next.length && base[from] === next[from]) from += 1
  let tail = 0
  while (tail < base.length - from && tail < next.length - from && base.at(-1 - tail) === next.at(-1 - tail)) tail += 1
  return { from, to: base.length - tail, lines: next.slice(from, next.length - tail) }
}
