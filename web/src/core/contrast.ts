// Text on a colour that code has chosen: the same in both themes, as a terminal has it, and always to be read.
import { readable, type Style } from './text.ts'

type Rgb = readonly [number, number, number]

const BLACK: Rgb = [27, 27, 26]
const WHITE: Rgb = [255, 255, 255]
const NAMED: Readonly<Record<string, Rgb>> = {
  black: BLACK,
  red: [179, 38, 30],
  green: [47, 112, 66],
  yellow: [138, 97, 0],
  blue: [34, 82, 181],
  magenta: [138, 58, 168],
  cyan: [15, 108, 120],
  white: [222, 222, 219],
  'bright-black': [103, 103, 100],
  'bright-red': [255, 154, 143],
  'bright-green': [147, 201, 161],
  'bright-yellow': [227, 192, 111],
  'bright-blue': [151, 182, 255],
  'bright-magenta': [208, 160, 232],
  'bright-cyan': [127, 208, 218],
  'bright-white': [246, 246, 244],
}
const ENOUGH = 4.5
const STEPS = [0, 0.25, 0.5, 0.75, 1] as const

/** The colour of a text and of what it stands on; null where that is the page's own. */
export function colours({ color, background, inverse }: Style): { readonly text: string | null; readonly ground: string | null } {
  if (!inverse) return background === null ? { text: color === null ? null : readable(color), ground: null } : pair(color, background)
  if (color === null && background === null) return { text: 'var(--surface)', ground: 'var(--ink)' }
  return pair(background, color ?? named('white'))
}

const named = (name: string): string => `var(--ansi-${name})`

/** The text as it was chosen, or as much lighter or darker as it takes. */
function pair(text: string | null, ground: string): { readonly text: string; readonly ground: string } {
  const below = rgb(ground)
  const far = contrast(WHITE, below) > contrast(BLACK, below) ? WHITE : ([0, 0, 0] as const)
  const wished = text === null ? far : rgb(text)
  const tried = STEPS.map((step): Rgb => mixed(wished, far, step))
  return { text: css(tried.find((one) => contrast(one, below) >= ENOUGH) ?? far), ground: css(below) }
}

function rgb(color: string): Rgb {
  const name = /^var\(--ansi-(.+)\)$/.exec(color)?.[1]
  if (name !== undefined) return NAMED[name] ?? WHITE
  const [red = 0, green = 0, blue = 0] = (color.match(/\d+/g) ?? []).map(Number)
  return [red, green, blue]
}

const css = ([red, green, blue]: Rgb): string => `rgb(${red} ${green} ${blue})`

function mixed(from: Rgb, to: Rgb, share: number): Rgb {
  const part = (at: 0 | 1 | 2): number => Math.round(from[at] + (to[at] - from[at]) * share)
  return [part(0), part(1), part(2)]
}

/** As WCAG has it: from 1 to 21. */
function contrast(one: Rgb, other: Rgb): number {
  const [less, more] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number]
  return (more + 0.05) / (less + 0.05)
}

function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
}

function linear(byte: number): number {
  const part = byte / 255
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
}
