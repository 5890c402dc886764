// A code cell as the server tells it, which has not run: what the tests here begin with.
import type { Cell } from '../wire/types.ts'

export const rawCell = (id: string, source = id, more: Partial<Cell> = {}): Cell => ({
  id,
  type: 'code',
  source,
  outputs: [],
  execution_count: null,
  status: null,
  execution_id: null,
  metadata: {},
  ...more,
})
