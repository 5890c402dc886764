// The window to untrusted output: a frame without an origin, spoken to by messages only.
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState, type Ref } from 'react'
import { fromFrame, type Picture, type ToFrame } from '../../frame/protocol.ts'
import { saveAs } from './figure.tsx'
import { useScheme } from '../../ui/theme.ts'
import type { MimeBundle } from '../../wire/types.ts'

/** What a person can have of what is drawn in a frame. */
export interface FrameHandle {
  readonly save: (format: Picture) => void
}

export function Frame({
  bundles,
  label,
  tall = false,
  handle,
}: {
  bundles: readonly MimeBundle[]
  label: string
  /** As high as there is room, whatever the frame says, and what is drawn in it as large as fits. */
  tall?: boolean
  handle?: Ref<FrameHandle>
}) {
  const ref = useRef<HTMLIFrameElement>(null)
  // How often it has loaded: a frame that is moved in the page, as when its cell is, begins anew and is empty.
  const [loaded, setLoaded] = useState(0)
  const [height, setHeight] = useState(() => guess(bundles))
  const scheme = useScheme()
  // A frame may offer files whenever it likes; only what a person has asked for is taken, once.
  const wanted = useRef<Picture | null>(null)

  // Before the frame can load: it says once that it is ready.
  useLayoutEffect(() => {
    const listen = (event: MessageEvent): void => {
      if (event.source === null || event.source !== ref.current?.contentWindow) return
      const message = fromFrame(event.data)
      if (message?.type === 'ready') setLoaded((count) => count + 1)
      if (message?.type === 'height') setHeight(message.height)
      if (message?.type === 'saved' && wanted.current === message.format) {
        wanted.current = null
        download(message.format, message.data)
      }
    }
    addEventListener('message', listen)
    return () => removeEventListener('message', listen)
  }, [])

  useEffect(() => {
    if (loaded === 0) return
    const message: ToFrame = { type: 'render', bundles, scheme, large: tall }
    // The frame has no origin that could be named.
    ref.current?.contentWindow?.postMessage(message, '*')
  }, [loaded, bundles, scheme, tall])

  useImperativeHandle(handle, () => ({
    save: (format) => {
      wanted.current = format
      const message: ToFrame = { type: 'save', format }
      ref.current?.contentWindow?.postMessage(message, '*')
    },
  }))

  return (
    <iframe
      ref={ref}
      title={label}
      src="/frame.html"
      loading="lazy"
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      className="block w-full border-0"
      style={{ height: tall ? '82dvh' : height }}
    />
  )
}

function download(format: Picture, data: string): void {
  const png = (): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(data), (char) => char.charCodeAt(0))
  const file = format === 'png' ? new Blob([png()], { type: 'image/png' }) : new Blob([data], { type: 'image/svg+xml' })
  saveAs(file, `figure.${format}`)
}

/** A height until the frame has told its own, so that the page jumps little. */
function guess(bundles: readonly MimeBundle[]): number {
  const lines = bundles.map((bundle) => String(bundle['text/plain'] ?? '').split('\n').length)
  return Math.min(420, 16 + 28 * lines.reduce((sum, count) => sum + count, 0))
}
