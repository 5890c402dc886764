// Pictures that a text brings along, as nbformat has them: `![…](attachment:name)`, and their data beside the source.
import { IMAGES } from './outputs.ts'
import { joined } from './text.ts'
import type { Multiline } from '../wire/types.ts'

const SCHEME = 'attachment:'
const INLINE = /^data:image\/(png|jpeg|gif|webp);base64,/i

/** Where a picture of a Markdown text is; null when it is neither in the text nor in what the text brings along. */
export function pictureOf(attachments: unknown, address: string): string | null {
  if (INLINE.test(address)) return address
  if (!address.startsWith(SCHEME)) return null
  const name = address.slice(SCHEME.length)
  return dataUrl(field(attachments, name) ?? field(attachments, decoded(name)))
}

function dataUrl(bundle: unknown): string | null {
  const mime = IMAGES.find((type) => field(bundle, type) !== undefined)
  return mime === undefined ? null : `data:${mime};base64,${joined(field(bundle, mime) as Multiline).replace(/\s+/g, '')}`
}

function field(of: unknown, name: string): unknown {
  return typeof of === 'object' && of !== null && Object.hasOwn(of, name) ? (of as Readonly<Record<string, unknown>>)[name] : undefined
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
