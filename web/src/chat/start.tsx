// An empty page: what it is for, a place to ask, and a data set to try it with.
import { Table } from 'lucide-react'
import { useEffect, useState } from 'react'
import { SAMPLE_ABOUT, SAMPLE_NAME, SAMPLE_PROMPTS } from '../sample/sample.ts'
import { Button } from '../ui/button.tsx'
import { Composer, ModelNote, type ModelChoice } from './composer.tsx'
import { draftOf, keepDraft, START } from './draft.ts'
import { words } from '../core/words.ts'
import type { Uploads } from './uploads.ts'

export function Start({
  uploads,
  model,
  limit,
  starting,
  onAsk,
  onSample,
}: {
  uploads: Uploads
  model: ModelChoice
  limit: string
  /** A kernel is on its way for what was asked. */
  starting: boolean
  onAsk: (text: string) => void
  /** Takes the sample data set, and asks this about it. */
  onSample: (question: string | null) => void
}) {
  const [text, setText] = useState(() => draftOf(START))
  useEffect(() => keepDraft(START, text), [text])
  return (
    <div className="flex min-h-0 flex-1 flex-col overflow-y-auto">
      <div className="mx-auto flex w-full max-w-[640px] flex-1 flex-col justify-center px-4 py-10 pb-[14vh]">
        <h1 className="text-2xl font-semibold tracking-tight">{words.start.title}</h1>
        <p className="mt-2 mb-6 text-ink-2">
          {words.start.about}
        </p>
        <Composer
          text={text}
          onText={setText}
          onSend={() => onAsk(text.trim())}
          onStop={() => {}}
          answering={starting}
          uploads={uploads}
          model={model}
          autoFocus
        />
        {starting ? (
          <p role="status" className="px-1 pt-2 text-xs text-ink-3">
            {words.start.starting}
          </p>
        ) : (
          <ModelNote model={model} />
        )}
        <button
          type="button"
          onClick={() => onSample(null)}
          disabled={starting}
          className="mt-6 flex w-full items-center gap-3 rounded-lg border border-line px-4 py-3 text-left hover:bg-hover"
        >
          <Table size={18} className="shrink-0 text-ink-3" />
          <span className="min-w-0 flex-1">
            <span className="block text-sm font-medium">{words.start.tryIt} {SAMPLE_NAME}</span>
            <span className="block text-sm text-ink-3">{SAMPLE_ABOUT}</span>
          </span>
        </button>
        <div role="group" aria-label={words.start.sampleQuestions} className="mt-2 flex flex-col items-start gap-1">
          {SAMPLE_PROMPTS.map((question) => (
            <Button key={question} look="outline" onClick={() => onSample(question)} disabled={starting} className="h-auto min-h-8 py-1.5 text-left font-normal whitespace-normal!">
              {question}
            </Button>
          ))}
        </div>
        <p className="mt-4 text-xs text-ink-3">{limit}</p>
      </div>
    </div>
  )
}
