// Markdown of models, people and kernels: no raw HTML, no picture from elsewhere; maths only where there is some.
import { lazy, memo, Suspense } from 'react'

const Renderer = lazy(() => import('./markdown-renderer.tsx'))
const WithMaths = lazy(() => import('./markdown-maths.tsx'))

const MATHS = /\$\$|\\\(|\\\[|\$[^\s$][^$\n]*[^\s$]\$(?!\d)/

export const Markdown = memo(function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  const Shown = MATHS.test(text) ? WithMaths : Renderer
  return (
    <div className={`prose ${live ? 'live' : ''}`}>
      <Suspense fallback={<p className="whitespace-pre-wrap">{text}</p>}>
        <Shown text={text} />
      </Suspense>
    </div>
  )
})
