// What changes from one text to another, line by line.

export interface DiffLine {
  readonly kind: 'same' | 'old' | 'new'
  readonly text: string
}

const MOST = 1_000_000

/** The shortest way from old to new; where both are very long, everything between their common ends is replaced. */
export function diff(before: string, after: string): readonly DiffLine[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')]
  let head = 0
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head += 1
  let tail = 0
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1
  const same = (text: string): DiffLine => ({ kind: 'same', text })
  return [
    ...old.slice(0, head).map(same),
    ...middle(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)),
    ...old.slice(old.length - tail).map(same),
  ]
}

function middle(old: readonly string[], fresh: readonly string[]): DiffLine[] {
  const gone = (text: string): DiffLine => ({ kind: 'old', text })
  const come = (text: string): DiffLine => ({ kind: 'new', text })
  if (old.length * fresh.length > MOST) return [...old.map(gone), ...fresh.map(come)]
  const longest = commonLengths(old, fresh)
  const found: DiffLine[] = []
  let [a, b] = [0, 0]
  while (a < old.length || b < fresh.length) {
    if (a < old.length && b < fresh.length && old[a] === fresh[b]) {
      found.push({ kind: 'same', text: old[a]! })
      a += 1
      b += 1
    } else if (b >= fresh.length || (a < old.length && longest[a + 1]![b]! >= longest[a]![b + 1]!)) found.push(gone(old[a++]!))
    else found.push(come(fresh[b++]!))
  }
  return found
}

/** How many lines the rests from each pair of places have in common. */
function commonLengths(old: readonly string[], fresh: readonly string[]): readonly Uint32Array[] {
  const table = Array.from({ length: old.length + 1 }, () => new Uint32Array(fresh.length + 1))
  for (let a = old.length - 1; a >= 0; a--) {
    for (let b = fresh.length - 1; b >= 0; b--) {
      table[a]![b] = old[a] === fresh[b] ? table[a + 1]![b + 1]! + 1 : Math.max(table[a + 1]![b]!, table[a]![b + 1]!)
    }
  }
  return table
}
