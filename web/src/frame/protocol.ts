// What the page and the frame of untrusted outputs say to each other. Whatever comes out of the frame is hostile.
import type { MimeBundle } from '../wire/types.ts'

export type Scheme = 'light' | 'dark'
export type Picture = 'png' | 'svg'

export type ToFrame =
  | { readonly type: 'render'; readonly bundles: readonly MimeBundle[]; readonly scheme: Scheme; readonly large: boolean }
  /** A person wants the figure as a file. */
  | { readonly type: 'save'; readonly format: Picture }

export type FromFrame =
  | { readonly type: 'ready' }
  | { readonly type: 'height'; readonly height: number }
  /** `data`: SVG as text, or PNG in base64. */
  | { readonly type: 'saved'; readonly format: Picture; readonly data: string }

const TALLEST = 4000
const LARGEST = 32 << 20

/** A message of the frame, or null when it is none. A height is a finite number of pixels in bounds, a file is bounded. */
export function fromFrame(data: unknown): FromFrame | null {
  if (typeof data !== 'object' || data === null) return null
  const { type, height, format, data: file } = data as Readonly<Record<string, unknown>>
  if (type === 'ready') return { type }
  if (type === 'saved') {
    if (typeof file !== 'string' || file.length > LARGEST) return null
    if (format === 'svg' || (format === 'png' && /^[A-Za-z0-9+/]+={0,2}$/.test(file))) return { type, format, data: file }
    return null
  }
  if (type !== 'height' || typeof height !== 'number' || !Number.isFinite(height)) return null
  return { type, height: Math.min(TALLEST, Math.max(0, Math.ceil(height))) }
}
