// The shapes of the native API that the page uses, by the names of openapi.json. Types only: core may import them.
import type { Message } from '../core/chat.ts'
import type { components } from './api.ts'

type Schemas = components['schemas']

/** As it came, and so it stays: state is replaced, never changed. */
type Frozen<T> = T extends (infer Item)[]
  ? readonly Frozen<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Frozen<T[Key]> }
    : T

/** What OpenAPI calls any object is an nbformat output. */
type WithOutputs<T> = Omit<Frozen<T>, 'outputs'> & { readonly outputs: readonly Output[] }

export type Status = Schemas['Result']['status']
export type KernelPhase = Schemas['KernelView']['state']
export type CellType = Schemas['Cell']['type']

export type Cell = WithOutputs<Schemas['Cell']>
export type CellChange = Frozen<Schemas['Changes']['changes'][number]>
export type Notebook = Omit<Frozen<Schemas['NotebookView']>, 'cells'> & { readonly cells: readonly Cell[] }
export type Result = WithOutputs<Schemas['Result']>
export type Kernel = Frozen<Schemas['KernelView']>
export type SessionEvent = Frozen<Schemas['Event']>
/** A state of a kernel that is kept, and what going to one has changed. */
export type KeptState = Frozen<Schemas['StateView']>
export type Travelled = Frozen<Schemas['TravelView']>
export type Variable = Frozen<Schemas['Variable']>
export type TableView = Frozen<Schemas['TableView']>
export type VariableView = TableView | Frozen<Schemas['TextView']>
export type FileEntry = Frozen<Schemas['FileEntry']>
export type Share = Frozen<Schemas['Share']>
export type NewShare = Frozen<Schemas['NewShare']>
/** What a link shows. */
export type SharedCopy = Omit<Frozen<Schemas['SharedView']>, 'cells' | 'messages'> & {
  readonly cells: readonly Cell[]
  readonly messages: readonly Message[]
}
export type ConversationItem = Frozen<Schemas['ListedItem']>
export type NewBranch = Frozen<Schemas['ConversationBranch']>
export type Model = Frozen<Schemas['ModelView']>
export type ApiProblem = Frozen<Schemas['ErrorBody']>

/** Text of nbformat: one string, or its lines. */
export type Multiline = string | readonly string[]
export type MimeBundle = Readonly<Record<string, unknown>>

export type Output =
  | { readonly output_type: 'stream'; readonly name: 'stdout' | 'stderr'; readonly text: Multiline }
  | {
      readonly output_type: 'display_data'
      readonly data: MimeBundle
      readonly metadata?: MimeBundle
      readonly transient?: { readonly display_id?: string }
    }
  | {
      readonly output_type: 'execute_result'
      readonly data: MimeBundle
      readonly metadata?: MimeBundle
      readonly execution_count?: number | null
      readonly transient?: { readonly display_id?: string }
    }
  | {
      readonly output_type: 'error'
      readonly ename: string
      readonly evalue: string
      readonly traceback: readonly string[]
    }
