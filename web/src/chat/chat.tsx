// A conversation: history from the server, the answer as it is written, and a composer that keeps a draft.
import { useChat } from '@ai-sdk/react'
import type { UIMessage } from 'ai'
import { useEffect, useMemo, useRef, useState } from 'react'
import { StickToBottom, useStickToBottomContext } from 'use-stick-to-bottom'
import { ArrowDown } from 'lucide-react'
import { fixesIn, type Fix } from '../core/asking.ts'
import { captionsIn, followUps, keyOf, pageOf, spentOn, textOf, turns, turnWith, writing, type Message, type ToolItem, type Turn } from '../core/chat.ts'
import { words } from '../core/words.ts'
import { dollars, short } from '../core/format.ts'
import { Button, IconButton } from '../ui/button.tsx'
import { announce } from '../ui/live.tsx'
import { markWords } from '../ui/mark.ts'
import { hasKeys } from '../ui/pointer.ts'
import { chatTransport } from '../wire/chat.ts'
import { ApiError, chooseAnswer, stopConversation } from '../wire/client.ts'
import { draftOf, keepDraft } from './draft.ts'
import { isCut, useFollowing } from './following.ts'
import { Composer, ModelNote, type ModelChoice } from './composer.tsx'
import { Problem, TurnView, type TurnActions } from './turns.tsx'
import type { Uploads } from './uploads.ts'

export interface ChatProps {
  readonly id: string
  readonly title: string | null
  readonly history: readonly Message[]
  /** A question asked elsewhere: before this conversation was there, or about a cell. It waits for its turn. */
  readonly wish: string | null
  readonly onAsked: () => void
  readonly onWriting: (item: ToolItem | null) => void
  /** What the model answered to wishes to fix cells. */
  readonly onFixes: (fixes: readonly Fix[]) => void
  /** What the model called the steps that made cells. */
  readonly onCaptions: (captions: ReadonlyMap<string, string>) => void
  readonly onChanged: () => void
  readonly cellNumber: (cellId: string) => number | null
  readonly cellUndone: (cellId: string) => boolean
  readonly showCell: (cellId: string) => void
  /** Another conversation goes on from this answer. */
  readonly onBranch: (answerId: string) => void
  readonly uploads: Uploads
  readonly model: ModelChoice
  readonly prompts: readonly string[]
  /** Words that a search has found in this conversation: where they stand is shown. */
  readonly find: Find | null
}

export interface Find {
  readonly words: string
}

export function Chat(props: ChatProps) {
  const { id, uploads, model } = props
  const { idOfChosen } = model
  const [text, setText] = useState(() => draftOf(id))
  const transport = useMemo(() => chatTransport(idOfChosen), [idOfChosen])
  const chat = useChat({
    id,
    transport,
    messages: props.history as unknown as UIMessage[],
    throttle: 50,
  })
  const open = useFollowing(id, chat)
  const answering = open || chat.status === 'submitted' || chat.status === 'streaming'
  const messages = chat.messages as unknown as readonly Message[]
  const shown = useMemo(() => turns(messages), [messages])

  // A question that never reached the server is not lost with the page.
  const unreached = chat.error && isCut(chat.error) && messages.at(-1)?.role === 'user' ? textOf(messages.at(-1)!) : ''
  useEffect(() => keepDraft(id, text || unreached), [id, text, unreached])
  useTelling(chat.status, props.onChanged)

  const draft = useMemo(() => writing(messages, answering), [messages, answering])
  const { onWriting } = props
  useEffect(() => onWriting(draft), [draft, onWriting])
  const { onFixes, onCaptions } = props
  useEffect(() => {
    if (answering) return
    onFixes(fixesIn(shown))
    onCaptions(captionsIn(shown))
  }, [answering, shown, onFixes, onCaptions])

  const send = (question: string): void => {
    const files = uploads.list.filter((one) => one.state === 'done').map((one) => one.name)
    uploads.clear()
    chat.clearError()
    void chat.sendMessage({ text: question, ...(files.length > 0 ? { metadata: { files } } : {}) })
  }
  const retry = (): void => {
    const question = messages.findLast((message) => message.role === 'user')
    if (!question) return
    edit(question.id, question.parts.map((part) => String(part['text'] ?? '')).join('\n'))
  }
  const edit = (id: string, said: string): void => {
    const { metadata } = messages.find((message) => message.id === id) ?? {}
    chat.clearError()
    void chat.sendMessage({ text: said, messageId: id, ...(metadata ? { metadata } : {}) })
  }
  const regenerate = (id: string): void => {
    chat.clearError()
    void chat.regenerate({ messageId: id })
  }
  const choose = (answer: string): void => {
    chat.clearError()
    chooseAnswer(id, answer).then(
      ({ messages: now }) => {
        chat.setMessages(now as unknown as UIMessage[])
        const page = turns(now).map(pageOf).find((one, at) => one !== null && turns(now)[at]!.id === answer)
        if (page) announce(words.answers.told(page.at, page.of))
      },
      (error: unknown) => announce(error instanceof ApiError ? error.message : String(error)),
    )
  }
  const stop = (): void => {
    void stopConversation(id).catch(() => chat.stop())
  }

  const { wish, onAsked } = props
  const asked = useRef<string | null>(null)
  const arriving = uploads.list.some((one) => one.state === 'sending')
  useEffect(() => {
    if (wish === null) asked.current = null
    if (wish === null || asked.current === wish || answering || arriving) return // it is asked about what arrives, too
    asked.current = wish
    onAsked()
    send(wish)
  })

  const { cellNumber, cellUndone, showCell, onBranch } = props
  const latest = useRef({ retry, edit, regenerate, choose })
  latest.current = { retry, edit, regenerate, choose }
  const actions: TurnActions = useMemo(
    () => ({
      cellNumber,
      cellUndone,
      showCell,
      retry: () => latest.current.retry(),
      edit: (turn, said) => latest.current.edit(turn, said),
      regenerate: (turn) => latest.current.regenerate(turn),
      choose: (answer) => latest.current.choose(answer),
      branch: onBranch,
    }),
    [cellNumber, cellUndone, showCell, onBranch],
  )
  const next = useMemo(() => (answering ? [] : followUps(shown, props.prompts)), [answering, shown, props.prompts])
  const found = useFound(props.find, props.title, shown)
  const lastTurn = shown.at(-1)
  const told = lastTurn?.role === 'assistant' && lastTurn.problem !== null

  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <StickToBottom className="relative min-h-0 flex-1 overflow-hidden" resize="instant" initial="instant">
        <StickToBottom.Content className="mx-auto flex max-w-[720px] flex-col gap-6 px-4 pt-6 pb-6 md:px-6" role="log" aria-label={words.chat.conversation} aria-live="off">
          {shown.map((turn, at) => (
            <TurnView key={keyOf(shown, at)} turn={turn} last={at === shown.length - 1} final={at >= shown.length - 2} idle={!answering} actions={actions} found={found?.at === at ? found.words : null} />
          ))}
          {wish !== null && arriving && <p role="status" className="text-sm text-ink-3">{words.chat.arriving}</p>}
          {chat.status === 'submitted' && <p className="text-sm text-ink-3">{words.chat.thinking}</p>}
          {chat.error && !told && (
            <Problem message={chat.error.message} hint={chat.error instanceof ApiError ? chat.error.hint : ''} onRetry={retry} />
          )}
          {shown.length === 0 && !answering && <Prompts title={words.chat.youCouldAsk} prompts={props.prompts} onChoose={send} />}
          {text === '' && <Prompts title={words.chat.askNext} prompts={next} onChoose={send} />}
        </StickToBottom.Content>
        <ShowFound found={found} />
        <ToEnd />
      </StickToBottom>
      <div className="mx-auto w-full max-w-[720px] shrink-0 px-3 pb-3 md:px-5 md:pb-5">
        <Composer
          text={text}
          onText={setText}
          onSend={() => {
            setText('')
            send(text.trim())
          }}
          onStop={stop}
          answering={answering}
          uploads={uploads}
          model={model}
          autoFocus={hasKeys()}
        />
        <ModelNote model={model} />
        <Spending messages={messages} />
      </div>
    </div>
  )
}

interface Found extends Find {
  readonly at: number
}

/** The turn a search has led to, as it was when the search was made. */
function useFound(find: Find | null, title: string | null, shown: readonly Turn[]): Found | null {
  const latest = useRef({ title, shown })
  latest.current = { title, shown }
  return useMemo(() => {
    const at = find === null ? null : turnWith(latest.current.shown, latest.current.title, find.words)
    return find === null || at === null ? null : { ...find, at }
  }, [find])
}

/** Scrolls to what was found, marks the words there, and gives it the focus. */
function ShowFound({ found }: { found: Found | null }) {
  const { stopScroll, contentRef } = useStickToBottomContext()
  useEffect(() => {
    const turn = contentRef.current?.querySelector<HTMLElement>('[data-found]')
    if (found === null || !turn) return
    stopScroll()
    turn.focus({ preventScroll: true })
    turn.scrollIntoView({ block: turn.offsetHeight > innerHeight / 2 ? 'start' : 'center' })
    announce(words.search.shown)
    return markWords(turn, found.words.split(/\s+/))
  }, [found, stopScroll, contentRef])
  return null
}

/** What the conversation has taken so far, where a provider counts. */
function Spending({ messages }: { messages: readonly Message[] }) {
  const spent = useMemo(() => spentOn(messages), [messages])
  if (spent === null) return null
  return (
    <p className="px-1 pt-2 text-xs text-ink-3 tabular-nums" data-spent>
      {words.chat.spent(short(spent.tokens), spent.cost === null ? null : dollars(spent.cost))}
    </p>
  )
}

function Prompts({ title, prompts, onChoose }: { title: string; prompts: readonly string[]; onChoose: (prompt: string) => void }) {
  if (prompts.length === 0) return null
  return (
    <div role="group" aria-label={title} className="flex flex-col items-start gap-1 pt-2">
      <p className="pb-1 text-sm text-ink-3">{title}</p>
      {prompts.map((prompt) => (
        <Button key={prompt} look="outline" onClick={() => onChoose(prompt)} className="h-auto min-h-8 py-1.5 text-left font-normal whitespace-normal!">
          {prompt}
        </Button>
      ))}
    </div>
  )
}

function ToEnd() {
  const { isAtBottom, scrollToBottom } = useStickToBottomContext()
  if (isAtBottom) return null
  return (
    <IconButton
      label={words.chat.toTheEnd}
      onClick={() => void scrollToBottom()}
      className="absolute bottom-3 left-1/2 -translate-x-1/2 border border-line bg-surface shadow-sm"
    >
      <ArrowDown size={16} />
    </IconButton>
  )
}

function useTelling(status: string, onChanged: () => void): void {
  const before = useRef(status)
  useEffect(() => {
    if (before.current === status) return
    const wasActive = before.current === 'submitted' || before.current === 'streaming'
    before.current = status
    if (status === 'ready' && wasActive) announce(words.chat.finished)
    if (status === 'error') announce(words.chat.failed)
    onChanged()
  }, [status, onChanged])
}
