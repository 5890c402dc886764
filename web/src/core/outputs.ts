// Outputs of a cell as data: events folded in, and the blocks a person sees, each safe in the page or meant for the frame.
import { append, joined } from './text.ts'
import { words } from './words.ts'
import type { MimeBundle, Output } from '../wire/types.ts'

export interface Folded {
  readonly outputs: readonly Output[]
  /** `clear_output(wait=True)`: the next output replaces all of these. */
  readonly clearing: boolean
}

export type OutputEvent =
  | { readonly kind: 'stream'; readonly name: 'stdout' | 'stderr'; readonly text: string }
  | { readonly kind: 'display'; readonly output: Output }
  | { readonly kind: 'update'; readonly displayId: string; readonly data: MimeBundle; readonly metadata: MimeBundle }
  | { readonly kind: 'clear'; readonly wait: boolean }

/** The outputs after one more event. */
export function foldOutput(before: Folded, event: OutputEvent): Folded {
  switch (event.kind) {
    case 'clear':
      return event.wait ? { ...before, clearing: true } : { outputs: [], clearing: false }
    case 'stream':
      return { outputs: appendStream(kept(before), event.name, event.text), clearing: false }
    case 'display':
      return { outputs: [...kept(before), event.output], clearing: false }
    case 'update':
      return { ...before, outputs: before.outputs.map((output) => updated(output, event)) }
    default:
      return never(event)
  }
}

function kept(before: Folded): readonly Output[] {
  return before.clearing ? [] : before.outputs
}

function appendStream(outputs: readonly Output[], name: 'stdout' | 'stderr', text: string): readonly Output[] {
  const last = outputs.at(-1)
  if (last?.output_type !== 'stream' || last.name !== name) {
    return [...outputs, { output_type: 'stream', name, text: append('', text) }]
  }
  return [...outputs.slice(0, -1), { ...last, text: append(joined(last.text), text) }]
}

function updated(output: Output, event: Extract<OutputEvent, { kind: 'update' }>): Output {
  const shows = output.output_type === 'display_data' || output.output_type === 'execute_result'
  if (!shows || output.transient?.display_id !== event.displayId) return output
  return { ...output, data: event.data, metadata: event.metadata }
}

export interface Size {
  readonly width: number
  readonly height: number
}

/** What is drawn: consecutive markup is one block, since some libraries spread one figure over several; a figure stands alone. */
export type Block =
  | { readonly kind: 'text'; readonly name: 'stdout' | 'stderr' | 'result'; readonly text: string }
  | { readonly kind: 'error'; readonly ename: string; readonly evalue: string; readonly traceback: string }
  | { readonly kind: 'image'; readonly mime: string; readonly data: string; readonly alt: string; readonly width: number | null; readonly size: Size | null; readonly svg: string | null; readonly plotted: boolean }
  | { readonly kind: 'media'; readonly mime: string; readonly data: string }
  | { readonly kind: 'markdown'; readonly text: string }
  | { readonly kind: 'latex'; readonly text: string }
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'file'; readonly mime: string; readonly data: string }
  /** `figure`: one drawing, which can be enlarged and saved. */
  | { readonly kind: 'frame'; readonly bundles: readonly MimeBundle[]; readonly figure: boolean; readonly table: LongTable | null }

/** A table of which only the first and the last rows are shown. */
export interface LongTable {
  readonly rows: number
  readonly columns: number
}

/** A block and the place of the output it was made of, or the first of them. */
export type Placed = Block & { readonly at: number }

export function blocks(outputs: readonly Output[]): Placed[] {
  const found: Placed[] = []
  for (const [at, output] of outputs.entries()) {
    const block = blockOf(output)
    const last = found.at(-1)
    if (block === null) continue
    if (block.kind === 'frame' && last?.kind === 'frame' && !alone(block) && !alone(last)) {
      found[found.length - 1] = { ...last, bundles: [...last.bundles, ...block.bundles] }
    } else found.push({ ...block, at })
  }
  return found
}

function alone(block: Extract<Block, { kind: 'frame' }>): boolean {
  return block.figure || block.table !== null
}

export function isFigure(block: Block): boolean {
  return block.kind === 'image' || (block.kind === 'frame' && block.figure)
}

function blockOf(output: Output): Block | null {
  switch (output.output_type) {
    case 'stream':
      return { kind: 'text', name: output.name, text: append('', joined(output.text)) }
    case 'error':
      return {
        kind: 'error',
        ename: output.ename,
        evalue: output.evalue,
        traceback: output.traceback.map((line) => joined(line)).join('\n'),
      }
    case 'display_data':
    case 'execute_result':
      return displayed(output.data, output.metadata ?? {})
    default:
      return never(output)
  }
}

const IN_FRAME = [
  /^application\/vnd\.plotly\.v\d+\+json$/,
  /^application\/vnd\.vega(lite)?\.v\d+(\+json|\.json)$/,
  /^text\/html$/,
  /^image\/svg\+xml$/,
]
const MEDIA = /^(audio|video)\/[\w.+-]+$/
export const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp']

/** The richest form of one display that this page can show. */
function displayed(data: MimeBundle, metadata: MimeBundle): Block | null {
  const types = Object.keys(data)
  const plotted = types.find((type) => IN_FRAME[0]!.test(type) || IN_FRAME[1]!.test(type))
  if (plotted) return frame(plotted, data)
  if ('text/html' in data) return frame('text/html', data)
  const image = IMAGES.find((type) => type in data)
  if (image) return imageBlock(image, data, metadata)
  if ('image/svg+xml' in data) return frame('image/svg+xml', data)
  const media = types.find((type) => MEDIA.test(type))
  if (media) return { kind: 'media', mime: media, data: content(data[media]).replace(/\s+/g, '') }
  return textual(data)
}

function textual(data: MimeBundle): Block | null {
  const text = (type: string): string | null => (type in data ? content(data[type]) : null)
  const markdown = text('text/markdown')
  if (markdown !== null) return { kind: 'markdown', text: markdown }
  const latex = text('text/latex')
  if (latex !== null) return { kind: 'latex', text: latex }
  if ('application/javascript' in data) return frame('application/javascript', data)
  if ('application/pdf' in data) return { kind: 'file', mime: 'application/pdf', data: content(data['application/pdf']) }
  if ('application/json' in data) return { kind: 'json', value: data['application/json'] }
  const plain = text('text/plain')
  return plain === null ? null : { kind: 'text', name: 'result', text: plain }
}

function frame(type: string, data: MimeBundle): Block {
  const bundle = { [type]: data[type], 'text/plain': data['text/plain'] ?? '' }
  const table = type === 'text/html' ? longTable(content(data[type])) : null
  return { kind: 'frame', bundles: [bundle], figure: /plotly|vega|svg/.test(type), table }
}

/** What pandas says below a table of which it shows a part. */
function longTable(html: string): LongTable | null {
  const told = /<p>(\d+) rows × (\d+) columns<\/p>\s*<\/div>\s*$/.exec(html)
  return told && html.includes('class="dataframe"') ? { rows: Number(told[1]), columns: Number(told[2]) } : null
}

function imageBlock(mime: string, data: MimeBundle, metadata: MimeBundle): Block {
  const meta = metadata[mime] as { width?: unknown; alt?: unknown } | undefined
  const plain = content(data['text/plain'] ?? '')
  // `<Figure size 640x480 with 1 Axes>` says nothing to a person: the code that drew it says more.
  const plotted = mime === 'image/png' && plain.startsWith('<Figure size ')
  return {
    kind: 'image',
    mime,
    data: content(data[mime]).replace(/\s+/g, ''),
    size: mime === 'image/png' ? imageSize(content(data[mime])) : null,
    alt: typeof meta?.alt === 'string' ? meta.alt : plotted ? '' : plain || words.figure.image,
    width: typeof meta?.width === 'number' && meta.width > 0 ? meta.width : null,
    svg: 'image/svg+xml' in data ? content(data['image/svg+xml']) : null,
    plotted,
  }
}

/** The pixels of a PNG, from the first bytes of its base64; null when it is none. */
export function imageSize(base64: string): Size | null {
  const head = base64.slice(0, 80).replace(/\s+/g, '').slice(0, 32)
  if (!/^iVBORw0KGgo[\w+/]{21}$/.test(head)) return null
  const bytes = bytesOf(head)
  const number = (at: number): number => bytes.slice(at, at + 4).reduce((sum, byte) => sum * 256 + byte, 0)
  const size = { width: number(16), height: number(20) }
  return size.width > 0 && size.height > 0 && size.width <= PIXELS && size.height <= PIXELS ? size : null
}

const PIXELS = 65_536
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

function bytesOf(base64: string): readonly number[] {
  const bits = [...base64].map((digit) => DIGITS.indexOf(digit).toString(2).padStart(6, '0')).join('')
  return (bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2))
}

function content(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((part) => String(part)).join('')
  return pretty(value)
}

function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? ''
}

export function never(value: never): never {
  throw new Error(`A case is missing: ${JSON.stringify(value)}`)
}
