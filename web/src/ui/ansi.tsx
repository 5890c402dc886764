// Printed text with its colours. Long text is drawn in part until a person asks for all.
import { memo, useMemo, useState, type CSSProperties } from 'react'
import { fold, readable, spans, type Style } from '../core/text.ts'

const HEAD = 20_000
const TAIL = 10_000

export const Ansi = memo(function Ansi({ text, className = '' }: { text: string; className?: string }) {
  const [all, setAll] = useState(false)
  const cut = !all && text.length > 2 * (HEAD + TAIL)
  return (
    <pre className={`mono overflow-x-auto whitespace-pre ${className}`} tabIndex={cut ? 0 : undefined}>
      <Colours text={cut ? lineEnd(text.slice(0, HEAD)) : text} />
      {cut && (
        <button type="button" onClick={() => setAll(true)} className="my-2 block rounded px-2 text-xs text-accent hover:underline">
          Show all {text.length.toLocaleString('en')} characters
        </button>
      )}
      {cut && <Colours text={text.slice(-TAIL)} />}
    </pre>
  )
})

function lineEnd(text: string): string {
  const at = text.lastIndexOf('\n')
  return at > 0 ? text.slice(0, at) : text
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
  return {
    color: (inverse ? (background ?? 'var(--surface)') : onColour(color, background)) ?? undefined,
    backgroundColor: (inverse ? (color ?? 'var(--ink)') : background) ?? undefined,
    fontWeight: bold ? 600 : undefined,
    opacity: dim ? 0.7 : undefined,
    fontStyle: italic ? 'italic' : undefined,
    textDecoration: [underline && 'underline', strike && 'line-through'].filter(Boolean).join(' ') || undefined,
  }
}

/** White on a colour is meant to be white, whatever white text on the page is. */
function onColour(color: string | null, background: string | null): string | null {
  if (color === null) return null
  if (background === null) return readable(color)
  return color.endsWith('white)') ? '#fff' : color
}
