// A picture among the outputs: enlarged, copied, downloaded.
import { Check, Copy, Download, Maximize2 } from 'lucide-react'
import { useState, type ReactNode } from 'react'
import type { Placed } from '../../core/outputs.ts'
import { words } from '../../core/words.ts'
import { announce } from '../../ui/live.tsx'
import { ApiError, outputSvg, type Place } from '../../wire/client.ts'
import { IconButton } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'

type ImageBlock = Extract<Placed, { kind: 'image' }>

export function Picture({ block, alt, place }: { block: ImageBlock; alt: string; place: Place | null }) {
  const [zoomed, setZoomed] = useState(false)
  const [gone, setGone] = useState(false)
  const drawn = block.plotted && block.svg === null && place !== null && !gone
  const source = `data:${block.mime};base64,${block.data}`
  return (
    <figure className="group/figure relative w-fit max-w-full">
      <button type="button" aria-label={words.figure.enlargeThis(alt)} onClick={() => setZoomed(true)} className="block cursor-zoom-in rounded">
        <img src={source} alt={alt} {...measures(block)} decoding="async" className="block h-auto max-w-full rounded" />
      </button>
      <FigureTools>
        {block.mime === 'image/png' && 'clipboard' in navigator && <CopyPicture data={block.data} />}
        <SaveLink href={source} name={`figure.${block.mime.split('/')[1]}`} label={words.figure.downloadAs(block.mime.split('/')[1]!.toUpperCase())} />
        {block.svg !== null && <SaveLink href={svgUrl(block.svg)} name="figure.svg" label={words.figure.asSvg} text="SVG" />}
        {drawn && <AskSvg place={place} at={block.at} onGone={() => setGone(true)} />}
      </FigureTools>
      {gone && (
        <figcaption role="status" className="pt-1 text-xs text-ink-3">
          {words.figure.gone}
        </figcaption>
      )}
      {zoomed && (
        <Dialog label={alt} onClose={() => setZoomed(false)} wide>
          <button type="button" aria-label={words.common.close} onClick={() => setZoomed(false)} className="block cursor-zoom-out">
            <img src={source} alt={alt} className="block max-h-[92dvh] max-w-[92vw] min-w-[min(60vw,900px)] object-contain" />
          </button>
        </Dialog>
      )}
    </figure>
  )
}

/** Its place is kept before it is decoded. */
function measures({ width, size }: ImageBlock): { width?: number; height?: number } {
  if (size === null) return width === null ? {} : { width }
  const shown = width ?? size.width
  return { width: shown, height: Math.round((shown * size.height) / size.width) }
}

/** Buttons at the corner of a figure: there for a pointer and for the keyboard. For a finger they stand below, and cover nothing. */
export function FigureTools({ children }: { children: ReactNode }) {
  return (
    <div className="absolute top-2 right-2 flex rounded-md border border-line bg-surface opacity-0 group-hover/figure:opacity-100 focus-within:opacity-100 pointer-coarse:static pointer-coarse:mt-1 pointer-coarse:w-fit pointer-coarse:opacity-100">
      {children}
    </div>
  )
}

function SaveLink({ href, name, label, text }: { href: string; name: string; label: string; text?: string }) {
  return (
    <a href={href} download={name} aria-label={label} title={label} className="inline-flex h-8 min-w-8 items-center justify-center gap-1 rounded-md px-2 text-xs text-ink-2 hover:bg-hover hover:text-ink">
      <Download size={14} /> {text}
    </a>
  )
}

/** The kernel is asked to draw the figure once more, as SVG: while it holds it. */
function AskSvg({ place, at, onGone }: { place: Place; at: number; onGone: () => void }) {
  const [busy, setBusy] = useState(false)
  const ask = (): void => {
    if (busy) return
    setBusy(true)
    outputSvg(place, at)
      .then(
        (file) => saveAs(file, 'figure.svg'),
        (error: unknown) => {
          if (error instanceof ApiError && error.status === 404) onGone()
          announce(error instanceof ApiError ? error.message : String(error))
        },
      )
      .finally(() => setBusy(false))
  }
  return (
    <button
      type="button"
      aria-label={words.figure.asSvg}
      title={words.figure.asSvg}
      aria-busy={busy}
      onClick={ask}
      className="inline-flex h-8 items-center gap-1 rounded-md px-2 text-xs text-ink-2 hover:bg-hover hover:text-ink aria-busy:opacity-40"
    >
      <Download size={14} /> SVG
    </button>
  )
}

/** A file of this page's own making is saved. */
export function saveAs(file: Blob, name: string): void {
  const href = URL.createObjectURL(file)
  Object.assign(document.createElement('a'), { href, download: name }).click()
  setTimeout(() => URL.revokeObjectURL(href), 10_000)
}

function svgUrl(text: string): string {
  return `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`
}

function CopyPicture({ data }: { data: string }) {
  const [copied, setCopied] = useState(false)
  const copy = (): void => {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0))
    const item = new ClipboardItem({ 'image/png': new Blob([bytes], { type: 'image/png' }) })
    void navigator.clipboard.write([item]).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 2000)
    })
  }
  return (
    <IconButton label={copied ? words.common.copied : words.figure.copy} onClick={copy}>
      {copied ? <Check size={14} /> : <Copy size={14} />}
    </IconButton>
  )
}

export type Saving = 'png' | 'svg'

/** For a figure that is drawn in a frame: its frame is asked for the file. */
export function DrawnTools({ onEnlarge, onSave }: { onEnlarge: () => void; onSave: (format: Saving) => void }) {
  return (
    <FigureTools>
      <IconButton label={words.figure.enlarge} onClick={onEnlarge}>
        <Maximize2 size={14} />
      </IconButton>
      {(['png', 'svg'] as const).map((format) => (
        <button
          key={format}
          type="button"
          aria-label={words.figure.downloadAs(format.toUpperCase())}
          onClick={() => onSave(format)}
          className="inline-flex h-8 items-center gap-1 rounded-md px-2 text-xs text-ink-2 hover:bg-hover hover:text-ink"
        >
          <Download size={14} /> {format.toUpperCase()}
        </button>
      ))}
    </FigureTools>
  )
}
