// Markdown of models, people and kernels: no raw HTML, no picture from elsewhere; maths only where there is some.
import { memo } from 'react'
import { part } from './part.ts'

const useRenderer = part(() => import('./markdown-renderer.tsx'))
const useMaths = part(() => import('./markdown-maths.tsx'))

const MATHS = /\$\$|\\\(|\\\[|\$[^\s$][^$\n]*[^\s$]\$(?!\d)/

export const Markdown = memo(function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  return (
    <div className={`prose ${live ? 'live' : ''}`}>{MATHS.test(text) ? <WithMaths text={text} /> : <Plain text={text} />}</div>
  )
})

function Plain({ text }: { text: string }) {
  const Renderer = useRenderer()
  return Renderer ? <Renderer text={text} /> : <p className="whitespace-pre-wrap">{text}</p>
}

function WithMaths({ text }: { text: string }) {
  const Renderer = useMaths()
  return Renderer ? <Renderer text={text} /> : <Plain text={text} />
}
