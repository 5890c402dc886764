// Where a question is written; files and the model are chosen here too.
import { ArrowUp, ChevronDown, Paperclip, Square } from 'lucide-react'
import { useEffect, useLayoutEffect, useRef, type KeyboardEvent } from 'react'
import { IconButton } from '../ui/button.tsx'
import { Menu, MenuChoices, MenuLabel } from '../ui/menu.tsx'
import { hasKeys } from '../ui/pointer.ts'
import type { Model } from '../wire/types.ts'
import { isText, nameOf } from '../core/paste.ts'
import { words } from '../core/words.ts'
import { Chip } from './upload-chip.tsx'
import type { Uploads } from './uploads.ts'

export interface ModelChoice {
  readonly models: readonly Model[]
  readonly chosen: Model | null
  readonly choose: (id: string) => void
  /** The chosen one, also while it is not known yet which there are: then it is waited for. */
  readonly idOfChosen: () => Promise<string | null>
}

export function Composer({
  text,
  onText,
  onSend,
  onStop,
  answering,
  uploads,
  model,
  autoFocus = false,
}: {
  text: string
  onText: (text: string) => void
  onSend: () => void
  onStop: () => void
  answering: boolean
  uploads: Uploads
  model: ModelChoice
  autoFocus?: boolean
}) {
  const area = useRef<HTMLTextAreaElement>(null)
  const picker = useRef<HTMLInputElement>(null)
  const sending = uploads.list.some((one) => one.state === 'sending')
  const ready = text.trim() !== '' && !sending && !answering

  useLayoutEffect(() => {
    const box = area.current
    if (!box) return
    box.style.height = 'auto'
    box.style.height = `${Math.min(box.scrollHeight, 200)}px`
  }, [text])

  // What had the focus may be gone when an answer begins or ends: the Stop button, an answer that is made again.
  useEffect(() => {
    if (document.activeElement === document.body && hasKeys()) area.current?.focus()
  }, [answering])

  const remove = (key: number): void => {
    uploads.cancel(key)
    if (hasKeys()) area.current?.focus() // the button that had it is gone
  }

  const onKey = (event: KeyboardEvent): void => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    if (ready) onSend()
  }

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (ready) onSend()
      }}
      className="rounded-xl border border-line-strong bg-surface focus-within:border-accent"
    >
      {uploads.list.length > 0 && (
        <ul className="flex flex-wrap gap-2 px-3 pt-3" aria-label={words.composer.attachedFiles}>
          {uploads.list.map((one) => (
            <Chip key={one.key} upload={one} onRemove={() => remove(one.key)} />
          ))}
        </ul>
      )}
      <textarea
        ref={area}
        value={text}
        rows={1}
        autoFocus={autoFocus}
        aria-label={words.composer.yourQuestion}
        placeholder={words.composer.hint}
        onChange={(event) => onText(event.target.value)}
        onKeyDown={onKey}
        onPaste={(event) => {
          const files = [...event.clipboardData.files]
          if (files.length === 0 || isText(event.clipboardData.types)) return
          event.preventDefault()
          uploads.add(files.map((file) => new File([file], nameOf(file.name, new Date()), { type: file.type })))
        }}
        className="block w-full resize-none bg-transparent px-4 pt-3 pb-1 outline-none placeholder:text-ink-3"
      />
      <div className="flex items-center gap-1 px-2 pb-2">
        <IconButton label={words.composer.attachFiles} onClick={() => picker.current?.click()}>
          <Paperclip size={16} />
        </IconButton>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          data-testid="file-input"
          onChange={(event) => {
            uploads.add([...(event.target.files ?? [])])
            event.target.value = ''
          }}
        />
        <ModelPicker model={model} />
        <div className="ml-auto">
          {answering ? (
            <IconButton key="stop" label={words.composer.stop} onClick={onStop} className="bg-ink text-surface hover:bg-ink hover:text-surface hover:opacity-85">
              <Square size={12} fill="currentColor" />
            </IconButton>
          ) : (
            <IconButton
              key="send"
              label={words.common.send}
              type="submit"
              disabled={!ready}
              className="bg-accent text-accent-ink hover:bg-accent hover:text-accent-ink hover:opacity-90 disabled:bg-hover disabled:text-ink-3 disabled:opacity-100 disabled:hover:bg-hover"
            >
              <ArrowUp size={16} />
            </IconButton>
          )}
        </div>
      </div>
    </form>
  )
}

function ModelPicker({ model }: { model: ModelChoice }) {
  if (model.chosen === null) return null
  const ready = model.models.filter((one) => one.available)
  const groups = [...new Set([...ready, ...model.models].map((one) => one.provider))] // those with a key come first
  return (
    <Menu
      align="start"
      trigger={
        <button type="button" aria-label={words.composer.model(model.chosen.label)} className="flex h-8 min-w-0 items-center gap-1 rounded-md px-2 text-sm text-ink-2 hover:bg-hover hover:text-ink">
          <span className="truncate">{model.chosen.label}</span> <ChevronDown size={14} className="shrink-0" />
        </button>
      }
    >
      {groups.map((provider) => (
        <div key={provider}>
          <MenuLabel>{provider}</MenuLabel>
          <MenuChoices
            value={model.chosen?.id ?? ''}
            onChange={model.choose}
            choices={model.models
              .filter((one) => one.provider === provider)
              .map((one) => ({
                value: one.id,
                disabled: !one.available,
                label: (
                  <>
                    {one.label}
                    {one.reason && <span className="block text-xs text-ink-3">{one.reason}</span>}
                  </>
                ),
              }))}
          />
        </div>
      ))}
    </Menu>
  )
}

export function isBuiltIn(model: Model): boolean {
  return model.provider.toLowerCase().replace('-', ' ') === 'built in'
}

/** What the built-in analyst is, said where it is used. */
export function ModelNote({ model }: { model: ModelChoice }) {
  if (model.chosen === null || !isBuiltIn(model.chosen)) return null
  return (
    <p className="px-1 pt-2 text-xs text-ink-3">
      {words.composer.analyst}
    </p>
  )
}
