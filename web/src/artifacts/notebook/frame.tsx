// The window to untrusted output: a frame without an origin, spoken to by messages only.
import { useEffect, useRef, useState } from 'react'
import { fromFrame, type ToFrame } from '../../frame/protocol.ts'
import { useScheme } from '../../ui/theme.ts'
import type { MimeBundle } from '../../wire/types.ts'

export function Frame({ bundles, label }: { bundles: readonly MimeBundle[]; label: string }) {
  const ref = useRef<HTMLIFrameElement>(null)
  const [ready, setReady] = useState(false)
  const [height, setHeight] = useState(() => guess(bundles))
  const scheme = useScheme()

  useEffect(() => {
    const listen = (event: MessageEvent): void => {
      if (event.source === null || event.source !== ref.current?.contentWindow) return
      const message = fromFrame(event.data)
      if (message?.type === 'ready') setReady(true)
      if (message?.type === 'height') setHeight(message.height)
    }
    addEventListener('message', listen)
    return () => removeEventListener('message', listen)
  }, [])

  useEffect(() => {
    if (!ready) return
    const message: ToFrame = { bundles, scheme }
    // The frame has no origin that could be named.
    ref.current?.contentWindow?.postMessage(message, '*')
  }, [ready, bundles, scheme])

  return (
    <iframe
      ref={ref}
      title={label}
      src="/frame.html"
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      className="block w-full border-0"
      style={{ height }}
    />
  )
}

/** A height until the frame has told its own, so that the page jumps little. */
function guess(bundles: readonly MimeBundle[]): number {
  const lines = bundles.map((bundle) => String(bundle['text/plain'] ?? '').split('\n').length)
  return Math.min(420, 16 + 28 * lines.reduce((sum, count) => sum + count, 0))
}
