// The command palette: which commands fit what was typed, the best first.
import { words } from './words.ts'

export interface PaletteItem {
  readonly id: string
  readonly group: string
  readonly label: string
  readonly keys: string
}

const MOST = 60

const GROUPS: readonly string[] = [words.groups.cell, words.groups.notebook, words.groups.view, words.groups.page, words.groups.theme, words.groups.conversation]

/** What is nearest to a person's hands first. */
export function inOrder<Item extends PaletteItem>(items: readonly Item[]): readonly Item[] {
  return [...items].sort((a, b) => GROUPS.indexOf(a.group) - GROUPS.indexOf(b.group))
}

/** All in their order when nothing is typed; else those whose label or group has every word, earlier and whole matches first. */
export function fitting<Item extends PaletteItem>(items: readonly Item[], typed: string): readonly Item[] {
  const wanted = typed.toLowerCase().split(/\s+/).filter(Boolean)
  const scored = items.flatMap((item, at) => {
    const score = wanted.reduce((sum, word) => sum + scoreOf(item, word), 0)
    return Number.isFinite(score) ? [{ item, score, at }] : []
  })
  return scored
    .sort((a, b) => a.score - b.score || a.at - b.at)
    .slice(0, MOST)
    .map((one) => one.item)
}

function scoreOf(item: PaletteItem, word: string): number {
  const label = item.label.toLowerCase()
  const at = label.indexOf(word)
  if (at === 0) return 0
  if (at > 0) return label[at - 1] === ' ' ? 1 : 2
  return item.group.toLowerCase().includes(word) ? 3 : Number.POSITIVE_INFINITY
}

/** The item that is marked after an arrow key; it goes round. */
export function marked(at: number, step: 1 | -1, count: number): number {
  return count === 0 ? 0 : (at + step + count) % count
}
