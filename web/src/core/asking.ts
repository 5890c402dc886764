// Questions about a cell, as they are put to the model, and what its answer proposes for that cell.
import { bare } from './text.ts'
import { sourceOf, type CellView } from './notebook.ts'
import type { Turn } from './chat.ts'

const SHOWN = 4000

/** A person asks for help with a cell: the question holds all a model needs to see of it. */
export function questionAbout(cell: CellView, position: number, wish: 'explain' | 'fix'): string {
  const code = fenced('python', sourceOf(cell))
  if (wish === 'explain') return `Explain cell ${position}:\n\n${code}`
  return `Fix cell ${position}. It ends with ${failureOf(cell)}\n\n${code}`
}

function failureOf(cell: CellView): string {
  const error = cell.outputs.findLast((output) => output.output_type === 'error')
  if (error?.output_type !== 'error') return `the status “${cell.status ?? 'not run'}”.`
  const last = bare(error.traceback.join('\n')).trim().slice(-SHOWN)
  return `${error.ename}: ${error.evalue.slice(0, SHOWN)}${last ? `\n\n${fenced('text', last)}` : ''}`
}

/** A fence that is longer than any within. */
function fenced(language: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`{3,}/g)].map((run) => run[0].length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}${language}\n${text.replace(/\n$/, '')}\n${fence}`
}

/** A wish as a person reads it: one sentence, and what was sent along; null for a question in a person's own words. */
export function wishIn(text: string): { readonly said: string; readonly along: string } | null {
  const found = /^((?:Fix|Explain) cell \d+[.:][^\n]*)\n\n([\s\S]+)$/.exec(text)
  return found && /^`{3,}/m.test(found[2]!) ? { said: found[1]!.replace(/:$/, '.'), along: found[2]! } : null
}

/** What the model answered to a wish to fix a cell: the code that was to be fixed, and the cell with the code it ran instead. */
export interface Fix {
  readonly asked: string
  readonly cellId: string
}

const ASKED = /^Fix cell \d+\. It ends with /
const CODE = /(?:^|\n)(`{3,})python\n([\s\S]*)\n\1\s*$/

/** The last cell of each answer to such a wish. */
export function fixesIn(turns: readonly Turn[]): readonly Fix[] {
  return turns.flatMap((turn, at): Fix[] => {
    const next = turns[at + 1]
    if (turn.role !== 'user' || next?.role !== 'assistant' || next.state === 'running' || !ASKED.test(turn.text)) return []
    const asked = CODE.exec(turn.text)?.[2]
    const made = next.items.findLast((item) => item.kind === 'tool' && item.cellId !== null)
    return asked !== undefined && made?.kind === 'tool' ? [{ asked, cellId: made.cellId! }] : []
  })
}

/** A change that waits for a person: cell `cellId` could become `code`, which cell `from` has tried. */
export interface Proposal {
  readonly cellId: string
  readonly code: string
  readonly from: string
}

/** As long as the cell is as it was when the wish was made, and the model's cell is there and differs. */
export function proposals(fixes: readonly Fix[], cells: readonly CellView[]): readonly Proposal[] {
  const bare = (cell: CellView): string => sourceOf(cell).replace(/\n$/, '')
  const found = new Map<string, Proposal>()
  for (const { asked, cellId } of fixes) {
    const from = cells.find((cell) => cell.id === cellId)
    const target = cells.find((cell) => cell.id !== cellId && cell.type === 'code' && bare(cell) === asked)
    if (from && target && bare(from) !== asked) found.set(target.id, { cellId: target.id, code: bare(from), from: from.id })
  }
  return [...found.values()]
}
