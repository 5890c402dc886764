// Markdown of models, people and kernels: no raw HTML, no picture from elsewhere; maths only where there is some.
import { memo } from 'react'
import { part } from './part.ts'

const useRenderer = part(() => import('./markdown-renderer.tsx'))
const useMaths = part(() => import('./markdown-maths.tsx'))

const MATHS = /\$\$|\\\(|\\\[|\$[^\s$][^$\n]*[^\s$]\$(?!\d)/

export const Markdown = memo(function Markdown({ text, live = false, attachments }: MarkdownText & { live?: boolean }) {
  const Shown = MATHS.test(text) ? WithMaths : Plain
  return (
    <div className={`prose ${live ? 'live' : ''}`}>
      <Shown text={text} attachments={attachments} />
    </div>
  )
})

/** `attachments`: the pictures it brings along, as a notebook has them. */
export interface MarkdownText {
  readonly text: string
  readonly attachments?: unknown
}

function Plain(props: MarkdownText) {
  const Renderer = useRenderer()
  return Renderer ? <Renderer {...props} /> : <p className="whitespace-pre-wrap">{props.text}</p>
}

function WithMaths(props: MarkdownText) {
  const Renderer = useMaths()
  return Renderer ? <Renderer {...props} /> : <Plain {...props} />
}
