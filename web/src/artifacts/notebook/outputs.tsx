// What a cell has put out, block by block; only text and pictures are drawn in the page itself.
import { Download } from 'lucide-react'
import { memo, useLayoutEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { blocks, never, type Block } from '../../core/outputs.ts'
import { traceParts, type TracePart } from '../../core/traceback.ts'
import { Ansi } from '../../ui/ansi.tsx'
import { Dialog } from '../../ui/dialog.tsx'
import { Markdown } from '../../ui/markdown.tsx'
import type { Output } from '../../wire/types.ts'
import { Frame } from './frame.tsx'

export type OnFrame = (count: number, line: number) => void

export const Outputs = memo(function Outputs({
  outputs,
  run,
  live,
  onFrame = null,
}: {
  outputs: readonly Output[]
  run: string
  live: boolean
  onFrame?: OnFrame | null
}) {
  const shown = useMemo(() => blocks(outputs), [outputs])
  return shown.map((block, at) => <BlockView key={`${run}:${at}:${block.kind}`} block={block} live={live} onFrame={onFrame} />)
})

function BlockView({ block, live, onFrame }: { block: Block; live: boolean; onFrame: OnFrame | null }) {
  switch (block.kind) {
    case 'text':
      return <Printed block={block} live={live} />
    case 'error':
      return <Failure block={block} onFrame={onFrame} />
    case 'image':
      return <Picture block={block} />
    case 'markdown':
      return <Markdown text={block.text} />
    case 'latex':
      return <Markdown text={maths(block.text)} />
    case 'json':
      return <Scrolling live={false}><Ansi text={block.text} /></Scrolling>
    case 'file':
      return <Attached block={block} />
    case 'frame':
      return <Frame bundles={block.bundles} label="Output in a closed frame" />
    default:
      return never(block)
  }
}

function Printed({ block, live }: { block: Extract<Block, { kind: 'text' }>; live: boolean }) {
  return (
    <Scrolling live={live}>
      <Ansi text={block.text.replace(/\n$/, '')} className={block.name === 'stderr' ? 'border-l-2 border-line-strong pl-3 text-ink-2' : ''} />
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
          <summary className="w-fit text-xs text-ink-2 hover:text-ink">Traceback</summary>
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

function Picture({ block }: { block: Extract<Block, { kind: 'image' }> }) {
  const [zoomed, setZoomed] = useState(false)
  const source = `data:${block.mime};base64,${block.data}`
  const name = `figure.${block.mime.split('/')[1]}`
  return (
    <figure className="group/figure relative w-fit max-w-full">
      <button type="button" aria-label={`Enlarge: ${block.alt}`} onClick={() => setZoomed(true)} className="block cursor-zoom-in rounded">
        <img src={source} alt={block.alt} width={block.width ?? undefined} className="block max-w-full rounded" />
      </button>
      <a
        href={source}
        download={name}
        aria-label="Download the figure"
        title="Download the figure"
        className="absolute top-2 right-2 grid size-8 place-items-center rounded-md border border-line bg-surface text-ink-2 opacity-0 group-hover/figure:opacity-100 hover:text-ink focus-visible:opacity-100"
      >
        <Download size={16} />
      </a>
      {zoomed && (
        <Dialog label={block.alt} onClose={() => setZoomed(false)} wide>
          <button type="button" aria-label="Close" onClick={() => setZoomed(false)} className="block cursor-zoom-out">
            <img src={source} alt={block.alt} className="block max-h-[92dvh] max-w-[92vw] min-w-[min(60vw,900px)] object-contain" />
          </button>
        </Dialog>
      )}
    </figure>
  )
}

function Attached({ block }: { block: Extract<Block, { kind: 'file' }> }) {
  return (
    <a
      href={`data:${block.mime};base64,${block.data}`}
      download={`output.${block.mime.split('/')[1]}`}
      className="inline-flex items-center gap-2 rounded-md border border-line px-3 py-2 text-sm hover:bg-hover"
    >
      <Download size={16} /> A {block.mime.split('/')[1]?.toUpperCase()} document
    </a>
  )
}

function maths(text: string): string {
  const bare = text.trim().replace(/^\$+|\$+$/g, '').replace(/^\\displaystyle\s*/, '')
  return `$$\n${bare}\n$$`
}
