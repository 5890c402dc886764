// react-markdown with the page's own pre, table and links; loaded when the first answer comes.
import { Children, isValidElement, useState, type ComponentProps, type ReactNode } from 'react'
import Markdown, { defaultUrlTransform, type Components, type Options, type UrlTransform } from 'react-markdown'
import { pictureOf } from '../core/attachments.ts'
import { words } from '../core/words.ts'
import { copyText } from './copy.ts'
import type { MarkdownText } from './markdown.tsx'
import remarkGfm from 'remark-gfm'

export default function Renderer(props: MarkdownText) {
  return <Rendered {...props} remark={[remarkGfm]} rehype={[]} />
}

export function Rendered({
  text,
  attachments,
  remark,
  rehype,
}: MarkdownText & {
  remark: Options['remarkPlugins']
  rehype: Options['rehypePlugins']
}) {
  const address: UrlTransform = (url, key) => (key === 'src' ? pictureOf(attachments, url) : defaultUrlTransform(url))
  return (
    <Markdown remarkPlugins={remark ?? []} rehypePlugins={rehype ?? []} components={COMPONENTS} urlTransform={address}>
      {text}
    </Markdown>
  )
}

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer">
      {children}
    </a>
  ),
  img: ({ src, alt }) => (src ? <img src={src} alt={alt || words.figure.image} className="max-w-full" /> : <span className="text-ink-3">{alt || 'image'}</span>),
  pre: ({ children }) => <Code>{children}</Code>,
  table: ({ children }) => (
    <div className="table" tabIndex={0} role="group" aria-label={words.outputs.table}>
      <table>{children}</table>
    </div>
  ),
  th: ({ children, style }) => <Field as="th" style={style} text={children} />,
  td: ({ children, style }) => <Field as="td" style={style} text={children} />,
}

const NUMBER = /^[\s$€£¥+\-−–(]*\d[\d\s.,' ]*[%)€£¥]?\s*[a-zA-Z]{0,3}$/

/** Numbers align right, also where the author forgot to say so. */
function Field({ as: Tag, text, style }: { as: 'th' | 'td'; text: ReactNode; style?: ComponentProps<'td'>['style'] }) {
  const number = style?.textAlign === 'right' || (!style?.textAlign && NUMBER.test(plain(text)))
  return <Tag className={number ? 'number' : undefined}>{text}</Tag>
}

function plain(node: ReactNode): string {
  return Children.toArray(node)
    .map((child) => (isValidElement<{ children?: ReactNode }>(child) ? plain(child.props.children) : String(child)))
    .join('')
}

function Code({ children }: { children: ReactNode }) {
  const [copied, setCopied] = useState(false)
  const copy = (): void => {
    void copyText(plain(children)).then(() => setCopied(true))
  }
  return (
    <div className="group relative">
      <pre tabIndex={0}>{children}</pre>
      <button
        type="button"
        onClick={copy}
        className="absolute top-1.5 right-1.5 rounded bg-surface px-2 py-0.5 text-xs text-ink-2 opacity-0 group-hover:opacity-100 hover:text-ink focus-visible:opacity-100"
      >
        {copied ? words.common.copied : words.common.copy}
      </button>
    </div>
  )
}
