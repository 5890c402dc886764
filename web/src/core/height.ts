// How high a cell will be, guessed before it is drawn: a scroll bar that lies little, and nothing that jumps. Pixels. Pure.
import { outputsHidden } from './notebook.ts'
import { joined } from './text.ts'
import { imageSize } from './outputs.ts'
import type { Cell, MimeBundle, Output } from '../wire/types.ts'

const LINE = 20
const AROUND = 22
const GAP = 8
/** What has its own scroll bar beyond it. */
const MOST = 420
const FIGURE = 420
const TABLE_ROW = 28
const TABLE_ROWS = 12

export function heightOf(cell: Cell, source: string): number {
  const code = AROUND + LINE * linesOf(source)
  if (cell.type !== 'code' || outputsHidden(cell)) return code
  return code + cell.outputs.reduce((sum, output) => sum + GAP + outputHeight(output), 0)
}

function outputHeight(output: Output): number {
  if (output.output_type === 'stream') return textHeight(joined(output.text))
  if (output.output_type === 'error') return Math.min(MOST, 2 * LINE + LINE * output.traceback.length)
  return displayHeight(output.data)
}

function displayHeight(data: MimeBundle): number {
  const png = data['image/png']
  if (typeof png === 'string') return imageSize(png)?.height ?? FIGURE
  if ('text/html' in data) return TABLE_ROW * Math.min(TABLE_ROWS, linesOf(plain(data)))
  if (Object.keys(data).some((type) => type.startsWith('image/') || /plotly|vega/.test(type))) return FIGURE
  return textHeight(plain(data))
}

function plain(data: MimeBundle): string {
  const text = data['text/plain']
  return Array.isArray(text) ? text.join('') : String(text ?? '')
}

function textHeight(text: string): number {
  return Math.min(MOST, LINE * linesOf(text.endsWith('\n') ? text.slice(0, -1) : text, MOST / LINE))
}

function linesOf(text: string, most = Infinity): number {
  let lines = 1
  for (let at = text.indexOf('\n'); at >= 0 && lines < most; at = text.indexOf('\n', at + 1)) lines += 1
  return lines
}
