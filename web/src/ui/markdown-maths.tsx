// Markdown with LaTeX; KaTeX and its fonts come only with this chunk.
import 'katex/dist/katex.min.css'
import rehypeKatex from 'rehype-katex'
import remarkGfm from 'remark-gfm'
import remarkMath from 'remark-math'
import { Rendered } from './markdown-renderer.tsx'

export default function Maths({ text }: { text: string }) {
  return <Rendered text={dollars(text)} remark={[remarkGfm, remarkMath]} rehype={[[rehypeKatex, { output: 'html' }]]} />
}

/** Models also write \( … \) and \[ … \]. */
function dollars(text: string): string {
  return text
    .replace(/\\\[([\s\S]+?)\\\]/g, (_, maths: string) => `\n$$\n${maths.trim()}\n$$\n`)
    .replace(/\\\(([\s\S]+?)\\\)/g, (_, maths: string) => `$${maths.trim()}$`)
}
