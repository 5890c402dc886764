// What a terminal would show: carriage returns, backspaces and colours of printed text, as data.
import type { Multiline } from '../wire/types.ts'

export interface Style {
  readonly color: string | null
  readonly background: string | null
  readonly bold: boolean
  readonly dim: boolean
  readonly italic: boolean
  readonly underline: boolean
  readonly strike: boolean
  readonly inverse: boolean
}

export interface Span {
  readonly text: string
  readonly style: Style
}

export const PLAIN: Style = {
  color: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  strike: false,
  inverse: false,
}

export function joined(text: Multiline | undefined | null): string {
  if (text == null) return ''
  return typeof text === 'string' ? text : text.join('')
}

// oxlint-disable-next-line no-control-regex
const MOVES = /\r(?!\n)|\x08|\x1b\[\d*[ABCDGK]/

const OPEN = 4096

/**
 * Appends a chunk to printed text. What `\r`, `\b` and cursor moves overwrote is gone from lines that are finished, so a
 * progress bar stays one line; the last line is kept as it was printed, since the cursor may still stand within it.
 */
export function append(text: string, chunk: string): string {
  if (!MOVES.test(chunk) && !MOVES.test(text.slice(text.lastIndexOf('\n') + 1))) return text + chunk
  const start = lineStart(text, countUp(chunk))
  const region = text.slice(start) + chunk
  // oxlint-disable-next-line no-control-regex
  if (/\x1b\[\d*[AB]/.test(region)) return text.slice(0, start) + fold(region)
  const finished = region.lastIndexOf('\n') + 1
  const open = region.slice(finished)
  return text.slice(0, start) + fold(region.slice(0, finished)) + (open.length > OPEN ? fold(open) : open)
}

function countUp(chunk: string): number {
  let rows = 0
  // oxlint-disable-next-line no-control-regex
  for (const move of chunk.matchAll(/\x1b\[(\d*)A/g)) rows += Number(move[1] || 1)
  return rows
}

function lineStart(text: string, rows: number): number {
  let at = text.length
  for (let row = 0; row <= rows && at >= 0; row++) at = text.lastIndexOf('\n', at - 1)
  return Math.max(at + 1, 0)
}

// oxlint-disable-next-line no-control-regex
const TOKEN = /\x1b\[([\d;:?]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\r\n|[\r\n\x08]|[^\x1b\r\n\x08]+/g

/** A row of a small terminal: one visible character a column, with the colour codes that stand before it. */
interface Row {
  chars: string[]
  codes: string[]
}

/** Text as a terminal with endless width would hold it. Colour codes are kept where they stand. */
export function fold(text: string): string {
  if (!MOVES.test(text)) return text
  const screen = new Screen()
  const tail = text.endsWith('\r') ? '\r' : ''
  const body = tail ? text.slice(0, -1) : text
  for (const token of body.matchAll(TOKEN)) screen.take(token[0], token[1] ?? '', token[2] ?? '')
  return screen.text() + tail
}

class Screen {
  #rows: Row[] = [{ chars: [], codes: [] }]
  #y = 0
  #x = 0
  #codes = ''

  take(token: string, parameters: string, final: string): void {
    if (token === '\n' || token === '\r\n') this.#down()
    else if (token === '\r') this.#x = 0
    else if (token === '\b') this.#x = Math.max(0, this.#x - 1)
    else if (final === 'm') this.#codes += token
    else if (final) this.#move(Number(parameters || 0), final)
    else if (!token.startsWith('\x1b')) for (const char of token) this.#put(char)
  }

  text(): string {
    return this.#rows.map(rowText).join('\n') + this.#codes
  }

  #down(): void {
    this.#y += 1
    this.#x = 0
    if (this.#y === this.#rows.length) this.#rows.push({ chars: [], codes: [] })
  }

  #row(): Row {
    return this.#rows[this.#y]!
  }

  #put(char: string): void {
    const row = this.#row()
    while (row.chars.length < this.#x) {
      row.chars.push(' ')
      row.codes.push('')
    }
    row.chars[this.#x] = char
    row.codes[this.#x] = this.#codes
    this.#codes = ''
    this.#x += 1
  }

  #move(count: number, final: string): void {
    const n = Math.min(count || 1, 4096)
    if (final === 'A') this.#y = Math.max(0, this.#y - n)
    else if (final === 'B') for (let i = 0; i < n && this.#y < this.#rows.length - 1; i++) this.#y += 1
    else if (final === 'C') this.#x += n
    else if (final === 'D') this.#x = Math.max(0, this.#x - n)
    else if (final === 'G') this.#x = n - 1
    else if (final === 'K') this.#erase(count)
  }

  #erase(mode: number): void {
    const row = this.#row()
    if (mode === 0) {
      row.chars.length = Math.min(row.chars.length, this.#x)
      row.codes.length = row.chars.length
    } else {
      row.chars = []
      row.codes = []
    }
  }
}

function rowText(row: Row): string {
  return row.chars.map((char, at) => (row.codes[at] ?? '') + (char ?? ' ')).join('')
}

/** Spans of one look each; every escape that is not a colour is dropped. */
export function spans(text: string): Span[] {
  const found: Span[] = []
  let style = PLAIN
  // oxlint-disable-next-line no-control-regex
  for (const token of text.matchAll(/\x1b\[([\d;:]*)m|\x1b\[[\d;:?]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b.?|[^\x1b]+/g)) {
    if (token[1] !== undefined) style = restyle(style, token[1])
    else if (!token[0].startsWith('\x1b')) push(found, token[0], style)
  }
  return found
}

function push(found: Span[], text: string, style: Style): void {
  const last = found.at(-1)
  if (last && last.style === style) found[found.length - 1] = { text: last.text + text, style }
  else found.push({ text, style })
}

/** Text without any escape. */
export function bare(text: string): string {
  return spans(text)
    .map((span) => span.text)
    .join('')
}

/** A colour that code has chosen without knowing the page, as dark or as light as its theme needs it to be read. */
export function readable(color: string): string {
  if (!color.startsWith('rgb(')) return color
  return `light-dark(oklch(from ${color} min(l, 0.5) c h), oklch(from ${color} max(l, 0.75) c h))`
}

const NAMES = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'] as const

function named(index: number, bright: boolean): string {
  return `var(--ansi-${bright ? 'bright-' : ''}${NAMES[index] ?? 'white'})`
}

function restyle(style: Style, parameters: string): Style {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map(Number)
  let next = style
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at]!
    if (code === 38 || code === 48) {
      const [color, used] = extended(codes.slice(at + 1))
      at += used
      next = code === 38 ? { ...next, color } : { ...next, background: color }
    } else next = simple(next, code)
  }
  return next
}

function simple(style: Style, code: number): Style {
  if (code >= 30 && code <= 37) return { ...style, color: named(code - 30, false) }
  if (code >= 90 && code <= 97) return { ...style, color: named(code - 90, true) }
  if (code >= 40 && code <= 47) return { ...style, background: named(code - 40, false) }
  if (code >= 100 && code <= 107) return { ...style, background: named(code - 100, true) }
  return { ...style, ...ATTRIBUTES[code] }
}

const ATTRIBUTES: Readonly<Record<number, Partial<Style>>> = {
  0: PLAIN,
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { bold: false },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { color: null },
  49: { background: null },
}

function extended(codes: readonly number[]): [string | null, number] {
  if (codes[0] === 2 && codes.length >= 4) return [`rgb(${byte(codes[1])} ${byte(codes[2])} ${byte(codes[3])})`, 4]
  if (codes[0] === 5 && codes.length >= 2) return [indexed(byte(codes[1])), 2]
  return [null, codes.length]
}

function byte(value: number | undefined): number {
  return Math.min(255, Math.max(0, Math.trunc(value ?? 0) || 0))
}

function indexed(index: number): string {
  if (index < 16) return named(index % 8, index >= 8)
  if (index >= 232) return `rgb(${gray(index)} ${gray(index)} ${gray(index)})`
  const cube = index - 16
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`
}

const gray = (index: number): number => 8 + (index - 232) * 10
const level = (step: number): number => (step === 0 ? 0 : 55 + step * 40)
