// A server that asks for its token: the browser gets a cookie for it, and the address loses it again.
import { useState } from 'react'
import { words } from '../core/words.ts'
import { Button } from './button.tsx'

export function TokenGate() {
  const [token, setToken] = useState('')
  return (
    <main className="mx-auto flex h-full max-w-sm flex-col justify-center px-4 pb-[20vh]">
      <h1 className="text-lg font-semibold">{words.gate.title}</h1>
      <p className="mt-1 mb-4 text-sm text-ink-2">{words.gate.about}</p>
      <form
        className="flex gap-2"
        onSubmit={(event) => {
          event.preventDefault()
          location.assign(`${location.pathname}?token=${encodeURIComponent(token.trim())}`)
        }}
      >
        <input
          autoFocus
          aria-label={words.gate.token}
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          className="mono h-8 min-w-0 flex-1 rounded-md border border-line-strong bg-surface px-2"
        />
        <Button look="accent" type="submit" disabled={token.trim() === ''}>
          {words.gate.open}
        </Button>
      </form>
    </main>
  )
}
