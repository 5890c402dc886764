// The shapes of the native API that the page uses (the contract is docs/http.md). Types only: core may import them.

export type Status =
  | 'queued'
  | 'running'
  | 'ok'
  | 'error'
  | 'timeout'
  | 'interrupted'
  | 'out_of_memory'
  | 'disk_full'
  | 'kernel_died'
  | 'protocol_error'
  | 'cancelled'
  | 'refused'

export type KernelPhase = 'starting' | 'idle' | 'busy' | 'released'
export type KernelState = 'kept' | 'restored' | 'lost' | 'released'
export type CellType = 'code' | 'markdown'

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

export interface Cell {
  readonly id: string
  readonly type: CellType
  readonly source: string
  readonly outputs: readonly Output[]
  readonly execution_count: number | null
  readonly status: Status | null
  readonly execution_id: string | null
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface Notebook {
  readonly kernel_id: string
  readonly revision: number
  readonly title: string | null
  readonly environment: string
  readonly cells: readonly Cell[]
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface Kernel {
  readonly id: string
  readonly title: string | null
  readonly environment: string
  readonly state: KernelPhase
  readonly sandbox: 'full' | 'unprivileged' | 'off' | 'remote'
  readonly queue: number
  readonly execution_count: number | null
  readonly created: string
  readonly last_used: string
  readonly memory_bytes: number | null
}

export interface FileChange {
  readonly path: string
  readonly size: number | null
  readonly change: 'created' | 'modified' | 'deleted'
}

export interface Result {
  readonly id: string
  readonly kernel_id: string | null
  readonly cell_id: string | null
  readonly status: Status
  readonly kernel_state: KernelState
  readonly execution_count: number | null
  readonly outputs: readonly Output[]
  readonly error: { readonly ename: string; readonly evalue: string; readonly traceback: readonly string[] } | null
  readonly truncated: boolean
  readonly spill: string | null
  readonly files: readonly FileChange[]
  readonly timing: { readonly queued_ms: number; readonly run_ms: number; readonly total_ms: number } | null
  readonly limit: { readonly name: string; readonly value: number } | null
  readonly notice: string | null
}

export interface SessionEvent {
  readonly seq: number
  readonly event: string
  readonly execution_id: string | null
  readonly kernel_id: string | null
  readonly cell_id: string | null
  readonly time: string
  readonly content: Readonly<Record<string, unknown>>
}

export interface FileEntry {
  readonly path: string
  readonly type: string
  readonly size: number | null
  readonly modified: string
}

export interface ConversationItem {
  readonly id: string
  readonly title: string | null
  readonly updated: string
  readonly running: boolean
}

export interface Model {
  readonly id: string
  readonly label: string
  readonly provider: string
  readonly available: boolean
  readonly reason: string | null
  readonly vision: boolean
  readonly default: boolean
}

export interface ApiProblem {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly fields: readonly { readonly path: string; readonly message: string }[]
}
