// What a cell has put out, block by block; only text and pictures are drawn in the page itself.
import { FileText, X } from 'lucide-react'
import { memo, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { figureAlts } from '../../core/alt.ts'
import { blocks, isFigure, never, type Block, type Placed } from '../../core/outputs.ts'
import { bytes } from '../../core/format.ts'
import { traceParts, type TracePart } from '../../core/traceback.ts'
import { Ansi } from '../../ui/ansi.tsx'
import { IconButton } from '../../ui/button.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import type { Place } from '../../wire/client.ts'
import type { Output } from '../../wire/types.ts'
import { DrawnTools, Picture } from './figure.tsx'
import { Frame, type FrameHandle } from './frame.tsx'
import { WithAllRows } from './long-table.tsx'
import { words } from '../../core/words.ts'
import { JsonTree } from './json-tree.tsx'

export type OnFrame = (count: number, line: number) => void

export const Outputs = memo(function Outputs({
  outputs,
  run,
  live,
  onFrame = null,
  source = '',
  place = null,
  caption = null,
}: {
  outputs: readonly Output[]
  run: string
  live: boolean
  onFrame?: OnFrame | null
  /** The code that made them: it names the title and the axes of a figure. */
  source?: string
  /** The cell they stand in, whose kernel may be asked about them. */
  place?: Place | null
  /** What a model called the step that made them. */
  caption?: string | null
}) {
  const shown = useMemo(() => blocks(outputs), [outputs])
  const alts = useMemo(() => {
    const figures = shown.filter(isFigure)
    const texts = figureAlts(source, figures.length, caption)
    return new Map(figures.map((block, at) => [block, texts[at]!]))
  }, [source, shown, caption])
  return shown.map((block, at) => <BlockView key={`${run}:${at}:${block.kind}`} block={block} live={live} onFrame={onFrame} alt={alts.get(block) ?? ''} place={place} />)
})

interface BlockProps {
  readonly block: Placed
  readonly live: boolean
  readonly onFrame: OnFrame | null
  readonly alt: string
  readonly place: Place | null
}

function BlockView({ block, live, onFrame, alt, place }: BlockProps) {
  switch (block.kind) {
    case 'text':
      return <Printed block={block} live={live} />
    case 'error':
      return <Failure block={block} onFrame={onFrame} />
    case 'image':
      return <Picture block={block} alt={block.alt || alt} place={place} />
    case 'media':
      return <Media block={block} />
    case 'markdown':
      return <Markdown text={block.text} />
    case 'latex':
      return <Markdown text={maths(block.text)} />
    case 'json':
      return <JsonTree value={block.value} />
    case 'file':
      return <Attached block={block} />
    case 'frame':
      return <Framed block={block} alt={alt} place={place} />
    default:
      return never(block)
  }
}

function Printed({ block, live }: { block: Extract<Block, { kind: 'text' }>; live: boolean }) {
  return (
    <Scrolling live={live}>
      <Ansi live={live} text={block.text.replace(/\n$/, '')} className={block.name === 'stderr' ? 'border-l-2 border-line-strong pl-3 text-ink-2' : ''} />
    </Scrolling>
  )
}

/** Long text scrolls in its own box, and stays at the end while it grows. */
function Scrolling({ children, live }: { children: ReactNode; live: boolean }) {
  const box = useRef<HTMLDivElement>(null)
  const atEnd = useRef(true)
  useLayoutEffect(() => {
    if (live && atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight
  })
  const onScroll = (): void => {
    const at = box.current
    if (at) atEnd.current = at.scrollHeight - at.scrollTop - at.clientHeight < 24
  }
  return (
    <div ref={box} onScroll={onScroll} className="max-h-105 overflow-y-auto">
      {children}
    </div>
  )
}

const SHORT = 14

function Failure({ block, onFrame }: { block: Extract<Block, { kind: 'error' }>; onFrame: OnFrame | null }) {
  const lines = block.traceback.split('\n').length
  const parts = useMemo(() => traceParts(block.traceback), [block.traceback])
  return (
    <div className="rounded-md bg-bad-wash px-3 py-2" role="group" aria-label={`Error: ${block.ename}`}>
      <p className="mono break-words text-bad">
        <b className="font-semibold">{block.ename}</b>
        {block.evalue && `: ${block.evalue}`}
      </p>
      {block.traceback && (
        <details open={lines <= SHORT} className="mt-1">
          <summary className="w-fit text-xs text-ink-2 hover:text-ink">{words.outputs.traceback}</summary>
          <div className="mt-1">
            {parts.map((part, at) => (part.kind === 'frame' ? <FrameLink key={at} part={part} onFrame={onFrame} /> : <Ansi key={at} text={part.text} />))}
          </div>
        </details>
      )}
    </div>
  )
}

function FrameLink({ part, onFrame }: { part: Extract<TracePart, { kind: 'frame' }>; onFrame: OnFrame | null }) {
  if (onFrame === null) return <pre className="mono whitespace-pre-wrap">{part.text}</pre>
  return (
    <button
      type="button"
      onClick={() => onFrame(part.count, part.line)}
      className="mono block text-left text-accent underline decoration-1 underline-offset-2"
    >
      {part.text}
    </button>
  )
}

function Framed({ block, alt, place }: { block: Extract<Placed, { kind: 'frame' }>; alt: string; place: Place | null }) {
  const drawn = <Drawn block={block} alt={alt} />
  if (block.table === null || place === null) return drawn
  return (
    <WithAllRows table={block.table} at={block.at} place={place}>
      {drawn}
    </WithAllRows>
  )
}

/** A figure drawn by untrusted code: its frame, and what a person can do with it. */
function Drawn({ block, alt }: { block: Extract<Block, { kind: 'frame' }>; alt: string }) {
  const frame = useRef<FrameHandle>(null)
  const [large, setLarge] = useState(false)
  if (!block.figure) return <Frame bundles={block.bundles} label={words.outputs.closedFrame} />
  return (
    <figure className="group/figure relative">
      <Frame bundles={block.bundles} label={alt} handle={frame} />
      <DrawnTools onEnlarge={() => setLarge(true)} onSave={(format) => frame.current?.save(format)} />
      {large && (
        <Dialog label={alt} onClose={() => setLarge(false)} wide>
          <div className="flex justify-end px-2 pt-2 pb-1">
            <IconButton label={words.common.close} onClick={() => setLarge(false)}>
              <X size={16} />
            </IconButton>
          </div>
          <div className="w-[92vw] px-4 pb-4">
            <Frame bundles={block.bundles} label={alt} tall />
          </div>
        </Dialog>
      )}
    </figure>
  )
}

function Media({ block }: { block: Extract<Block, { kind: 'media' }> }) {
  const source = `data:${block.mime};base64,${block.data}`
  return block.mime.startsWith('audio/') ? (
    <audio src={source} controls className="w-full max-w-120" />
  ) : (
    <video src={source} controls className="max-w-full rounded" />
  )
}

/** A document that no frame may show: a card to download it by. */
function Attached({ block }: { block: Extract<Block, { kind: 'file' }> }) {
  const kind = block.mime.split('/')[1]
  return (
    <a
      href={`data:${block.mime};base64,${block.data}`}
      download={`output.${kind}`}
      className="flex w-fit items-center gap-3 rounded-lg border border-line px-4 py-3 text-sm hover:bg-hover"
    >
      <FileText size={20} className="text-ink-3" />
      <span>
        <span className="block font-medium">{kind?.toUpperCase()} {words.outputs.document}</span>
        <span className="block text-ink-3">{bytes(Math.floor((block.data.length * 3) / 4))}{words.outputs.documentDownload}</span>
      </span>
    </a>
  )
}

function maths(text: string): string {
  const bare = text.trim().replace(/^\$+|\$+$/g, '').replace(/^\\displaystyle\s*/, '')
  return `$$\n${bare}\n$$`
}
