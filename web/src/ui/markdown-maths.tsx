// Markdown with LaTeX; KaTeX and its fonts come only with this chunk.
import 'katex/dist/katex.min.css'
import rehypeKatex from 'rehype-katex'
import remarkGfm from 'remark-gfm'
import remarkMath from 'remark-math'
import type { MarkdownText } from './markdown.tsx'
import { Rendered } from './markdown-renderer.tsx'

const KATEX = { output: 'html', maxSize: 40 } as const // a hostile \rule may be 40 em, and not the page

export default function Maths({ text, attachments }: MarkdownText) {
  return <Rendered text={dollars(text)} attachments={attachments} remark={[remarkGfm, remarkMath, ownLine]} rehype={[[rehypeKatex, KATEX]]} />
}

interface Node {
  readonly type: string
  readonly children?: readonly Node[]
  readonly position?: { readonly start: { readonly offset?: number } }
  data?: object
}

/** `$$ … $$` that is all of a paragraph stands for itself also where it is written in one line, as in Jupyter. */
function ownLine() {
  return (tree: Node, file: { toString(): string }): void => {
    const walk = (node: Node): void => {
      const [only, ...more] = node.children ?? []
      const alone = node.type === 'paragraph' && more.length === 0 && only?.type === 'inlineMath'
      if (!alone) node.children?.forEach(walk)
      else if (String(file).startsWith('$$', only.position?.start.offset)) {
        only.data = { ...only.data, hProperties: { className: ['language-math', 'math-display'] } }
      }
    }
    walk(tree)
  }
}

/** Models also write \( … \) and \[ … \]. */
function dollars(text: string): string {
  return text
    .replace(/\\\[([\s\S]+?)\\\]/g, (_, maths: string) => `\n$$\n${maths.trim()}\n$$\n`)
    .replace(/\\\(([\s\S]+?)\\\)/g, (_, maths: string) => `$${maths.trim()}$`)
}
