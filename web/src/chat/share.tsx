// Links to read-only copies of this conversation: made, copied, revoked.
import { Check, Copy, X } from 'lucide-react'
import { useCallback, useEffect, useRef, useState } from 'react'
import { moment } from '../core/format.ts'
import { words } from '../core/words.ts'
import { Banner } from '../ui/banner.tsx'
import { Button, IconButton } from '../ui/button.tsx'
import { copyText } from '../ui/copy.ts'
import { Dialog } from '../ui/dialog.tsx'
import { announce } from '../ui/live.tsx'
import * as api from '../wire/client.ts'
import type { NewShare, Share } from '../wire/types.ts'

const say = words.share
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/

export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const { links, made, busy, problem, make, revoke } = useLinks(id)
  const maker = useRef<HTMLButtonElement>(null)
  return (
    <Dialog label={say.title} onClose={onClose} high>
      <div className="flex flex-col gap-4 p-5" data-sharing>
        <div className="flex items-start gap-2">
          <h2 className="flex-1 text-base font-semibold">{say.title}</h2>
          <IconButton label={say.close} onClick={onClose} className="-mt-1 -mr-2">
            <X size={16} />
          </IconButton>
        </div>
        <p className="text-sm text-ink-2">{say.about}</p>
        {problem !== null && (
          <Banner bad>
            {problem.message} <span className="text-ink-2">{problem.hint}</span>
          </Banner>
        )}
        {made !== null && <Address share={made} />}
        <Button ref={maker} look="accent" onClick={make} aria-disabled={busy} data-begin className="self-start">
          {busy ? say.making : say.make}
        </Button>
        <Links
          links={links}
          onRevoke={(share) => {
            maker.current?.focus() // the row, and its button, will be gone
            revoke(share)
          }}
        />
      </div>
    </Dialog>
  )
}

function Address({ share }: { share: NewShare }) {
  const [copied, setCopied] = useState(false)
  const url = location.origin + share.path
  const copy = (): void => {
    void copyText(url).then(() => {
      setCopied(true)
      announce(say.copied)
    })
  }
  return (
    <div className="flex flex-col gap-1">
      <p className="text-xs text-ink-3">{say.made}</p>
      <div className="flex items-center gap-1">
        <input readOnly aria-label={say.address} value={url} autoFocus onFocus={(event) => event.target.select()} className="mono h-8 min-w-0 flex-1 rounded-md border border-line-strong bg-well px-2" />
        <IconButton label={copied ? say.copied : say.copy} onClick={copy}>
          {copied ? <Check size={16} /> : <Copy size={16} />}
        </IconButton>
      </div>
      {LOOPBACK.test(location.hostname) && <p className="text-xs text-ink-3">{say.here}</p>}
    </div>
  )
}

function Links({ links, onRevoke }: { links: readonly Share[] | null; onRevoke: (share: Share) => void }) {
  if (links === null) return null
  if (links.length === 0) return <p className="text-sm text-ink-3">{say.none}</p>
  return (
    <div>
      <h3 className="text-sm font-medium text-ink-2">{say.links}</h3>
      <ul className="mt-1 max-h-60 overflow-y-auto">
        {links.map((share) => {
          const when = moment(share.created, new Date())
          return (
            <li key={share.id} className="flex items-center gap-2 border-b border-line py-1 text-sm last:border-0">
              <span className="min-w-0 flex-1 truncate tabular-nums">{say.madeAt(when)}</span>
              <Button look="outline" className="h-7 px-2" onClick={() => onRevoke(share)} aria-label={say.revokeOne(when)}>
                {say.revoke}
              </Button>
            </li>
          )
        })}
      </ul>
    </div>
  )
}

interface LinksOf {
  readonly links: readonly Share[] | null
  readonly made: NewShare | null
  readonly busy: boolean
  readonly problem: api.ApiError | null
  readonly make: () => void
  readonly revoke: (share: Share) => void
}

function useLinks(id: string): LinksOf {
  const [links, setLinks] = useState<readonly Share[] | null>(null)
  const [made, setMade] = useState<NewShare | null>(null)
  const [busy, setBusy] = useState(false)
  const [problem, setProblem] = useState<api.ApiError | null>(null)
  const attempts = useRef(0)
  const attempt = useCallback(
    async (action: () => Promise<unknown>): Promise<void> => {
      setProblem(null)
      try {
        await action()
        const own = ++attempts.current
        const found = await api.listShares(id)
        if (own === attempts.current) setLinks(found) // else another list is on its way, which knows more
      } catch (error) {
        setProblem(error instanceof api.ApiError ? error : api.unreachable())
      }
    },
    [id],
  )
  useEffect(() => void attempt(() => Promise.resolve()), [attempt])
  const make = (): void => {
    if (busy) return
    setBusy(true)
    void attempt(async () => setMade(await api.shareConversation(id))).finally(() => setBusy(false))
  }
  const revoke = (share: Share): void =>
    void attempt(async () => {
      await api.revokeShare(id, share.id)
      if (made?.id === share.id) setMade(null)
      announce(say.revoked)
    })
  return { links, made, busy, problem, make, revoke }
}
