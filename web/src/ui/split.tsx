// Two panes with a line between them that can be moved; on a narrow page only one is there.
import { words } from '../core/words.ts'
import { useRef, useState, type KeyboardEvent, type PointerEvent, type ReactNode } from 'react'

const KEY = 'cellblock.split'
const LEAST = 24
const MOST = 70

export function Split({ left, right, second, full }: { left: ReactNode; right: ReactNode; second: boolean; full: boolean }) {
  const [share, setShare] = useState(stored)
  const box = useRef<HTMLDivElement>(null)

  const move = (next: number): void => {
    const bounded = Math.min(MOST, Math.max(LEAST, next))
    setShare(bounded)
    try {
      localStorage.setItem(KEY, String(bounded))
    } catch {
      // Storage is refused: the share lasts as long as the page.
    }
  }
  const drag = (event: PointerEvent<HTMLDivElement>): void => {
    if (!event.currentTarget.hasPointerCapture(event.pointerId) || !box.current) return
    const { left: start, width } = box.current.getBoundingClientRect()
    move(((event.clientX - start) / width) * 100)
  }
  const key = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowLeft') move(share - 2)
    if (event.key === 'ArrowRight') move(share + 2)
  }

  return (
    <div ref={box} className="flex min-h-0 flex-1" style={{ '--share': `${share}%` } as React.CSSProperties}>
      <div className={`min-h-0 min-w-0 flex-1 flex-col md:w-(--share) md:flex-none ${full ? 'md:hidden' : 'md:flex'} ${second ? 'hidden' : 'flex'}`}>{left}</div>
      <div
        role="separator"
        aria-orientation="vertical"
        aria-label={words.page.widthOfTheChat}
        aria-valuenow={Math.round(share)}
        aria-valuemin={LEAST}
        aria-valuemax={MOST}
        tabIndex={0}
        onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
        onPointerMove={drag}
        onKeyDown={key}
        className={`relative z-10 hidden w-px shrink-0 cursor-col-resize touch-none bg-line after:absolute after:inset-y-0 after:-left-1 after:w-2 hover:bg-line-strong focus-visible:bg-accent ${full ? '' : 'md:block'}`}
      />
      <div className={`min-h-0 min-w-0 flex-1 flex-col md:flex ${second ? 'flex' : 'hidden'}`}>{right}</div>
    </div>
  )
}

function stored(): number {
  try {
    const found = Number(localStorage.getItem(KEY))
    return found >= LEAST && found <= MOST ? found : 40
  } catch {
    return 40
  }
}
