// A traceback as IPython prints it, with the frames that stand in a cell of the notebook.
import { bare } from './text.ts'
import type { CellView } from './notebook.ts'

export type TracePart =
  | { readonly kind: 'text'; readonly text: string }
  /** A frame in the cell that ran as `In [count]`. */
  | { readonly kind: 'frame'; readonly text: string; readonly count: number; readonly line: number }

const FRAME = /^\s*Cell In\s?\[(\d+)\], line (\d+)/

/** IPython's line of dashes, and the name of the error beside the word: what stands above them says as much. */
const HEAD = /^(-{20,}|\S+ +Traceback \(most recent call last\))$/

export function traceParts(traceback: string): TracePart[] {
  const found: TracePart[] = []
  const lines = traceback.split('\n')
  const begin = lines.findIndex((line) => !HEAD.test(bare(line).trim()))
  for (const line of lines.slice(Math.max(begin, 0))) {
    const text = bare(line)
    const frame = FRAME.exec(text)
    const last = found.at(-1)
    if (frame) found.push({ kind: 'frame', text: text.trim(), count: Number(frame[1]), line: Number(frame[2]) })
    else if (last?.kind === 'text') found[found.length - 1] = { kind: 'text', text: `${last.text}\n${line}` }
    else found.push({ kind: 'text', text: line })
  }
  return found
}

/** The cell a frame names: counts start over with a kernel, so the failed cell itself comes first, then the latest. */
export function cellOfCount(cells: readonly CellView[], failed: string, count: number): string | null {
  const own = cells.find((cell) => cell.id === failed && cell.execution_count === count)
  return own?.id ?? cells.findLast((cell) => cell.execution_count === count)?.id ?? null
}
