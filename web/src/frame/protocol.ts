// What the page and the frame of untrusted outputs say to each other. Whatever comes out of the frame is hostile.
import type { MimeBundle } from '../wire/types.ts'

export type Scheme = 'light' | 'dark'

export interface ToFrame {
  readonly bundles: readonly MimeBundle[]
  readonly scheme: Scheme
}

export type FromFrame = { readonly type: 'ready' } | { readonly type: 'height'; readonly height: number }

const TALLEST = 4000

/** A message of the frame, or null when it is none. A height is a finite number of pixels in bounds. */
export function fromFrame(data: unknown): FromFrame | null {
  if (typeof data !== 'object' || data === null) return null
  const { type, height } = data as { type?: unknown; height?: unknown }
  if (type === 'ready') return { type }
  if (type !== 'height' || typeof height !== 'number' || !Number.isFinite(height)) return null
  return { type, height: Math.min(TALLEST, Math.max(0, Math.ceil(height))) }
}
