// Printed text with its colours. Long text is drawn in part until a person asks for all; while it grows, less of it: it is
// drawn again with every frame.
import { memo, useMemo, useState, type CSSProperties } from 'react'
import { words } from '../core/words.ts'
import { colours } from '../core/contrast.ts'
import { fold, spans, type Style } from '../core/text.ts'

interface Part {
  readonly head: number
  readonly tail: number
}

const AT_REST: Part = { head: 20_000, tail: 10_000 }
const GROWING: Part = { head: 2_000, tail: 6_000 }

export const Ansi = memo(function Ansi({ text, className = '', live = false }: { text: string; className?: string; live?: boolean }) {
  const [all, setAll] = useState(false)
  const { head, tail } = live ? GROWING : AT_REST
  const cut = !all && text.length > 2 * (head + tail)
  return (
    <pre className={`mono overflow-x-auto whitespace-pre ${className}`} tabIndex={cut ? 0 : undefined}>
      <Colours text={cut ? lineEnd(text.slice(0, head)) : text} />
      {cut && live && <span className="my-2 block text-xs text-ink-3">{words.outputs.middleLater}</span>}
      {cut && !live && (
        <button type="button" onClick={() => setAll(true)} className="my-2 block rounded px-2 text-xs text-accent hover:underline">
          {words.outputs.showAll} {text.length.toLocaleString('en')} {words.outputs.characters}
        </button>
      )}
      {cut && <Colours text={lineStart(text.slice(-tail))} />}
    </pre>
  )
})

function lineEnd(text: string): string {
  const at = text.lastIndexOf('\n')
  return at > 0 ? text.slice(0, at) : text
}

function lineStart(text: string): string {
  return text.slice(text.indexOf('\n') + 1)
}

function Colours({ text }: { text: string }) {
  const found = useMemo(() => spans(fold(text)), [text])
  return found.map((span, at) => {
    const css = styleOf(span.style)
    return css === undefined ? (
      span.text
    ) : (
      <span key={at} style={css}>
        {span.text}
      </span>
    )
  })
}

function styleOf(style: Style): CSSProperties | undefined {
  const { color, background, bold, dim, italic, underline, strike, inverse } = style
  if (!color && !background && !bold && !dim && !italic && !underline && !strike && !inverse) return undefined
  const { text, ground } = colours(style)
  return {
    color: text ?? undefined,
    backgroundColor: ground ?? undefined,
    fontWeight: bold ? 600 : undefined,
    opacity: dim ? 0.7 : undefined,
    fontStyle: italic ? 'italic' : undefined,
    textDecoration: [underline && 'underline', strike && 'line-through'].filter(Boolean).join(' ') || undefined,
  }
}
