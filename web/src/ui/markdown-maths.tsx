// Markdown with LaTeX; KaTeX and its fonts come only with this chunk.
import 'katex/dist/katex.min.css'
import rehypeKatex from 'rehype-katex'
import remarkGfm from 'remark-gfm'
import remarkMath from 'remark-math'
import type { MarkdownText } from './markdown.tsx'
import { Rendered } from './markdown-renderer.tsx'

const KATEX = { output: 'html', maxSize: 40 } as const // a hostile \rule may be 40 em, and not the page

export default function Maths({ text, attachments }: MarkdownText) {
  return <Rendered text={dollars(text)} attachments={attachments} remark={[remarkGfm, remarkMath]} rehype={[[rehypeKatex, KATEX]]} />
}

/** Models also write \( … \) and \[ … \]. */
function dollars(text: string): string {
  return text
    .replace(/\\\[([\s\S]+?)\\\]/g, (_, maths: string) => `\n$$\n${maths.trim()}\n$$\n`)
    .replace(/\\\(([\s\S]+?)\\\)/g, (_, maths: string) => `$${maths.trim()}$`)
}
