// Answers are followed to their end: over a connection that breaks, and when they are asked for in another window.
import type { useChat } from '@ai-sdk/react'
import type { UIMessage } from 'ai'
import { useCallback, useEffect, useRef, useState } from 'react'
import { followable, sameMessages, unfinished, type Message } from '../core/chat.ts'
import { ApiError, getConversation } from '../wire/client.ts'

type Chat = ReturnType<typeof useChat>

/** Milliseconds before the conversation is looked at again; the last one goes on. */
const PAUSES = [300, 1000, 2000, 4000, 8000]
/** Milliseconds in which the last words of an answer that has ended reach the page. */
const SETTLED = 100

/** Whether an answer is being written that is not followed yet. */
export function useFollowing(id: string, chat: Chat): boolean {
  const latest = useRef(chat)
  latest.current = chat
  const { error, status, messages } = chat

  /** Takes what the server has and this window has not, and follows the answer being written; false when nothing was reached. */
  const look = useCallback(
    async (again = true): Promise<boolean> => {
      const asked = latest.current.messages
      const found = await getConversation(id).catch(() => null)
      if (found === null) return false
      const { status, error, setMessages, clearError, resumeStream } = latest.current
      const ours = latest.current.messages as unknown as readonly Message[]
      if (status === 'submitted' || status === 'streaming') return true
      if (latest.current.messages !== asked) return look(again) // more was said meanwhile than the answer knows
      if (status === 'error' && !followable(ours, found.messages, found.running)) return true
      const same = sameMessages(ours, found.messages, found.running)
      if (!same) setMessages(found.messages as unknown as UIMessage[])
      if (!same || (error && isCut(error))) clearError()
      if (!found.running) return true
      await resumeStream()
      return again ? look(false) : true // it may have ended before it could be followed
    },
    [id],
  )

  useEffect(() => {
    const listen = (): void => {
      if (document.visibilityState !== 'hidden') void look()
    }
    addEventListener('focus', listen)
    document.addEventListener('visibilitychange', listen)
    return () => {
      removeEventListener('focus', listen)
      document.removeEventListener('visibilitychange', listen)
    }
  }, [look])

  const open = status === 'ready' && unfinished(messages as unknown as readonly Message[])
  const tries = useRef(0)
  const [failed, setFailed] = useState(0)
  useEffect(() => {
    if (status === 'streaming') tries.current = 0
    if (!open && !(error && isCut(error))) return
    const pause = open && tries.current === 0 ? SETTLED : PAUSES[Math.min(tries.current, PAUSES.length - 1)]
    const timer = setTimeout(() => {
      tries.current += 1
      void look().then((reached) => reached || setFailed((before) => before + 1))
    }, pause)
    return () => clearTimeout(timer)
  }, [open, error, status, failed, look])
  return open
}

export function isCut(error: Error): boolean {
  if (error instanceof ApiError) return error.status === 0
  return error instanceof TypeError || /network|fetch|load failed|terminated/i.test(error.message)
}
