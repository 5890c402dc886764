import { describe, expect, it } from 'vitest'
import { adopt, edit, empty, isUndone, recoverable, transition, view, type Session } from './notebook.ts'
import { branchOf, redoable, rowsOf, told, wayTo } from './states.ts'
import type { Cell, KeptState, SessionEvent } from '../wire/types.ts'

function cell(id: string, execution: string | null, undone = false): Cell {
  const metadata = undone ? { cellblock: { undone: true } } : {}
  return { id, type: 'code', source: `\n${id} = 1\nmore`, outputs: [], execution_count: 1, status: 'ok', execution_id: execution, metadata }
}

function state(execution: string | null, undone = false): KeptState {
  return { execution_id: execution, cell_id: execution && `c${execution}`, created: '2026-01-01T00:00:00Z', bytes: 7, undone }
}

function session(...cells: Cell[]): Session {
  return adopt(empty('k'), { kernel_id: 'k', revision: 1, title: null, environment: 'python3', cells, metadata: {} })
}

function event(name: string, cellId: string | null, execution: string | null, content: object): SessionEvent {
  return { event: name, seq: 1, time: '', kernel_id: 'k', execution_id: execution, cell_id: cellId, content } as unknown as SessionEvent
}

function end(kernelState: string, status: string, notice: string | null): SessionEvent {
  const content = { status, kernel_state: kernelState, notice, outputs: [], execution_count: 2, files: [], timing: null, truncated: false, spill: null, limit: null }
  return event('execution_end', 'c2', '2', content)
}

describe('a kernel that has gone with its states', () => {
  it('is told with what went with it, and all that stands is offered to be run again', () => {
    const gone = { kernel: { state: 'released', queue: 0 }, notice: 'The kernel is gone because it was idle: its variables are lost.' }
    const asleep = transition(session(cell('c1', '1'), cell('c2', '2', true), cell('c3', '3')), event('kernel_state', null, null, gone))
    expect(asleep).toMatchObject({ phase: 'released', restored: false, noticeCell: null })
    expect(asleep.notice).toBe('The kernel is gone because it was idle: its variables are lost. The states to go back to are gone too.')
    expect(recoverable(asleep.cells).map((one) => one.id)).toEqual(['c1', 'c3'])
    expect(recoverable(asleep.cells, 'c3').map((one) => one.id)).toEqual(['c1'])
  })
})

it('a copy of a cell says whether it is undone', () => {
  expect([cell('c1', null), cell('c1', null, true)].map(isUndone)).toEqual([false, true])
})

describe('a branch of a state', () => {
  const counted = (id: string, count: number, undone = false): Cell => ({ ...cell(`c${id}`, id, undone), execution_count: count })
  it('begins behind the run before it, as they were counted and not as they stand', () => {
    const cells = [counted('3', 3), counted('1', 1), counted('2', 2)].map(view)
    const states = [state('1'), state('2'), state('3'), state('gone')]
    expect(states.map((_, at) => branchOf(states, at, cells))).toEqual([undefined, '1', '2', undefined])
    expect(branchOf(states, 9, cells)).toBeUndefined()
  })
  it('leads to the end where that is undone, and is where the kernel stands where it is not', () => {
    const cells = [counted('1', 1), counted('2', 2, true), counted('3', 3, true)].map(view)
    const states = [state('2', true), state('3', true), state(null, true)]
    expect(states.map((_, at) => branchOf(states, at, cells))).toEqual(['1', '2', '3'])
    expect(branchOf([state(null)], 0, cells)).toBeNull()
  })
  it('knows nothing of what was undone before something else ran', () => {
    const cells = [counted('1', 1), counted('2', 2, true), counted('3', 3), counted('4', 4)].map(view)
    expect(branchOf([state('3')], 0, cells)).toBe('1')
  })
})

describe('the timeline', () => {
  const states = [state('1'), state('2', true), state(null, true)]
  const cells = [cell('c1', '1'), cell('c2', '2', true)].map(view)

  it('shows where the kernel stands between what stands and what is undone', () => {
    const rows = rowsOf(states, cells)
    expect(rows.map((row) => (row.kind === 'now' ? 'now' : row.last ? 'last' : row.cell))).toEqual([1, 'now', 2, 'last'])
    expect(rows[0]).toMatchObject({ line: 'c1 = 1', bytes: 7, undone: false })
  })

  it('names no cell for one that has run again since', () => {
    expect(rowsOf([state('1')], [view(cell('c1', 'other'))])[0]).toMatchObject({ cell: null, line: '' })
  })

  it('leads back at once and forth step by step', () => {
    expect(wayTo(states, 0)).toEqual({ kind: 'undo', to: '1' })
    expect(wayTo(states, 1)).toEqual({ kind: 'redo', times: 1 })
    expect(wayTo(states, 2)).toEqual({ kind: 'redo', times: 2 })
    expect(wayTo(states, 3)).toBeNull()
  })

  it('offers a redo at the first undone cell, while there is a state to go to', () => {
    expect(redoable(states, cells)).toBe('c2')
    expect(redoable([state('1')], cells)).toBeNull()
  })
})

describe('what is told', () => {
  const went = { kernel: {} as never, undone: ['1', '2'], redone: [], restored: [], not_restored: [], notice: null }

  it('counts cells, and says which files are not as they were', () => {
    expect(told(went)).toBe('2 cells are undone.')
    expect(told({ ...went, undone: [], redone: ['1'] })).toBe('One cell stands again.')
    expect(told({ ...went, notice: 'These files could not be put back: a.' })).toMatch(/undone\. These files/)
  })
})

describe('a kernel that came back', () => {
  const running: Cell = { ...cell('c2', '2'), status: 'running' }
  const notice = 'The kernel is back in an earlier state.'

  it('is told in a sentence, and its cell is undone', () => {
    const after = transition(session(cell('c1', '1'), running), end('restored', 'out_of_memory', notice))
    expect(after.notice).toBe('The cell ran out of memory; everything before it is still there.')
    expect(after.restored).toBe(true)
    expect(after.cells.map((one) => one.undone)).toEqual([false, true])
  })

  it('does not claim that everything is there when more was undone', () => {
    const marked = event('cell_edited', 'c1', null, { cell: cell('c1', '1', true), revision: 2 })
    const after = [marked, end('restored', 'out_of_memory', notice)].reduce(transition, session(cell('c1', '1'), running))
    expect(after.notice).toBe(notice)
    expect(after.cells[0]!.undone).toBe(true)
  })

  it('is not told of as a loss, and the other way round', () => {
    const lost = transition(session(running), end('lost', 'kernel_died', 'gone'))
    expect([lost.notice, lost.restored]).toEqual(['gone', false])
    const failed = transition(session(running), end('restored', 'error', 'It failed, and has been undone.'))
    expect([failed.notice, failed.restored]).toEqual(['It failed, and has been undone.', true])
  })
})

describe('marks', () => {
  it('come and go with events, and let variables be asked for again', () => {
    const before = session(cell('c1', '1'))
    const undone = transition(before, event('cell_edited', 'c1', null, { cell: cell('c1', '1', true), revision: 2 }))
    expect([undone.cells[0]!.undone, undone.ended]).toEqual([true, before.ended + 1])
    const again = transition(undone, event('cell_edited', 'c1', null, { cell: cell('c1', '1'), revision: 3 }))
    expect([again.cells[0]!.undone, again.ended]).toEqual([false, before.ended + 2])
  })

  it('go when the cell runs again', () => {
    const start = event('execution_start', 'c1', '9', { status: 'running', code: 'x' })
    expect(transition(session(cell('c1', '1', true)), start).cells[0]!.undone).toBe(false)
  })

  it('put a notice of earlier away when a person has gone elsewhere', () => {
    const lost = transition(session(cell('c2', '2')), end('lost', 'kernel_died', 'gone'))
    expect(edit(lost, { kind: 'travelled', notice: null })).toMatchObject({ notice: null, restored: false })
  })
})
