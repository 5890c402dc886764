import { describe, expect, test } from 'vitest'
import { fixesIn, proposals, questionAbout, wishIn } from './asking.ts'
import type { Turn } from './chat.ts'
import { CELL_COMMANDS, keyName, matched, NOTEBOOK_COMMANDS } from './commands.ts'
import { diff } from './diff.ts'
import { changesOf, type Arrangement } from './ahead.ts'
import { adopt, edit, empty, outputsHidden, view, type CellView } from './notebook.ts'
import { fitting, inOrder, marked } from './palette.ts'
import { cellOfCount, traceParts } from './traceback.ts'
import { above, did, redo, standing, undo, UNTOUCHED, type Past, type Step } from './undo.ts'
import { rawCell as raw } from './raw-cell.ts'
import type { Cell } from '../wire/types.ts'

const cell = (id: string, more: Partial<Cell> = {}): CellView => view(raw(id, id, more))

describe('taking back', () => {
  const steps: Step[] = [
    { kind: 'added', cellId: 'a', type: 'code', source: '1', after: null },
    { kind: 'moved', cellId: 'a', from: null, to: 'b' },
    { kind: 'retyped', cellId: 'a', from: 'code', to: 'markdown' },
    { kind: 'deleted', cellId: 'a', type: 'code', source: '1', after: 'b' },
  ]
  const past = steps.reduce(did, UNTOUCHED)
  const all = (from: Past, way: typeof undo): [Past, unknown[]] => {
    const actions: unknown[] = []
    let now = from
    for (let next = way(now); next !== null; next = way(now)) {
      now = next[0]
      actions.push(next[1])
    }
    return [now, actions]
  }
  test('goes from the last step to the first, each by what undoes it', () => {
    expect(all(past, undo)[1]).toMatchObject([
      { kind: 'restore', cellId: 'a', after: 'b' },
      { kind: 'retype', type: 'code' },
      { kind: 'move', after: null },
      { kind: 'delete', cellId: 'a' },
    ])
  })
  test('and forward again, step by step', () => {
    const [before] = all(past, undo)
    const [after, actions] = all(before, redo)
    expect(actions).toMatchObject([
      { kind: 'restore', cellId: 'a', after: null },
      { kind: 'move', after: 'b' },
      { kind: 'retype', type: 'markdown' },
      { kind: 'delete', cellId: 'a' },
    ])
    expect(after).toEqual(past)
  })
  test('a new step forgets what could have been redone', () => {
    const [back] = undo(past)!
    expect(redo(did(back, steps[0]!))).toBeNull()
  })
  test('a cell whose neighbour is gone goes to the end', () => {
    const cells = [cell('a'), cell('b')]
    expect([above(cells, 'b'), above(cells, 'a'), standing(cells, 'gone'), standing(cells, 'a'), standing(cells, null)]).toEqual(['a', null, 'b', 'a', null])
  })
})

describe('keys', () => {
  const table = { ...CELL_COMMANDS, ...NOTEBOOK_COMMANDS }
  test('no two commands share one', () => {
    const keys = Object.values(table).map((one) => one.keys).filter((one) => one !== '')
    expect(new Set(keys).size).toBe(keys.length)
  })
  test('one key, a key with modifiers, and two in a row', () => {
    expect(matched(table, keyName({ key: 'b', ctrl: false, shift: false, alt: false }), null).command).toBe('insertBelow')
    expect(matched(table, keyName({ key: 'Z', ctrl: false, shift: true, alt: false }), null).command).toBe('redo')
    const first = matched(table, 'D', null)
    expect(first).toEqual({ command: null, pending: 'D' })
    expect(matched(table, 'D', first.pending).command).toBe('delete')
  })
  test('another key after the first of two means what it always means', () => {
    expect(matched(table, 'B', 'D').command).toBe('insertBelow')
    expect(matched(table, 'Q', 'D')).toEqual({ command: null, pending: null })
  })
})

describe('tracebacks', () => {
  const text = 'ZeroDivisionError  Traceback\n\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[7], line 2\x1b[39m, in f(x)\n   1 def f(x):\nFile /usr/x.py:3'
  test('name the lines of cells, and keep all other text', () => {
    expect(traceParts(text)).toEqual([
      { kind: 'text', text: 'ZeroDivisionError  Traceback' },
      { kind: 'frame', text: 'Cell In[7], line 2, in f(x)', count: 7, line: 2 },
      { kind: 'text', text: '   1 def f(x):\nFile /usr/x.py:3' },
    ])
  })
  test('goes without the head that says again what stands above it', () => {
    const head = `\x1b[31m${'-'.repeat(75)}\x1b[39m\n\x1b[31mKeyError\x1b[39m      Traceback (most recent call last)`
    expect(traceParts(`${head}\nCell In[1], line 1\nKeyError: 1`)[0]).toMatchObject({ kind: 'frame', line: 1 })
    expect(traceParts('Traceback (most recent call last):\n  File "x"')).toHaveLength(1)
  })
  test('a count that several kernels have given means the failed cell, else the last', () => {
    const cells = [cell('a', { execution_count: 1 }), cell('b', { execution_count: 1 }), cell('c', { execution_count: 2 })]
    expect([cellOfCount(cells, 'a', 1), cellOfCount(cells, 'c', 1), cellOfCount(cells, 'c', 9)]).toEqual(['a', 'b', null])
  })
})

test('what waits when the page goes away is told the server in its own words', () => {
  const waiting: Arrangement[] = [
    { kind: 'add', cellId: 'a', type: 'code', source: '1', after: null },
    { kind: 'add', cellId: 'b', type: 'markdown', source: '', after: 'a' },
    { kind: 'move', cellId: 'a', after: 'b' },
    { kind: 'retype', cellId: 'a', type: 'markdown' },
    { kind: 'hide', cellId: 'b', hidden: true },
    { kind: 'delete', cellId: 'b' },
  ]
  expect(waiting.flatMap(changesOf)).toEqual([
    { kind: 'add', id: 'a', type: 'code', source: '1' },
    { kind: 'move', cell_id: 'a', after: null },
    { kind: 'add', id: 'b', type: 'markdown', source: '', after: 'a' },
    { kind: 'move', cell_id: 'a', after: 'b' },
    { kind: 'edit', cell_id: 'a', type: 'markdown' },
    { kind: 'edit', cell_id: 'b', outputs_hidden: true },
    { kind: 'delete', cell_id: 'b' },
  ])
})

describe('a question about a cell', () => {
  test('holds its code, and the error when it is to be fixed', () => {
    const broken = cell('a', {
      source: '1 / 0',
      status: 'error',
      outputs: [{ output_type: 'error', ename: 'ZeroDivisionError', evalue: 'division by zero', traceback: ['\x1b[31mCell In[1], line 1\x1b[0m'] }],
    })
    expect(questionAbout(broken, 3, 'explain')).toBe('Explain cell 3:\n\n```python\n1 / 0\n```')
    const fix = questionAbout(broken, 3, 'fix')
    expect(fix).toContain('ZeroDivisionError: division by zero')
    expect(fix).toContain('```text\nCell In[1], line 1\n```')
    expect(fix.endsWith('```python\n1 / 0\n```')).toBe(true)
  })
  test('is one sentence to a person, and what was sent along', () => {
    expect(wishIn(questionAbout(cell('a', { source: '1' }), 2, 'explain'))).toEqual({ said: 'Explain cell 2.', along: '```python\n1\n```' })
    expect(wishIn('Explain cell 2: what for?')).toBeNull()
    expect(wishIn('How are sales?\n\n```x```')).toBeNull()
  })
  test('code that has fences of its own stays whole', () => {
    expect(questionAbout(cell('a', { source: 's = """\n```\n"""' }), 1, 'explain')).toContain('````python\ns = """\n```\n"""\n````')
  })
})

test('what a run took and left is there again after a reload, whatever an imported notebook says', () => {
  const noted = { run_ms: 12, files: ['a.png', 3], spill: 'out.txt', truncated: true }
  expect(cell('a', { metadata: { cellblock: noted } })).toMatchObject({ runMs: 12, created: ['a.png'], spill: 'out.txt', truncated: true })
  expect(cell('a', { metadata: { cellblock: { run_ms: 'x', files: 1 } } })).toMatchObject({ runMs: null, created: [], spill: null, truncated: false })
})

test('outputs are hidden and shown', () => {
  const notebook = { kernel_id: 'k', revision: 1, title: null, environment: 'python3', cells: [raw('a')], metadata: {} }
  const session = edit(adopt(empty('k'), notebook), { kind: 'hide', cellId: 'a', hidden: true })
  expect(outputsHidden(session.cells[0]!)).toBe(true)
  expect(outputsHidden(edit(session, { kind: 'hide', cellId: 'a', hidden: false }).cells[0]!)).toBe(false)
})

describe('the palette', () => {
  const items = ['Run cell', 'Run all above', 'Restart the kernel', 'Rerun'].map((label, at) => ({ id: String(at), group: at === 2 ? 'Notebook' : 'Cell', label, keys: '' }))
  const labels = (typed: string): string[] => fitting(items, typed).map((item) => item.label)
  test('shows all in order, and what fits best first', () => {
    expect(labels(' ')).toEqual(items.map((item) => item.label))
    expect(labels('RUN')).toEqual(['Run cell', 'Run all above', 'Rerun'])
    expect(labels('above run')).toEqual(['Run all above'])
    expect(labels('notebook')).toEqual(['Restart the kernel'])
    expect(labels('zebra')).toEqual([])
  })
  test('begins with the cell and ends with other conversations', () => {
    const groups = ['Conversation', 'Cell', 'Page', 'Cell'].map((group, at) => ({ id: String(at), group, label: '', keys: '' }))
    expect(inOrder(groups).map((item) => item.id)).toEqual(['1', '3', '2', '0'])
  })
  test('is walked through round and round', () => {
    expect([marked(0, -1, 3), marked(2, 1, 3), marked(0, 1, 0)]).toEqual([2, 0, 0])
  })
})

describe('a proposed change', () => {
  const kinds = (before: string, after: string): string[] => diff(before, after).map((line) => `${line.kind} ${line.text}`)
  test('is told line by line', () => {
    expect(kinds('a\nb\nc', 'a\nx\nc')).toEqual(['same a', 'old b', 'new x', 'same c'])
    expect(kinds('a\nb\nc\nd', 'b\nd\ne')).toEqual(['old a', 'same b', 'old c', 'same d', 'new e'])
    expect(kinds('a', 'a')).toEqual(['same a'])
  })
  test('of texts beyond measure is all of them', () => {
    const long = (word: string): string => Array.from({ length: 2000 }, (_, at) => `${word} ${at}`).join('\n')
    expect(diff(long('a'), long('b'))).toHaveLength(4000)
  })

  const broken = cell('mine', { source: '1 / 0\n', status: 'error' })
  const asked = questionAbout(broken, 1, 'fix')
  const turns = (text: string, state: 'complete' | 'running'): Turn[] => [
    { role: 'user', id: 'u', text, files: [] },
    {
      role: 'assistant',
      id: 'a',
      state,
      problem: null,
      kernel: null,
      answers: [],
      items: [{ kind: 'tool', id: 't', title: '', code: '1 / 1', phase: 'ok', status: 'ok', cellId: 'its', executionId: 'x', error: null }],
    },
  ]
  test('is found for the cell that was to be fixed, when the answer is finished', () => {
    const cells = [broken, cell('its', { source: '1 / 1' })]
    const fixes = fixesIn(turns(asked, 'complete'))
    expect(proposals(fixes, cells)).toEqual([{ cellId: 'mine', code: '1 / 1', from: 'its' }])
    expect(fixesIn(turns(asked, 'running'))).toEqual([])
    expect(fixesIn(turns('Explain this', 'complete'))).toEqual([])
  })
  test('is none once either cell has changed its part', () => {
    const fixes = fixesIn(turns(asked, 'complete'))
    expect(proposals(fixes, [cell('mine', { source: '1 / 2' }), cell('its', { source: '1 / 1' })])).toEqual([])
    expect(proposals(fixes, [broken])).toEqual([])
    expect(proposals(fixes, [broken, cell('its', { source: '1 / 0' })])).toEqual([])
  })
})
