// Figures as people read them.
import { words } from './words.ts'


/** Bytes with at most one decimal, in binary units: 1.5 MiB. */
export function bytes(count: number | null): string {
  if (count === null) return ''
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = count
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : trimZero(value.toFixed(1))} ${units[unit]}`
}

/** Milliseconds as a duration: 12 ms, 1.4 s, 2 min 5 s. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** US dollars, with as many places as small sums need: $0.0042, $1.25. */
export function dollars(amount: number): string {
  if (amount === 0) return '$0'
  if (amount < 0.0001) return words.format.lessThan
  return `$${amount.toFixed(amount < 0.1 ? 4 : 2)}`
}

/** Large counts in short: 950, 12.3k, 1.2M. */
export function short(count: number): string {
  if (count < 1000) return String(count)
  const [value, unit] = count < 999_950 ? [count / 1000, 'k'] : [count / 1_000_000, 'M']
  return `${trimZero(value.toFixed(1))}${unit}`
}

/** When something was, seen from now: a time of day today, a date before. */
export function moment(iso: string, now: Date): string {
  const then = new Date(iso)
  if (Number.isNaN(then.getTime())) return ''
  const pad = (value: number): string => String(value).padStart(2, '0')
  const clock = `${pad(then.getHours())}:${pad(then.getMinutes())}`
  if (then.toDateString() === now.toDateString()) return clock
  const day = `${then.getDate()} ${words.format.months[then.getMonth()]}`
  return then.getFullYear() === now.getFullYear() ? day : `${day} ${then.getFullYear()}`
}

/** How many characters follow each figure of a column, so that the points of all of them stand in one line. */
export function spacesAfter(figures: readonly (string | null | undefined)[]): readonly number[] {
  const behind = figures.map((figure) => (/^[-+]?[\d,]*\.\d+$/.test(figure ?? '') ? figure!.length - figure!.indexOf('.') : 0))
  const most = Math.max(0, ...behind)
  return behind.map((count, at) => (/^[-+]?[\d,.]+$/.test(figures[at] ?? '') ? most - count : 0))
}

function trimZero(text: string): string {
  return text.endsWith('.0') ? text.slice(0, -2) : text
}
