// Questions about a cell, as they are put to the model, and what its answer proposes for that cell.
import { bare } from './text.ts'
import { sourceOf, type CellView } from './notebook.ts'

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
