// The whole page takes files.
import { words } from '../core/words.ts'
import { useLayoutEffect, useRef, useState } from 'react'

export function DropTarget({ onFiles, limit }: { onFiles: (files: File[]) => void; limit: string }) {
  const [over, setOver] = useState(false)
  const latest = useRef(onFiles)
  latest.current = onFiles
  // A page that can be seen takes them.
  useLayoutEffect(() => {
    let depth = 0
    const carries = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false
    const enter = (event: DragEvent): void => {
      if (!carries(event)) return
      depth += 1
      setOver(true)
    }
    const leave = (event: DragEvent): void => {
      if (carries(event) && --depth <= 0) setOver(false)
    }
    const hover = (event: DragEvent): void => {
      if (carries(event)) event.preventDefault()
    }
    const drop = (event: DragEvent): void => {
      if (!carries(event)) return
      event.preventDefault()
      depth = 0
      setOver(false)
      latest.current([...(event.dataTransfer?.files ?? [])])
    }
    const events = { dragenter: enter, dragleave: leave, dragover: hover, drop }
    for (const [name, listen] of Object.entries(events)) addEventListener(name as 'drop', listen)
    return () => {
      for (const [name, listen] of Object.entries(events)) removeEventListener(name as 'drop', listen)
    }
  }, [])
  if (!over) return null
  // It lies over the frames of outputs, too: a file that is dropped into one never comes here.
  return (
    <div className="fixed inset-0 z-50 p-2">
      <p className="grid h-full place-content-center rounded-xl border-2 border-accent bg-page/90 text-center">
        <span className="block text-lg font-semibold">{words.page.dropTheFilesHere}</span>
        <span className="text-sm text-ink-2">{limit}</span>
      </p>
    </div>
  )
}
